package trunk

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

// Health is what is known of a host.
type Health int

// The health of a host, best first.
const (
	Alive   Health = iota // answered the last OPTIONS or REGISTER
	Unknown               // not asked yet, or silent once
	Down                  // silent twice in a row
)

// failuresToDown is how often a host may be silent in a row before it counts
// as down.
const failuresToDown = 2

// Host is one host of a trunk as calls see it now.
type Host struct {
	conf.TrunkHost
	// Addrs are the host's addresses in order of trial; empty if its name
	// could not be resolved yet.
	Addrs  []netip.AddrPort
	Health Health
	// Fault is why TLS with it failed; empty if it did not.
	Fault string
}

// host is the owner's state of one host.
type host struct {
	conf     conf.TrunkHost
	addrs    []netip.AddrPort
	health   Health
	fault    string
	silent   int // OPTIONS in a row without an answer
	probeAt  time.Time
	lookupAt time.Time // zero: the host is an address and never looked up
	probing  bool
	looking  bool
}

// answered takes one sign of life, or the lack of it.
func (h *host) answered(alive bool) {
	if alive {
		h.silent, h.health = 0, Alive
		return
	}
	h.silent++
	switch {
	case h.silent >= failuresToDown:
		h.health = Down
	case h.health == Alive:
		h.health = Unknown
	}
}

// order returns the indexes of hosts in order of trial: the host that holds
// the registration first unless it is down (-1 = none), then alive before
// unknown before down. Among hosts of equal health the configured order counts,
// or, where their weights differ, chance by weight (RFC 2782).
func order(hosts []Host, registered int, chance func() float64) []int {
	out := make([]int, len(hosts))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(hosts[a].Health, hosts[b].Health) })
	for from := 0; from < len(out); {
		to := from + 1
		for to < len(out) && hosts[out[to]].Health == hosts[out[from]].Health {
			to++
		}
		draw(out[from:to], hosts, chance)
		from = to
	}
	if registered >= 0 && registered < len(hosts) && hosts[registered].Health != Down {
		i := slices.Index(out, registered)
		out = slices.Insert(slices.Delete(out, i, i+1), 0, registered)
	}
	return out
}

// draw puts equals in an order drawn by weight. Hosts of weight 0 come last.
func draw(equals []int, hosts []Host, chance func() float64) {
	differ := slices.ContainsFunc(equals, func(i int) bool { return hosts[i].Weight != hosts[equals[0]].Weight })
	if !differ {
		return
	}
	for n := range equals {
		rest := equals[n:]
		total := 0
		for _, i := range rest {
			total += max(hosts[i].Weight, 0)
		}
		if total == 0 {
			return
		}
		mark := chance() * float64(total)
		for k, i := range rest {
			mark -= float64(max(hosts[i].Weight, 0))
			if mark < 0 {
				copy(rest[1:k+1], rest[:k])
				rest[0] = i
				break
			}
		}
	}
}
