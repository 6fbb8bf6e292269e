package nodeguard

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// What the helper takes.
const (
	maxBan     = time.Hour // that one wish may last
	maxPerPBX  = 1024      // bans in force at a time
	maxTotal   = 16384
	maxProtect = 1024 // networks of one PBX
)

// Entry is one source that the kernel drops on its way to one port.
type Entry struct {
	Source netip.Addr // an IPv4 address, or the first of an IPv6 /64
	Port   uint16
}

// Ports is a range of ports, both ends included.
type Ports struct{ From, To uint16 }

// Policy decides about wishes. It is pure, and not for use by several
// goroutines.
type Policy struct {
	allow  []netip.Prefix
	ports  []Ports
	places map[int]*place
	until  map[Entry]time.Time
	swept  time.Time
}

// place is one PBX.
type place struct {
	port    uint16 // stays the same, and no other place has it
	protect []netip.Prefix
	entries map[Entry]time.Time
}

// NewPolicy never bans what lies in allow, and bans for those ports alone.
func NewPolicy(allow []netip.Prefix, ports ...Ports) *Policy {
	return &Policy{allow: allow, ports: ports, places: make(map[int]*place), until: make(map[Entry]time.Time)}
}

// Hello takes what a PBX says of itself, and returns the bans that must end
// since they lie in its trunks' networks, whoever wished them.
func (p *Policy) Hello(pbx int, port uint16, protect []netip.Prefix) (lift []Entry, err error) {
	if err := p.owns(pbx, port); err != nil {
		return nil, err
	}
	of := p.places[pbx]
	if of == nil {
		of = &place{port: port, entries: make(map[Entry]time.Time)}
		p.places[pbx] = of
	}
	of.protect = protect
	narrow := narrowOnes(protect)
	for e := range p.until {
		if touches(narrow, e.Source) || e.Port == port && touches(protect, e.Source) {
			p.drop(e)
			lift = append(lift, e)
		}
	}
	return lift, nil
}

// owns says why a PBX cannot have a port. Whoever breaks into one must not have
// strangers shut out of other services of the node, or of its neighbours.
func (p *Policy) owns(pbx int, port uint16) error {
	if !slices.ContainsFunc(p.ports, func(r Ports) bool { return r.From <= port && port <= r.To }) {
		return fmt.Errorf("port %d is no SIP port of this node: those are %v (--ports)", port, p.ports)
	}
	for id, of := range p.places {
		switch {
		case id == pbx && of.port != port:
			return fmt.Errorf("the PBX at port %d says that it is at %d", of.port, port)
		case id != pbx && of.port == port:
			return fmt.Errorf("port %d is that of a PBX that is here already", port)
		}
	}
	return nil
}

// Bye forgets a PBX. Its bans end by themselves.
func (p *Policy) Bye(pbx int) { delete(p.places, pbx) }

// errKnown means that the kernel has the ban already.
var errKnown = errors.New("is banned already")

// Ban decides about one wish; for how long is what it returns.
func (p *Policy) Ban(pbx int, source netip.Addr, d time.Duration, now time.Time) (Entry, time.Duration, error) {
	of := p.places[pbx]
	if of == nil {
		return Entry{}, 0, errors.New("a PBX that did not say who it is bans nobody")
	}
	source = sourceOf(source)
	e := Entry{source, of.port}
	if why := p.protected(of, source); why != "" {
		return e, 0, fmt.Errorf("%s is not banned: %s", source, why)
	}
	d = min(d, maxBan)
	p.expire(of, now)
	switch {
	case d < time.Second:
		return e, 0, fmt.Errorf("%s is not banned for %s: at least a second", source, d)
	case now.Before(p.until[e]):
		return e, 0, errKnown
	case len(of.entries) >= maxPerPBX:
		return e, 0, fmt.Errorf("%s is not banned: the PBX at port %d has %d bans", source, of.port, len(of.entries))
	case len(p.until) >= maxTotal:
		return e, 0, fmt.Errorf("%s is not banned: there are %d bans on this node", source, len(p.until))
	}
	p.until[e], of.entries[e] = now.Add(d), now.Add(d)
	return e, d, nil
}

// protected says why a source is never banned.
func (p *Policy) protected(by *place, source netip.Addr) string {
	if !source.IsValid() || source.IsUnspecified() || source.IsLoopback() || source.IsMulticast() || source.IsLinkLocalUnicast() {
		return "it is no source that a network brings"
	}
	if touches(p.allow, source) {
		return "it is among those that are never banned"
	}
	for _, of := range p.places {
		if of == by && touches(of.protect, source) || touches(narrowOnes(of.protect), source) {
			return "it is a trunk's"
		}
	}
	return ""
}

// narrowOnes are the networks that hold against the wishes of other PBXs, too.
// One whose trunk may call from half of the internet must not protect that for
// everybody.
func narrowOnes(list []netip.Prefix) (out []netip.Prefix) {
	for _, p := range list {
		if least := map[bool]int{true: 16, false: 32}[p.Addr().Is4()]; p.Bits() >= least {
			out = append(out, p)
		}
	}
	return out
}

func (p *Policy) drop(e Entry) {
	delete(p.until, e)
	for _, of := range p.places {
		delete(of.entries, e)
	}
}

// expire forgets what the kernel has let go when that makes room, at most once
// a second: who wishes without end must not keep us counting.
func (p *Policy) expire(of *place, now time.Time) {
	if len(of.entries) < maxPerPBX && len(p.until) < maxTotal || now.Sub(p.swept) < time.Second {
		return
	}
	p.swept = now
	gone(p.until, now)
	for _, of := range p.places {
		gone(of.entries, now)
	}
}

func gone(entries map[Entry]time.Time, now time.Time) {
	for e, until := range entries {
		if !now.Before(until) {
			delete(entries, e)
		}
	}
}

// sourceOf is what counts as one source, as in the gate.
func sourceOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if p, err := a.Prefix(64); err == nil && a.Is6() {
		return p.Addr()
	}
	return a
}

// touches reports whether a source has an address in one of the networks.
func touches(list []netip.Prefix, source netip.Addr) bool {
	of := netip.PrefixFrom(source, source.BitLen())
	if source.Is6() {
		of = netip.PrefixFrom(source, 64)
	}
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Overlaps(of) })
}

// Private are the networks that never come from the internet: RFC 1918, RFC
// 6598, RFC 4193 and the loopback and link-local ones.
func Private() []netip.Prefix {
	var list []netip.Prefix
	for _, s := range []string{
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10",
	} {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}
