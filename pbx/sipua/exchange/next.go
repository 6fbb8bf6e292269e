package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/message"
	"github.com/dipcast/dipcast/pbx/trunk"
)

// Resolver looks URIs up; *edge.Edge is one.
type Resolver interface {
	Resolve(ctx context.Context, uri *sip.Uri, transport string) ([]edge.Hop, error)
}

// Next returns where requests go whose first route, or target, is that URI,
// and whose dialog's peer was at the hop. It is false for a URI that leads
// nowhere, to another family, or to a private address although the peer speaks
// from a public one.
func Next(ctx context.Context, r Resolver, next string, was edge.Hop) (edge.Hop, bool) {
	var uri sip.Uri
	if sip.ParseUri(next, &uri) != nil {
		return edge.Hop{}, false
	}
	transport := was.Transport
	if t, ok := uri.UriParams.Get("transport"); ok {
		transport = strings.ToUpper(t)
	}
	if transport != "UDP" && transport != "TCP" && transport != "TLS" {
		return edge.Hop{}, false
	}
	hops, err := r.Resolve(ctx, &uri, transport)
	if err != nil || len(hops) == 0 {
		return edge.Hop{}, false
	}
	h, source := hops[0], was.Addr.Addr()
	if h.Transport == "TLS" {
		h.Name = was.Name // the trunk's, whatever the peer calls itself
	}
	if h.Addr.Addr().Is4() != source.Is4() || !message.Narrow(source) && message.Narrow(h.Addr.Addr()) {
		return edge.Hop{}, false
	}
	return h, true
}

// Family is the address of a trunk that decides the family of a leg's media
// port.
func Family(hosts []trunk.Host) netip.Addr {
	for _, h := range hosts {
		if len(h.Addrs) > 0 {
			return h.Addrs[0].Addr()
		}
	}
	return netip.Addr{}
}

// Place is where a first INVITE may go.
type Place struct {
	URI    string
	Routes []string
	To     edge.Hop
	Host   *conf.TrunkHost // nil for a phone
}

// Places are the addresses of a trunk's hosts for calls to the number, in order
// of trial, those of another family than our media port left out. Hosts whose
// addresses the trunk does not know are looked up; the error names those that
// have none.
func Places(ctx context.Context, r Resolver, hosts []trunk.Host, number string, local netip.Addr) ([]Place, error) {
	var out []Place
	var missing error
	for _, h := range hosts {
		uri := sip.Uri{Scheme: "sip", User: message.UserPart(number), Host: h.Host, Port: h.Port}
		hops, err := hopsOf(ctx, r, h, &uri)
		if err != nil {
			missing = errors.Join(missing, fmt.Errorf("%s: %w", h.Host, err))
		}
		for _, to := range hops {
			if !local.IsValid() || local.Unmap().Is4() == to.Addr.Addr().Unmap().Is4() {
				out = append(out, Place{URI: uri.String(), To: to, Host: &h.TrunkHost})
			}
		}
	}
	return out, missing
}

func hopsOf(ctx context.Context, r Resolver, h trunk.Host, uri *sip.Uri) ([]edge.Hop, error) {
	transport := strings.ToUpper(h.Transport)
	if transport == "" {
		transport = "UDP"
	}
	var out []edge.Hop
	var err error
	if len(h.Addrs) == 0 {
		out, err = r.Resolve(ctx, uri, transport)
	}
	for _, a := range h.Addrs {
		out = append(out, edge.Hop{Transport: transport, Addr: netip.AddrPortFrom(a.Addr().Unmap(), a.Port())})
	}
	for i := range out {
		if transport == "TLS" {
			out[i].Name = h.Host
		}
	}
	return out, err
}
