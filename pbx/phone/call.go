package phone

import (
	"context"
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"net/netip"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/phone/audio"

	"github.com/dipcast/dipcast/pbx/phone/session"
)

// State is what is known of a call at one moment.
type State struct {
	Ringing  bool // 180 seen, or sent by Ring
	Early    bool // media before the answer
	Answered bool
	Ended    bool
	Holding  bool // by us
	Held     bool // by the peer
	Codec    string
	// PeerName and PeerNumber are whom the peer says to be, after the last
	// P-Asserted-Identity, Remote-Party-ID or, at the begin, From.
	PeerName, PeerNumber string
	Cause                Cause // valid once Ended
}

// Cause says why a call ended.
type Cause struct {
	Code   int    // the final SIP status; 200 after a BYE, 487 after CANCEL
	Text   string // reason phrase, or what we did
	Reason string // the Reason header (RFC 3326) of the CANCEL, BYE or response
	Remote bool   // the peer ended it
}

// Call is one call of a phone, in either direction. Its methods may be called
// from any goroutine.
type Call struct {
	phone    *Phone
	incoming bool
	audio    *audio.Session

	callID   string // never change
	localTag string

	opts DialOptions

	// life is cancelled when the call is over.
	life context.Context //nolint:containedctx // the call's own life, which its goroutines follow
	kill context.CancelFunc

	ringing, answered chan struct{}

	mu        sync.Mutex
	state     State
	changed   chan struct{}
	dialog    dialog
	invite    *sip.Request  // the INVITE that began the call
	closing   *sip.Request  // the CANCEL or BYE that ended it
	refusal   *sip.Response // the final response that ended it
	tx        *sip.ServerTx // of an incoming INVITE
	acked     chan struct{} // of the last 2xx that we sent
	sdpID     uint64
	sdpNow    uint64
	flow      audio.Flow
	peer      session.Remote // the peer's last description
	offering  bool           // our own re-INVITE or UPDATE is on its way
	cancelled bool           // Hangup before the answer
	answering bool           // a 2xx to the INVITE is about to be sent
}

// dialog is RFC 3261 §12's state.
type dialog struct {
	remoteTag string
	local     sip.FromHeader // without tags
	remote    sip.ToHeader
	target    sip.Uri
	routes    []string
	seq       uint32 // of our last request
	remoteSeq uint32 // of the peer's last request, 0 = none yet
}

func (p *Phone) newCall(incoming bool) (*Call, error) {
	s, err := audio.Listen(p.addr.Addr())
	if err != nil {
		return nil, err
	}
	c := &Call{
		phone: p, incoming: incoming, audio: s,
		localTag: rand.Text(), callID: rand.Text(),
		ringing: make(chan struct{}), answered: make(chan struct{}), changed: make(chan struct{}),
		sdpID: mrand.Uint64() >> 2,
	}
	c.life, c.kill = context.WithCancel(p.ctx)
	return c, nil
}

func (c *Call) key() string { return c.callID + " " + c.localTag }

// Incoming reports whether the peer began the call.
func (c *Call) Incoming() bool { return c.incoming }

// CallID returns the Call-ID header.
func (c *Call) CallID() string { return c.callID }

// State returns what is known now.
func (c *Call) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Wait returns when ok holds for the call's state. It fails when the context
// ends, or when the call ends and ok still does not hold.
func (c *Call) Wait(ctx context.Context, ok func(State) bool) error {
	for {
		c.mu.Lock()
		st, changed := c.state, c.changed
		c.mu.Unlock()
		switch {
		case ok(st):
			return nil
		case st.Ended:
			return fmt.Errorf("the call ended first: %d %s", st.Cause.Code, st.Cause.Text)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the call is still %s: %w", st, context.Cause(ctx))
		case <-changed:
		}
	}
}

// String names the state in one word.
func (s State) String() string {
	switch {
	case s.Ended:
		return "ended"
	case s.Held || s.Holding:
		return "on hold"
	case s.Answered:
		return "answered"
	case s.Ringing:
		return "ringing"
	case s.Early:
		return "in early media"
	}
	return "trying"
}

// WaitRinging returns when the peer rings, or has answered.
func (c *Call) WaitRinging(ctx context.Context) error {
	return c.Wait(ctx, func(s State) bool { return s.Ringing || s.Answered })
}

// WaitAnswered returns when the call is answered.
func (c *Call) WaitAnswered(ctx context.Context) error {
	return c.Wait(ctx, func(s State) bool { return s.Answered && !s.Ended })
}

// WaitHeld returns when the peer has put us on hold, or taken us back.
func (c *Call) WaitHeld(ctx context.Context, held bool) error {
	return c.Wait(ctx, func(s State) bool { return s.Held == held && !s.Ended })
}

// WaitEnded returns when the call is over, with its cause.
func (c *Call) WaitEnded(ctx context.Context) (Cause, error) {
	err := c.Wait(ctx, func(s State) bool { return s.Ended })
	return c.State().Cause, err
}

// Done is closed when the call is over.
func (c *Call) Done() <-chan struct{} { return c.life.Done() }

// Cause returns why the call ended; the zero Cause while it has not.
func (c *Call) Cause() Cause { return c.State().Cause }

// set changes the state and wakes the waiters; the lock is held.
func (c *Call) set(f func(*State)) {
	f(&c.state)
	close(c.changed)
	c.changed = make(chan struct{})
}

// end makes the call over. Only the first call counts.
func (c *Call) end(cause Cause, by *sip.Request) {
	c.mu.Lock()
	if c.state.Ended {
		c.mu.Unlock()
		return
	}
	c.closing = by
	c.set(func(s *State) { s.Ended, s.Cause = true, cause })
	c.mu.Unlock()
	c.kill()
	c.audio.Close()
	c.phone.forget(c)
	c.phone.notify(Event{Call: c, Kind: EventEnded, Text: fmt.Sprintf("%d %s %s", cause.Code, cause.Text, cause.Reason)})
}

// InviteHeader returns a header of the INVITE that began the call, empty if
// it has none.
func (c *Call) InviteHeader(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.invite == nil {
		return ""
	}
	return headerValue(c.invite.GetHeader(name))
}

// InviteBody returns the session description of the INVITE that began the
// call.
func (c *Call) InviteBody() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.invite == nil {
		return ""
	}
	return string(c.invite.Body())
}

// EndHeader returns a header of the CANCEL, BYE or final response that ended
// the call.
func (c *Call) EndHeader(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closing != nil:
		return headerValue(c.closing.GetHeader(name))
	case c.refusal != nil:
		return headerValue(c.refusal.GetHeader(name))
	}
	return ""
}

// Dialled returns the user part of the Request-URI of the INVITE.
func (c *Call) Dialled() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.invite == nil {
		return ""
	}
	return c.invite.Recipient.User
}

func headerValue(h sip.Header) string {
	if h == nil {
		return ""
	}
	return h.Value()
}

// identified is a request or a response.
type identified interface {
	GetHeader(name string) sip.Header
	From() *sip.FromHeader
}

// identify takes whom the peer says to be from a message; the lock is held.
func (c *Call) identify(m identified, first bool) (changed bool) {
	name, user := "", ""
	var uri sip.Uri
	for _, h := range []string{"P-Asserted-Identity", "Remote-Party-ID"} {
		v := m.GetHeader(h)
		if v == nil {
			continue
		}
		if display, err := sip.ParseAddressValue(v.Value(), &uri, nil); err == nil {
			name, user = display, uri.User
			break
		}
	}
	if user == "" && first {
		if from := m.From(); from != nil {
			name, user = from.DisplayName, from.Address.User
		}
	}
	name = strings.Trim(name, `"`)
	if user == "" || (name == c.state.PeerName && user == c.state.PeerNumber) {
		return false
	}
	c.set(func(s *State) { s.PeerName, s.PeerNumber = name, user })
	return !first
}

// inDialog begins a request inside the dialog.
func (c *Call) inDialog(method sip.RequestMethod) *draft {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := &draft{
		method: method, uri: *c.dialog.target.Clone(), from: c.dialog.local, toHdr: c.dialog.remote,
		callID: c.callID, routes: c.dialog.routes, to: c.hop(),
		next: func() uint32 {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.dialog.seq++
			return c.dialog.seq
		},
	}
	d.from.Params = d.from.Params.Clone()
	d.toHdr.Params = d.toHdr.Params.Clone()
	d.from.Params.Add("tag", c.localTag)
	if c.dialog.remoteTag != "" {
		d.toHdr.Params.Add("tag", c.dialog.remoteTag)
	}
	return d
}

// hop returns where requests of the dialog go: the first route, else the
// remote target; the lock is held.
func (c *Call) hop() netip.AddrPort {
	uri := c.dialog.target
	if len(c.dialog.routes) > 0 {
		var route sip.Uri
		if _, err := sip.ParseAddressValue(c.dialog.routes[0], &route, nil); err == nil {
			uri = route
		}
	}
	a, err := netip.ParseAddr(strings.Trim(uri.Host, "[]"))
	if err != nil {
		return netip.AddrPort{}
	}
	port := uri.Port
	if port <= 0 || port > 0xffff {
		port = 5060
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(port))
}
