package ice

import (
	"net/netip"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
)

// Consent is how long a source may be sent to after its last check (RFC 7675
// §5.1).
const Consent = 30 * time.Second

// stale is when a nominated source that makes no more checks gives way to
// another.
const stale = int64(5 * time.Second)

// maxSources is how many sources of one peer are known: a few addresses of a
// few networks.
const maxSources = 8

// maxAnswer is the size of the longest answer.
const maxAnswer = 128

// Agent answers the checks of one peer.
type Agent struct {
	username string // of the peer's checks (RFC 8445 §7.2.2)
	signer   *signer
	out      [maxAnswer]byte
	sources  [maxSources]source
	count    int
	selected int // of sources; -1: none
}

// source is an address that the peer has proven to be its own.
type source struct {
	addr      netip.AddrPort
	priority  uint32
	seen      int64
	nominated bool // by any check
	wanted    bool // by the last one
}

// New returns the agent of a peer with which these credentials were exchanged.
func New(c media.ICE) *Agent {
	return &Agent{username: c.Local.Ufrag + ":" + c.Remote.Ufrag, signer: newSigner(c.Local.Password.Reveal()), selected: -1}
}

// Take judges a packet and returns what is to be sent back to where it came
// from, which stays as it is until the next call; false for a packet that is no
// check of the peer's. now is in nanoseconds.
func (a *Agent) Take(b []byte, from netip.AddrPort, now int64) (answer []byte, ok bool) {
	c, ok := parse(b)
	if !ok || string(c.username) != a.username || !a.signer.made(&c) {
		return nil, false
	}
	switch {
	case c.unknown != 0:
		return a.signer.sign(failure(c.begin(a.out[:], bindingError), unknownAttribute, c.unknown)), true
	case c.controlled:
		// Both cannot be led. Who is lite never leads (RFC 8445 §7.3.1.1).
		return a.signer.sign(failure(c.begin(a.out[:], bindingError), roleConflict, 0)), true
	}
	a.validate(&c, from, now)
	return a.signer.sign(mapped(c.begin(a.out[:], bindingSuccess), from)), true
}

// validate enters a source, which may be the chosen one since.
func (a *Agent) validate(c *check, from netip.AddrPort, now int64) {
	i := a.find(from)
	if i < 0 {
		i = a.place()
		a.sources[i] = source{addr: from}
	}
	s := &a.sources[i]
	s.priority, s.seen, s.wanted = c.priority, now, c.nominates
	s.nominated = s.nominated || c.nominates
	if a.selected < 0 || i != a.selected && s.before(&a.sources[a.selected], now) {
		a.selected = i
	}
}

// before reports whether a source that was just checked takes the place of the
// chosen one. Peers nominate one source, later perhaps another, or, by an older
// rule, all of them, and mean that of the highest priority (RFC 5245 §8.1.1.2).
func (s *source) before(chosen *source, now int64) bool {
	switch {
	case now-chosen.seen > stale:
		return true
	case chosen.nominated && !s.wanted:
		return false
	case s.wanted && !chosen.wanted:
		return true
	}
	return s.priority > chosen.priority
}

func (a *Agent) find(from netip.AddrPort) int {
	for i := range a.sources[:a.count] {
		if a.sources[i].addr == from {
			return i
		}
	}
	return -1
}

// place is where a new source is kept: a free one, or that of the one that was
// silent for longest.
func (a *Agent) place() int {
	if a.count < maxSources {
		a.count++
		return a.count - 1
	}
	oldest := -1
	for i := range a.sources {
		if i != a.selected && (oldest < 0 || a.sources[i].seen < a.sources[oldest].seen) {
			oldest = i
		}
	}
	return oldest
}

// Valid reports whether packets from a source can be the peer's.
func (a *Agent) Valid(from netip.AddrPort) bool { return a.find(from) >= 0 }

// Selected is the source to send to; invalid: none yet.
func (a *Agent) Selected() netip.AddrPort {
	if a.selected < 0 {
		return netip.AddrPort{}
	}
	return a.sources[a.selected].addr
}

// Resume believes in a source that an earlier agent had chosen.
func (a *Agent) Resume(from netip.AddrPort, now int64) {
	a.sources[0], a.count, a.selected = source{addr: from, seen: now, nominated: true, wanted: true}, 1, 0
}
