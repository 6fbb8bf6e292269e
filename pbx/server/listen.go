package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/keeper"
)

// effective returns what a network advertises on a node.
func effective(n conf.Network, node string) []string {
	if texts, ok := n.Advertise[node]; ok {
		return texts
	}
	return n.Advertise[""]
}

// advertised returns the addresses that others reach us at on this node.
func advertised(n conf.Network, node string) ([]netip.Addr, error) {
	texts := effective(n, node)
	if len(texts) == 0 {
		return nil, fmt.Errorf("network.advertise: no address for node %q: add the node or the entry \"\"", node)
	}
	return addresses("network.advertise", texts)
}

func addresses(field string, texts []string) ([]netip.Addr, error) {
	list := make([]netip.Addr, 0, len(texts))
	for _, text := range texts {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: must be an IP address", field, text)
		}
		list = append(list, a)
	}
	return list, nil
}

// networks reads CIDRs.
func networks(field string, texts []string) ([]netip.Prefix, error) {
	list := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: must be a network like 10.244.0.0/16", field, text)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// loopback are this machine's own networks.
func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// kindHTTP is what a keeper's names of these listeners begin with.
const kindHTTP = "http"

// closeListener ends a listener, here and at the keeper.
func (s *Server) closeListener(l net.Listener) {
	s.opts.Keeper.Drop(keeper.Name(kindHTTP, l.Addr()))
	_ = l.Close() // the HTTP server may have closed it
}

// listenHTTP listens on one address: the first bind address, else the first
// advertised one that this machine has, else loopback. Never on all of them.
func (s *Server) listenHTTP(ctx context.Context, bind, advertise []netip.Addr, port int) (net.Listener, error) {
	candidates := append(append([]netip.Addr{}, bind...), advertise...)
	candidates = append(candidates, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	for _, a := range candidates {
		if a.IsUnspecified() {
			continue
		}
		l, err := keeper.ListenTCP(ctx, s.opts.Keeper, kindHTTP, netip.AddrPortFrom(a, uint16(port)))
		if errors.Is(err, syscall.EADDRNOTAVAIL) {
			continue // behind NAT the advertised address is not ours
		}
		if err != nil {
			return nil, fmt.Errorf("http: %w", err)
		}
		return l, nil
	}
	return nil, fmt.Errorf("http: no address of this machine among %v", candidates)
}

// listenInternal listens on the node's own address.
func (s *Server) listenInternal(ctx context.Context, a netip.Addr, port int) (net.Listener, error) {
	if a.IsUnspecified() {
		return nil, fmt.Errorf("http: the internal address %s stands for every address: name the node's own", a)
	}
	l, err := keeper.ListenTCP(ctx, s.opts.Keeper, kindHTTP, netip.AddrPortFrom(a, uint16(port)))
	if err != nil {
		return nil, fmt.Errorf("http on the internal address: %w", err)
	}
	return l, nil
}

// adminOnLoopback adds loopback to the admin listener, at its port: a port
// forward into the pod ends there.
func (s *Server) adminOnLoopback(ctx context.Context) error {
	first, err := netip.ParseAddrPort(s.AdminAddr())
	local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if err != nil || first.Addr() == local {
		return err
	}
	l, err := s.listenInternal(ctx, local, int(first.Port()))
	if err == nil {
		s.admin = append(s.admin, l)
	}
	return err
}

// serveHTTP serves until ctx ends, then lets running requests finish for a
// moment.
func serveHTTP(ctx context.Context, l net.Listener, s *http.Server) error {
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := s.Shutdown(grace); err != nil {
		_ = s.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// What the HTTP listener takes: in total, and from one source that is no proxy.
const (
	httpConnections = 1024
	httpPerSource   = 64
)

// proxy reports whether an address is a reverse proxy that the document names,
// or on this machine.
func (s *Server) proxy(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	proxies, err := networks("web.trustedProxies", s.document().Web.TrustedProxies)
	return err == nil && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
