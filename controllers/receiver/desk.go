package receiver

import (
	"context"
	"net/netip"
	"sync"
)

// desk is where bodies are read, so many at a time and so many of one host:
// everybody knows one host, and must not stop the callbacks of the others.
type desk struct {
	places chan struct{}
	share  int

	mu    sync.Mutex
	hosts map[string]*line // that somebody reads or waits at
}

type line struct {
	places chan struct{}
	users  int
}

func newDesk(places, share int) *desk {
	return &desk{places: make(chan struct{}, places), share: share, hosts: make(map[string]*line)}
}

// enter waits for a place; leave gives it back. False: ctx has ended.
func (d *desk) enter(ctx context.Context, host string) (leave func(), ok bool) {
	d.mu.Lock()
	q := d.hosts[host]
	if q == nil {
		q = &line{places: make(chan struct{}, d.share)}
		d.hosts[host] = q
	}
	q.users++
	d.mu.Unlock()
	if !take(ctx, q.places) {
		d.forget(host, q)
		return nil, false
	}
	if !take(ctx, d.places) {
		<-q.places
		d.forget(host, q)
		return nil, false
	}
	return func() {
		<-d.places
		<-q.places
		d.forget(host, q)
	}, true
}

func take(ctx context.Context, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// forget drops the line of a host at which nobody is left.
func (d *desk) forget(host string, q *line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if q.users--; q.users == 0 {
		delete(d.hosts, host)
	}
}

// proxy reports whether an address may be an ingress, which speaks for many.
func proxy(a netip.Addr) bool {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10) // RFC 6598
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || shared.Contains(a)
}
