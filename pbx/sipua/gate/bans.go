package gate

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// BanLimits say when a source is shut out. Zero fields mean the defaults.
type BanLimits struct {
	Failures int           // of one user from one source, 20
	Users    int           // different users that fail from one source, 20
	Within   time.Duration // in which they must happen, 60 s
	For      time.Duration // how long it lasts, 5 min
	Sources  int           // that are remembered, 16384
}

func (l BanLimits) withDefaults() BanLimits {
	if l.Failures == 0 {
		l.Failures = 20
	}
	if l.Users == 0 {
		l.Users = 20
	}
	if l.Within == 0 {
		l.Within = time.Minute
	}
	if l.For == 0 {
		l.For = 5 * time.Minute
	}
	if l.Sources == 0 {
		l.Sources = 16384
	}
	return l
}

// Bans counts failed logins. Many phones may share one address behind a NAT,
// so what is banned first is one user from one source. The whole source is
// banned when many different users failed from it and none succeeded lately.
//
// Only failures that carry a nonce which we issued to that source may be
// reported: a sender with a forged address never sees the nonce, so nobody can
// have somebody else banned by datagrams alone.
type Bans struct {
	limits BanLimits

	mu      sync.Mutex
	sources map[netip.Addr]*list.Element
	recent  *list.List // of *banSource, least recently failed at the back
}

type banSource struct {
	source  netip.Addr
	users   map[string]*banUser
	until   time.Time // the whole source is banned
	success time.Time // the last good login
}

type banUser struct {
	failures int
	since    time.Time
	until    time.Time
}

// maxBanUsers bounds the users remembered per source.
const maxBanUsers = 256

// NewBans returns an empty list.
func NewBans(limits BanLimits) *Bans {
	return &Bans{
		limits: limits.withDefaults(), sources: make(map[netip.Addr]*list.Element), recent: list.New(),
	}
}

// For returns how long a ban lasts.
func (b *Bans) For() time.Duration { return b.limits.For }

// Source reports whether everything from that source is dropped now.
func (b *Bans) Source(source netip.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.sources[source]
	return ok && now.Before(banOf(e).until)
}

// User reports whether that user's requests from that source are dropped now.
func (b *Bans) User(source netip.Addr, user string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.sources[source]
	if !ok {
		return false
	}
	s := banOf(e)
	u := s.users[user]
	return now.Before(s.until) || (u != nil && now.Before(u.until))
}

// Failed counts one failed login and reports whether it led to a ban.
func (b *Bans) Failed(source netip.Addr, user string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.touch(source)
	u := s.users[user]
	if u == nil || now.Sub(u.since) > b.limits.Within {
		if u == nil && len(s.users) >= maxBanUsers {
			s.forget(now, b.limits.Within)
		}
		if u == nil && len(s.users) >= maxBanUsers {
			return false
		}
		u = &banUser{since: now}
		s.users[user] = u
	}
	if u.failures++; u.failures >= b.limits.Failures {
		u.failures, u.until = 0, now.Add(b.limits.For)
		return true
	}
	if u.failures == 1 && now.Sub(s.success) > b.limits.For && s.failing(now, b.limits.Within) >= b.limits.Users {
		s.until = now.Add(b.limits.For)
		clear(s.users)
		return true
	}
	return false
}

// Succeeded notes a good login; it forgives the user's earlier failures.
func (b *Bans) Succeeded(source netip.Addr, user string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	// Only sources that failed before are remembered: good logins alone must
	// not push the bad ones out.
	if e, ok := b.sources[source]; ok {
		s := banOf(e)
		s.success = now
		delete(s.users, user)
	}
}

// Len returns how many sources are remembered.
func (b *Bans) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sources)
}

func (b *Bans) touch(source netip.Addr) *banSource {
	if e, ok := b.sources[source]; ok {
		b.recent.MoveToFront(e)
		return banOf(e)
	}
	if b.recent.Len() >= b.limits.Sources {
		last := b.recent.Back()
		delete(b.sources, banOf(last).source)
		b.recent.Remove(last)
	}
	s := &banSource{source: source, users: make(map[string]*banUser)}
	b.sources[source] = b.recent.PushFront(s)
	return s
}

func banOf(e *list.Element) *banSource {
	s, _ := e.Value.(*banSource)
	return s
}

// failing counts the users that failed lately.
func (s *banSource) failing(now time.Time, within time.Duration) int {
	n := 0
	for _, u := range s.users {
		if now.Sub(u.since) <= within {
			n++
		}
	}
	return n
}

// forget drops users whose failures are over and who are not banned.
func (s *banSource) forget(now time.Time, within time.Duration) {
	for name, u := range s.users {
		if now.Sub(u.since) > within && !now.Before(u.until) {
			delete(s.users, name)
		}
	}
}
