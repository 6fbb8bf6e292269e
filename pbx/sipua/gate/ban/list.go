package ban

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// Limits say when a source is shut out. Zero fields mean the defaults.
type Limits struct {
	Failures int           // of one user from one source, 20
	Users    int           // different users that fail from one source, 20
	Within   time.Duration // in which they must happen, 60 s
	For      time.Duration // how long it lasts, 5 min
	Every    time.Duration // one login is looked at of a source that is narrowed, 5 s
	Sources  int           // that are remembered, 16384
}

func (l Limits) withDefaults() Limits {
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
	if l.Every == 0 {
		l.Every = 5 * time.Second
	}
	if l.Sources == 0 {
		l.Sources = 16384
	}
	return l
}

// List counts failed logins. Many phones may share one address behind a NAT,
// so what is banned first is one user from one source. When many different
// users failed from it the whole source is banned if it is nobody's home, and
// else narrowed: everything goes on there but that few logins are looked at.
// One bad host must not shut out an office, nor an office's phones give it
// guesses without end.
//
// Only failures that carry a nonce which we issued to that source may be
// reported: a sender with a forged address never sees the nonce, so nobody can
// have somebody else banned by datagrams alone.
type List struct {
	limits Limits
	home   func(netip.Addr) bool

	mu      sync.Mutex
	sources map[netip.Addr]*list.Element
	recent  *list.List // of *entry, least recently failed at the back
	proven  proven
}

type entry struct {
	source netip.Addr
	users  map[string]*account
	until  time.Time // the whole source is banned
	narrow time.Time // until then it is narrowed
	next   time.Time // when its next login is looked at
}

type account struct {
	failures int
	since    time.Time
	until    time.Time
}

// maxUsers bounds the users remembered per source.
const maxUsers = 256

// New returns an empty list. home reports whether phones are registered or
// talk at a source; so does the list itself where one logged in lately. nil =
// not known.
func New(limits Limits, home func(netip.Addr) bool) *List {
	b := &List{
		limits: limits.withDefaults(), home: home, sources: make(map[netip.Addr]*list.Element), recent: list.New(),
	}
	b.proven.limit = b.limits.Sources
	return b
}

// For returns how long a ban lasts.
func (b *List) For() time.Duration { return b.limits.For }

// Source reports whether everything from that source is dropped now.
func (b *List) Source(source netip.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.sources[source]
	return ok && now.Before(entryOf(e).until)
}

// User reports whether that user's requests from that source are dropped now.
func (b *List) User(source netip.Addr, user string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.sources[source]
	if !ok {
		return false
	}
	s := entryOf(e)
	return now.Before(s.until) || s.bans(user, now)
}

// Watched reports whether logins failed from that source lately. Of others
// every login is looked at.
func (b *List) Watched(source netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sources[source] != nil
}

// Narrowed reports whether few logins of that source are looked at now.
func (b *List) Narrowed(source netip.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.sources[source]
	return ok && now.Before(entryOf(e).narrow)
}

// Guess reports whether a login may be looked at that nothing speaks for. Of a
// source that is narrowed it takes the turn of all its logins.
func (b *List) Guess(source netip.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.sources[source]
	if !ok {
		return true
	}
	s := entryOf(e)
	if now.Before(s.narrow) {
		if now.Before(s.next) {
			return false
		}
		s.next = now.Add(b.limits.Every)
	}
	return true
}

// Failed counts one failed login and reports whether it led to a ban, or had
// the source narrowed.
func (b *List) Failed(source netip.Addr, user string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.touch(source)
	u := s.users[user]
	if u == nil || now.Sub(u.since) > b.limits.Within {
		if u == nil && len(s.users) >= maxUsers {
			s.forget(now, b.limits.Within)
		}
		if u == nil && len(s.users) >= maxUsers {
			return false
		}
		if u == nil {
			u = &account{}
			s.users[user] = u
		}
		u.failures, u.since = 0, now
	}
	if u.failures++; u.failures >= b.limits.Failures {
		u.failures, u.until = 0, now.Add(b.limits.For)
		return true
	}
	if u.failures > 1 || s.failing(now, b.limits.Within) < b.limits.Users {
		return false
	}
	if b.proven.has(source, now) || b.home != nil && b.home(source) {
		s.narrow = now.Add(b.limits.For)
	} else {
		s.until = now.Add(b.limits.For)
	}
	s.forget(now, 0) // what was counted has had its effect; bans of users stay
	return true
}

// Succeeded notes a good login; it forgives the user's earlier failures. A ban
// stays: it is another's who says to be that user.
func (b *List) Succeeded(source netip.Addr, user string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.proven.add(source, now)
	if e, ok := b.sources[source]; ok {
		if s := entryOf(e); !s.bans(user, now) {
			delete(s.users, user)
		}
	}
}

// Len returns how many sources are remembered.
func (b *List) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sources)
}

func (b *List) touch(source netip.Addr) *entry {
	if e, ok := b.sources[source]; ok {
		b.recent.MoveToFront(e)
		return entryOf(e)
	}
	if b.recent.Len() >= b.limits.Sources {
		last := b.recent.Back()
		delete(b.sources, entryOf(last).source)
		b.recent.Remove(last)
	}
	s := &entry{source: source, users: make(map[string]*account)}
	b.sources[source] = b.recent.PushFront(s)
	return s
}

func entryOf(e *list.Element) *entry {
	s, _ := e.Value.(*entry)
	return s
}

func (s *entry) bans(user string, now time.Time) bool {
	u := s.users[user]
	return u != nil && now.Before(u.until)
}

// failing counts the users that failed lately.
func (s *entry) failing(now time.Time, within time.Duration) int {
	n := 0
	for _, u := range s.users {
		if now.Sub(u.since) <= within {
			n++
		}
	}
	return n
}

// forget drops users whose failures are over and who are not banned.
func (s *entry) forget(now time.Time, within time.Duration) {
	for name, u := range s.users {
		if now.Sub(u.since) >= within && !now.Before(u.until) {
			delete(s.users, name)
		}
	}
}

// provenFor is how long a source is known for a good login, at least: as long
// as a registration lasts.
const provenFor = time.Hour

// proven are the sources of good logins, apart from those that failed: neither
// pushes the other out. There are two generations, as of transactions that are
// settled; a full one ends early.
type proven struct {
	limit      int // of each generation
	young, old map[netip.Addr]bool
	since      time.Time // when young began
}

func (p *proven) add(source netip.Addr, now time.Time) {
	p.turn(now)
	if len(p.young) >= p.limit {
		p.young, p.old = nil, p.young
	}
	if p.young == nil {
		p.young, p.since = make(map[netip.Addr]bool), now
	}
	p.young[source] = true
}

func (p *proven) has(source netip.Addr, now time.Time) bool {
	p.turn(now)
	return p.young[source] || p.old[source]
}

// turn forgets what is old enough.
func (p *proven) turn(now time.Time) {
	switch age := now.Sub(p.since); {
	case age >= 2*provenFor:
		p.young, p.old = nil, nil
	case age >= provenFor:
		p.young, p.old, p.since = nil, p.young, now
	}
}
