package digest

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Verdict is what an Authorization header is worth.
type Verdict int

// The verdicts.
const (
	Wrong    Verdict = iota // no answer to a nonce of ours, or a wrong one
	Stale                   // right, but the nonce is too old: challenge anew with stale=true
	Repeated                // right, and the very request that was accepted a moment ago
	Right
	// Guessed is Wrong with a nonce that we issued to this source: somebody
	// who can hear our answers does not know the secret.
	Guessed
)

// Authority issues challenges and checks answers. Its methods may be called
// from any goroutine.
type Authority struct {
	mu       sync.Mutex
	mac      hash.Hash // keyed; under mu
	dummy    string    // the secret of users that do not exist
	lifetime time.Duration
	counter  atomic.Uint32
	seen     seen
}

// NewAuthority returns an authority whose nonces live for lifetime and which
// remembers the nonce counts of at most remember nonces.
func NewAuthority(random io.Reader, lifetime time.Duration, remember int) (*Authority, error) {
	a := &Authority{lifetime: lifetime}
	var key [32]byte
	var dummy [16]byte
	if _, err := io.ReadFull(random, key[:]); err != nil {
		return nil, fmt.Errorf("key for nonces: %w", err)
	}
	if _, err := io.ReadFull(random, dummy[:]); err != nil {
		return nil, fmt.Errorf("key for nonces: %w", err)
	}
	a.dummy = string(dummy[:])
	a.mac = hmac.New(sha256.New, key[:])
	a.seen.init(remember)
	return a, nil
}

const (
	nonceHead = 12 // eight bytes of time, four of counter
	nonceSize = nonceHead + 16
)

// Challenges returns the values of WWW-Authenticate headers: MD5, and before it
// SHA-256 (RFC 8760 §2.4) if strong is set. Check takes either algorithm.
func (a *Authority) Challenges(realm string, source netip.Addr, stale, strong bool, now time.Time) []string {
	tail := ""
	if stale {
		tail = ", stale=true"
	}
	head := "Digest realm=" + quote(realm) + `, nonce="` + a.nonce(source, now) + `", qop="auth", algorithm=`
	if !strong {
		return []string{head + "MD5" + tail}
	}
	return []string{head + "SHA-256" + tail, head + "MD5" + tail}
}

func (a *Authority) nonce(source netip.Addr, now time.Time) string {
	var raw [nonceSize]byte
	binary.BigEndian.PutUint64(raw[:], uint64(now.UnixNano()))
	binary.BigEndian.PutUint32(raw[8:], a.counter.Add(1))
	a.sign(&raw, source)
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// sign fills in the keyed hash over time, counter and source.
func (a *Authority) sign(raw *[nonceSize]byte, source netip.Addr) {
	addr := source.Unmap().As16()
	var out [sha256.Size]byte
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mac.Reset()
	a.mac.Write(raw[:nonceHead])
	a.mac.Write(addr[:])
	copy(raw[nonceHead:], a.mac.Sum(out[:0]))
}

// open checks that a nonce is ours and was given to that source.
func (a *Authority) open(nonce string, source netip.Addr) (issued time.Time, id uint32, ok bool) {
	var raw, want [nonceSize]byte
	if base64.RawURLEncoding.DecodedLen(len(nonce)) != nonceSize {
		return time.Time{}, 0, false
	}
	if _, err := base64.RawURLEncoding.Decode(raw[:], []byte(nonce)); err != nil {
		return time.Time{}, 0, false
	}
	copy(want[:nonceHead], raw[:nonceHead])
	a.sign(&want, source)
	ok = subtle.ConstantTimeCompare(raw[:], want[:]) == 1
	return time.Unix(0, int64(binary.BigEndian.Uint64(raw[:]))), binary.BigEndian.Uint32(raw[8:]), ok
}

// Attempt is what one request offers as proof.
type Attempt struct {
	Credentials Credentials
	Method      string
	Realm       string
	Source      netip.Addr
	// Request identifies the request, so that its retransmission is not taken
	// for a replay.
	Request string
}

// Check judges an attempt against the user's secret; known is false if there
// is no such user, which takes the same time as a wrong secret.
func (a *Authority) Check(t *Attempt, secret string, known bool, now time.Time) Verdict {
	issued, id, ours := a.open(t.Credentials.Nonce, t.Source)
	if !known {
		secret = a.dummy
	}
	right := verify(&t.Credentials, t.Realm, secret, t.Method) && known
	switch {
	case !ours:
		return Wrong
	case !right:
		return Guessed
	}
	nc, ok := t.Credentials.count()
	if !ok {
		return Guessed
	}
	if now.Sub(issued) > a.lifetime || now.Before(issued) {
		return Stale
	}
	return a.seen.use(id, issued, nc, t.Request, now)
}

// count returns the nonce count; a digest without qop (RFC 2069) counts as
// the first use and so is good once.
func (c *Credentials) count() (uint32, bool) {
	if c.QOP == "" {
		return 1, true
	}
	n, err := strconv.ParseUint(c.NC, 16, 32)
	return uint32(n), err == nil && len(c.NC) == 8 && n > 0
}

// First reports whether the nonce is used for the first time: there was a
// request before it that was challenged.
func (c *Credentials) First() bool {
	n, ok := c.count()
	return ok && n == 1
}

// verify computes the digest in any case, so that it takes the same time
// whatever is wrong.
func verify(c *Credentials, realm, secret, method string) bool {
	h := newHash(c.Algorithm)
	sane := h != nil && (c.QOP == "" || strings.EqualFold(c.QOP, "auth")) && c.Realm == realm
	if h == nil {
		h = newHash("MD5")
	}
	want := response(h, c, realm, secret, method)
	return subtle.ConstantTimeCompare([]byte(strings.ToLower(c.Response)), []byte(want)) == 1 && sane
}

// repeatFor is how long a retransmission may follow its request (RFC 3261
// §17.1.2.2, Timer F).
const repeatFor = 32 * time.Second

// seen remembers which counts of which nonces were used, in two generations
// that each hold half of what may be remembered. When a generation is full the
// older one is forgotten, and with it every nonce issued before the youngest
// forgotten one is refused as stale.
type seen struct {
	mu       sync.Mutex
	half     int
	now, old map[nonceID]*uses
	newest   time.Time // youngest nonce in now
	oldest   time.Time // youngest nonce in old
	floor    time.Time // nonces up to here are forgotten
}

type nonceID struct {
	at int64
	id uint32
}

type uses struct {
	max     uint32
	window  uint64 // bit i: max-i was used
	request string // the last one
	at      time.Time
}

func (s *seen) init(remember int) {
	s.half = max(1, remember/2)
	s.now = make(map[nonceID]*uses)
	s.old = make(map[nonceID]*uses)
}

// use takes one count of a nonce whose digest was right.
func (s *seen) use(id uint32, issued time.Time, nc uint32, request string, now time.Time) Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := nonceID{issued.UnixNano(), id}
	u := s.now[key]
	if u == nil {
		if u = s.old[key]; u == nil && !issued.After(s.floor) {
			return Stale
		}
		if u == nil {
			u = &uses{}
		}
		s.keep(key, u, issued)
	}
	if u.window != 0 && u.request == request && now.Sub(u.at) <= repeatFor && nc == u.max {
		return Repeated
	}
	if !u.take(nc) {
		return Guessed
	}
	u.request, u.at = request, now
	return Right
}

// take marks a count as used; it reports false if it was used or is too old.
func (u *uses) take(nc uint32) bool {
	switch {
	case u.window == 0:
		u.max, u.window = nc, 1
	case nc > u.max:
		u.window = u.window<<min(64, nc-u.max) | 1
		u.max = nc
	default:
		bit := uint64(1) << min(63, u.max-nc)
		if u.max-nc > 63 || u.window&bit != 0 {
			return false
		}
		u.window |= bit
	}
	return true
}

func (s *seen) keep(key nonceID, u *uses, issued time.Time) {
	if len(s.now) >= s.half {
		if s.oldest.After(s.floor) {
			s.floor = s.oldest
		}
		s.old, s.oldest = s.now, s.newest
		s.now, s.newest = make(map[nonceID]*uses, s.half), time.Time{}
	}
	s.now[key] = u
	if issued.After(s.newest) {
		s.newest = issued
	}
}
