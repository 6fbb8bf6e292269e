package edge

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/conf"
)

// Resolver looks up names; *net.Resolver is one. NAPTR is not among its
// records: the transport comes from the URI or the document, and without it
// UDP is tried before TCP (RFC 3263 §4.1 allows to skip NAPTR so).
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// maxHops bounds what one name may lead to.
const maxHops = 16

// Resolve returns the hops of a SIP URI in order of trial (RFC 3263 §4);
// transport is what the caller prefers, empty if it does not care.
func (e *Edge) Resolve(ctx context.Context, uri *sip.Uri, transport string) ([]Hop, error) {
	switch uri.Scheme {
	case "", "sip", "sips":
	default:
		return nil, fmt.Errorf("URI scheme %q is not served: use sip or sips", uri.Scheme)
	}
	if t, ok := uri.UriParams.Get("transport"); ok {
		transport = t
	}
	if uri.Scheme == "sips" {
		transport = "TLS" // RFC 3261 §26.2.2
	}
	host := uri.Host
	if maddr, ok := uri.UriParams.Get("maddr"); ok && maddr != "" {
		host = maddr
	}
	return e.locate(ctx, host, uri.Port, strings.ToUpper(transport))
}

// Locate returns the hops of a trunk's host in order of trial.
func (e *Edge) Locate(ctx context.Context, h conf.TrunkHost) ([]Hop, error) {
	hops, err := e.locate(ctx, h.Host, h.Port, strings.ToUpper(h.Transport))
	for i := range hops {
		if hops[i].Transport == "TLS" {
			hops[i].Name = h.Host // not the one that SRV leads to (RFC 5922 §4)
		}
	}
	return hops, err
}

func (e *Edge) locate(ctx context.Context, host string, port int, transport string) ([]Hop, error) {
	transports := []string{"UDP", "TCP"}
	switch transport {
	case "":
	case "UDP", "TCP", "TLS":
		transports = []string{transport}
	default:
		return nil, fmt.Errorf("transport %q of host %q is not served: use UDP, TCP or TLS", transport, host)
	}
	plain := port
	switch {
	case plain != 0:
	case transport == "TLS":
		plain = 5061
	default:
		plain = 5060
	}
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return []Hop{{Transport: transports[0], Addr: netip.AddrPortFrom(a.Unmap(), uint16(plain))}}, nil
	}
	if port == 0 {
		for _, t := range transports {
			if hops := e.service(ctx, host, t); len(hops) > 0 {
				return hops, nil
			}
		}
	}
	return e.hosts(ctx, host, plain, transports[0])
}

// service follows SRV records; no records are no error.
func (e *Edge) service(ctx context.Context, host, transport string) []Hop {
	service, proto := "sip", strings.ToLower(transport)
	if transport == "TLS" {
		service, proto = "sips", "tcp"
	}
	_, records, err := e.cfg.Resolver.LookupSRV(ctx, service, proto, host)
	if err != nil {
		return nil
	}
	var out []Hop
	for _, r := range orderSRV(records, e.Pick) {
		if r.Target == "." {
			continue // RFC 2782: the service is decidedly not there
		}
		hops, err := e.hosts(ctx, strings.TrimSuffix(r.Target, "."), int(r.Port), transport)
		if err != nil {
			continue
		}
		if out = append(out, hops...); len(out) >= maxHops {
			return out[:maxHops]
		}
	}
	return out
}

// hosts follows A and AAAA records, IPv4 first.
func (e *Edge) hosts(ctx context.Context, host string, port int, transport string) ([]Hop, error) {
	addrs, err := e.cfg.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("look up %q: %w", host, err)
	}
	addrs = slices.Clone(addrs)
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int {
		return cmp.Compare(a.Unmap().BitLen(), b.Unmap().BitLen())
	})
	var out []Hop
	for _, a := range addrs[:min(len(addrs), maxHops)] {
		out = append(out, Hop{Transport: transport, Addr: netip.AddrPortFrom(a.Unmap(), uint16(port))})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("look up %q: the name has no address", host)
	}
	return out, nil
}

// orderSRV puts records in the order of trial: lowest priority first, chance
// by weight among equals (RFC 2782); pick returns a number in [0, n).
func orderSRV(records []*net.SRV, pick func(n int) int) []*net.SRV {
	rest := slices.Clone(records)
	slices.SortStableFunc(rest, func(a, b *net.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Weight, b.Weight))
	})
	out := make([]*net.SRV, 0, len(rest))
	for len(rest) > 0 {
		equal := 1
		sum := int(rest[0].Weight)
		for equal < len(rest) && rest[equal].Priority == rest[0].Priority {
			sum += int(rest[equal].Weight)
			equal++
		}
		chosen, n := 0, pick(sum+1)
		for chosen < equal-1 && n > int(rest[chosen].Weight) {
			n -= int(rest[chosen].Weight)
			chosen++
		}
		out = append(out, rest[chosen])
		rest = slices.Delete(rest, chosen, chosen+1)
	}
	return out
}
