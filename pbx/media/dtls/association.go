package dtls

import (
	"context"
	"net/netip"
	"sync"

	"github.com/dipcast/dipcast/pbx/media"
)

// maxTries is how many handshakes one association may begin.
const maxTries = 8

// Options are what an association is built of.
type Options struct {
	Identity *Identity
	Stream   media.DTLS
	// Proven is as in Config, of every source that Take is told of.
	Proven bool
	// Send sends a packet from the stream's socket; it must not block, nor keep
	// the packet, nor call the association.
	Send func(packet []byte, to netip.AddrPort)
	// Agreed takes the keys of a handshake, Failed why one brought none. They
	// are called from the goroutines that Go starts.
	Agreed func(keys media.Crypto)
	Failed func(peer netip.AddrPort, err error)
	// Go starts a goroutine and has an owner that waits for it.
	Go func(func())
}

// Association makes the handshakes of one stream, one at a time: that of the
// peer's newest ClientHello, or our own. A ClientHello takes the place of one
// that nobody has answered, so that a forged one that came first keeps nobody
// out. Its methods may be called from any goroutine and never block.
type Association struct {
	o Options

	mu      sync.Mutex
	ended   bool
	tries   int
	current *try
}

// try is one handshake at work, or its end that lingers.
type try struct {
	*Handshake
	peer  netip.AddrPort
	hello [32]byte // the peer's; zero: we began
	went  bool     // the peer has answered us
	over  bool     // it has brought keys and lingers
	stop  context.CancelFunc
}

// NewAssociation returns an association that waits for the peer, or for
// Approach.
func NewAssociation(o Options) *Association { return &Association{o: o} }

// Take takes a packet of the peer. It reports false for one that it does not
// use.
func (a *Association) Take(b []byte, from netip.AddrPort) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.current
	hello, begins := Hello(b)
	switch {
	case a.ended:
		return false
	case begins && !a.o.Stream.Active && (t == nil || t.hello != hello && (!t.went || t.over)):
		if !a.begin(from, hello) {
			return false
		}
		t = a.current
	case t == nil || t.peer != from:
		return false
	case answers(b):
		t.went = true
	}
	t.Take(b)
	return true
}

// answers reports whether a packet says more than a ClientHello.
func answers(b []byte) bool {
	const epoch, message = 4, 13
	return Is(b) && (b[0] == 20 || b[0] == 22 && (b[epoch] != 0 || b[message] != 1))
}

// Approach begins the handshake with the peer at an address, once, if that is
// our part.
func (a *Association) Approach(to netip.AddrPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.o.Stream.Active && !a.ended && to.IsValid() && a.tries == 0 {
		a.begin(to, [32]byte{})
	}
}

// End gives up what is at work. Nothing is sent any more once it returns. A nil
// association has nothing at work.
func (a *Association) End() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	if a.current != nil {
		a.current.stop()
	}
}

// begin starts a handshake in place of the one before; false if there were too
// many, or SDP told another certificate than this process has: then it was an
// earlier process that made the keys. It is called under mu.
func (a *Association) begin(peer netip.AddrPort, hello [32]byte) bool {
	if a.tries >= maxTries || a.o.Identity == nil || a.o.Identity.Fingerprint() != a.o.Stream.Own {
		return false
	}
	a.tries++
	if a.current != nil {
		a.current.stop()
	}
	ctx, stop := context.WithCancel(context.Background())
	t := &try{peer: peer, hello: hello, stop: stop}
	t.Handshake = New(Config{
		Identity: a.o.Identity, Peer: a.o.Stream.Peer, Active: a.o.Stream.Active, Proven: a.o.Proven,
		Send: func(b []byte) { a.send(t, b) },
	})
	a.current = t
	a.o.Go(func() { a.run(ctx, t) })
	return true
}

func (a *Association) send(t *try, b []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ended && a.current == t {
		a.o.Send(b, t.peer)
	}
}

// run is the goroutine of one handshake.
func (a *Association) run(ctx context.Context, t *try) {
	defer t.stop()
	keys, err := t.Run(ctx)
	if !a.settled(t, err == nil) {
		return // nobody wants it any more; Run has ended what it began
	}
	if err != nil {
		a.o.Failed(t.peer, err)
		return
	}
	a.o.Agreed(keys)
	t.Linger(ctx)
	a.leave(t)
}

// settled notes what became of a handshake; false if it had lost its place. One
// that failed leaves it to the next; where it is ours to begin that is at once.
func (a *Association) settled(t *try, ok bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || a.current != t {
		if ok {
			t.close()
		}
		return false
	}
	if t.over = ok; !ok {
		a.current = nil
		if a.o.Stream.Active {
			a.begin(t.peer, [32]byte{})
		}
	}
	return true
}

func (a *Association) leave(t *try) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current == t {
		a.current = nil
	}
}
