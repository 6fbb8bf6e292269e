package trunk

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// matcher says which trunk a source address belongs to. It is immutable.
type matcher struct {
	exact    map[netip.Addr]string
	networks []network // longest prefix first
	unseen   time.Time // until when addresses may still come
}

type network struct {
	prefix netip.Prefix
	trunk  string
}

// newMatcher builds the table. Where two trunks claim the same address or
// network, the first by name gets it.
func newMatcher(entries []*entry) *matcher {
	m := &matcher{exact: make(map[netip.Addr]string)}
	for _, e := range entries {
		st := e.owner.load()
		if st.unseen.After(m.unseen) {
			m.unseen = st.unseen
		}
		for _, h := range st.hosts {
			for _, a := range h.Addrs {
				addr := a.Addr().Unmap().WithZone("")
				if _, taken := m.exact[addr]; !taken {
					m.exact[addr] = e.trunk.Name
				}
			}
		}
		for _, text := range e.trunk.AllowedCIDRs {
			if p, ok := parseNetwork(text); ok {
				m.networks = append(m.networks, network{p, e.trunk.Name})
			}
		}
	}
	slices.SortStableFunc(m.networks, func(a, b network) int {
		return cmp.Compare(b.prefix.Bits(), a.prefix.Bits())
	})
	return m
}

// parseNetwork takes a CIDR or a plain address; a network that reaches every
// address is refused, since it would make the whole internet a trunk.
func parseNetwork(text string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, false
		}
		a = a.Unmap()
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), p.IsValid() && p.Bits() > 0
}

func (m *matcher) match(source netip.Addr) (string, bool) {
	source = source.Unmap().WithZone("")
	if name, ok := m.exact[source]; ok {
		return name, true
	}
	for i := range m.networks {
		if m.networks[i].prefix.Contains(source) {
			return m.networks[i].trunk, true
		}
	}
	return "", false
}
