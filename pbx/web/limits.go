package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// maxSources bounds how many sources a limiter tells apart.
const maxSources = 4096

// sources tells where a request comes from.
type sources struct{ trusted []netip.Prefix }

// of is the source's address: an IPv4 address, or the /64 of an IPv6 one,
// since one machine has as many addresses as it likes within it.
func (s sources) of(r *http.Request) string {
	addr := parseAddr(r.RemoteAddr)
	if s.isTrusted(addr) {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		// From the right: what stands left of the first stranger is his own say.
		for i := len(hops) - 1; i >= 0; i-- {
			hop := parseAddr(strings.TrimSpace(hops[i]))
			if !hop.IsValid() {
				break
			}
			addr = hop
			if !s.isTrusted(hop) {
				break
			}
		}
	}
	if addr.Is6() && !addr.Is4In6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Masked().String()
		}
	}
	return addr.String()
}

// source tells where a request comes from, by the present configuration.
func (s *Server) source(r *http.Request) string { return s.site.Load().sources.of(r) }

func (s sources) isTrusted(a netip.Addr) bool {
	for _, p := range s.trusted {
		if a.IsValid() && p.Contains(a) {
			return true
		}
	}
	return false
}

func parseAddr(s string) netip.Addr {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// limiter gives every source a bucket of tokens that fills up again, in
// bounded memory: when it is full, a bucket that is whole again makes room,
// else any.
type limiter struct {
	burst int
	every time.Duration // for one token
	now   func() time.Time

	mu      sync.Mutex
	buckets map[string]time.Time // when the bucket is (or was) full again
}

func newLimiter(burst int, every time.Duration, now func() time.Time) *limiter {
	return &limiter{burst: burst, every: every, now: now, buckets: map[string]time.Time{}}
}

// take uses up one token; false if there is none.
func (l *limiter) take(source string) bool {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.buckets[source]
	if full.Before(now) {
		full = now
	}
	if full.Sub(now) > time.Duration(l.burst-1)*l.every {
		return false
	}
	if _, known := l.buckets[source]; !known && len(l.buckets) >= maxSources {
		l.evict(now)
	}
	l.buckets[source] = full.Add(l.every)
	return true
}

// evict makes room: every whole bucket goes, or one at random if none is.
func (l *limiter) evict(now time.Time) {
	var last string
	for source, full := range l.buckets {
		last = source
		if !full.After(now) {
			delete(l.buckets, source)
		}
	}
	if len(l.buckets) >= maxSources {
		delete(l.buckets, last)
	}
}
