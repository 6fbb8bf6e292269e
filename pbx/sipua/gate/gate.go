package gate

import (
	"errors"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/sipua/gate/ban"
)

// Handler decides about messages that are well formed. Its methods are called
// from the goroutine that reads the socket and must not block.
type Handler interface {
	// Known reports whether a request belongs to a live dialog and comes from
	// its peer, or to a transaction that was let through before, so that it
	// costs its sender nothing.
	Known(m *Message, f *Flow) bool
	// Request takes a request that is sane, or an ACK that has no fault.
	Request(m *Message, f *Flow)
	// Response takes a response whose topmost Via is ours.
	Response(m *Message, f *Flow)
	// Stray takes a 2xx to an INVITE that this process has not sent.
	Stray(m *Message, f *Flow)
	// Closed is told that a connection has ended.
	Closed(f *Flow)
}

// BanLimits say when a source is shut out.
type BanLimits = ban.Limits

// Config is what a Gate needs from outside.
type Config struct {
	Handler Handler
	// Trusted reports whether an address belongs to a trunk: such sources are
	// neither limited nor banned.
	Trusted func(netip.Addr) bool
	// Home reports whether phones are registered or talk at a source (as
	// Network returns it): it is not banned as a whole. nil = not known.
	Home func(netip.Addr) bool
	// Ours reports whether we made the branch of a Via.
	Ours func(branch string) bool
	// Methods are served by the Handler, also if only to be refused;
	// Extensions are the option tags that a request may require.
	Methods, Extensions []string
	// Rate and Burst limit the unproven messages of one source, per second;
	// 0 = 50 and 500.
	Rate, Burst float64
	Bans        BanLimits
	Streams     StreamLimits
	Now         func() time.Time
	Log         *slog.Logger
}

// Counters tell what happened to messages; they only grow.
type Counters struct {
	Received   atomic.Uint64 // messages, datagrams that are none included
	Garbage    atomic.Uint64 // that are not SIP, dropped
	Malformed  atomic.Uint64 // answered with 400
	Refused    atomic.Uint64 // answered by the gate with another status
	Limited    atomic.Uint64 // dropped since the source sent too many
	Banned     atomic.Uint64 // dropped since the source is banned
	Strangers  atomic.Uint64 // messages of those who had proven nothing, whatever became of them
	Proven     atomic.Uint64 // of these, messages of those who proved then who they are
	Strays     atomic.Uint64 // responses to nothing, dropped
	Bans       atomic.Uint64 // bans that began
	Failures   atomic.Uint64 // wrong digests
	Overloaded atomic.Uint64 // answered with 503 for lack of room
	Streams    atomic.Int64  // open connections
	Turned     atomic.Uint64 // connections closed for want of room
	Handshakes atomic.Uint64 // of TLS and WebSocket, that failed
	PanicsHeld atomic.Uint64 // messages whose handling panicked
}

// Unproven is how many messages came of those who proved nothing, not even a
// moment later. It falls where somebody does.
func (c *Counters) Unproven() int64 { return int64(c.Strangers.Load()) - int64(c.Proven.Load()) }

// Gate owns the sockets of one agent.
type Gate struct {
	Counters Counters

	cfg        Config
	rules      rules
	buckets    *buckets
	bans       *ban.List
	tags       tagger
	streams    streams
	handshakes *buckets // with one source: everybody

	mu     sync.Mutex
	closed bool
	open   []interface{ Close() error }
	wg     sync.WaitGroup
}

// ErrClosed is what a Gate returns after Close.
var ErrClosed = errors.New("the SIP gate is closed")

// New returns a gate without sockets.
func New(cfg Config) *Gate {
	if cfg.Rate == 0 {
		cfg.Rate = 50
	}
	if cfg.Burst == 0 {
		cfg.Burst = 500
	}
	g := &Gate{
		cfg:     cfg,
		rules:   rules{methods: cfg.Methods, extensions: cfg.Extensions, ours: cfg.Ours},
		buckets: newBuckets(cfg.Rate, cfg.Burst, bucketSets),
		bans:    ban.New(cfg.Bans, cfg.Home),
		tags:    tagger{maphash.MakeSeed()},
	}
	g.streams.init(cfg.Streams)
	g.handshakes = newBuckets(g.streams.limits.Begun, 2*g.streams.limits.Begun, 1)
	return g
}

// Close closes every socket and connection; Wait returns after it.
func (g *Gate) Close() {
	g.mu.Lock()
	open := g.open
	g.open, g.closed = nil, true
	g.mu.Unlock()
	for _, c := range open {
		_ = c.Close() // there is nobody left to tell
	}
	g.streams.closeAll()
}

// Wait returns when every goroutine of the gate has ended.
func (g *Gate) Wait() { g.wg.Wait() }

// start runs f in a goroutine that Wait awaits, with c closed by Close.
func (g *Gate) start(c interface{ Close() error }, f func()) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		_ = c.Close() // was never served
		return ErrClosed
	}
	g.open = append(g.open, c)
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		f()
	}()
	return nil
}

// Bans returns the list of banned sources.
func (g *Gate) Bans() *ban.List { return g.bans }

// Tag returns the To tag of responses to m; a retransmission gets the same.
func (g *Gate) Tag(m *Message) string { return g.tags.tag(m) }

// Refund gives a source back what its last n messages cost, since one of them
// proved who it is. It must not be more than were sent.
func (g *Gate) Refund(source netip.Addr, n int) {
	if g.cfg.Trusted(source) {
		return // its messages cost nothing
	}
	g.Counters.Proven.Add(uint64(n))
	g.buckets.give(Network(source), float64(n), g.cfg.Now())
}

// message takes one message from a socket. It never panics: a bug that one
// message reaches must not end the service for all.
func (g *Gate) message(packet []byte, f *Flow) {
	g.Counters.Received.Add(1)
	defer func() {
		if p := recover(); p != nil {
			if n := g.Counters.PanicsHeld.Add(1); n&(n-1) == 0 {
				g.cfg.Log.Error("handling a SIP message failed", "panic", p, "source", f.Remote, "times", n)
			}
		}
	}()
	source := Network(f.Remote.Addr())
	trusted := g.cfg.Trusted(f.Remote.Addr())
	if !trusted && g.bans.Source(source, g.cfg.Now()) {
		g.Counters.Banned.Add(1)
		return
	}
	m := Scan(packet)
	switch {
	case m == nil:
		g.Counters.Garbage.Add(1)
		g.spend(source, trusted)
	case !m.IsRequest():
		g.response(m, f)
	case m.Fault == "" && g.cfg.Handler.Known(m, f):
		g.request(m, f)
	case g.spend(source, trusted):
		g.request(m, f)
	}
}

// spend takes one token from the source.
func (g *Gate) spend(source netip.Addr, trusted bool) bool {
	if trusted {
		return true
	}
	g.Counters.Strangers.Add(1)
	if g.buckets.take(source, g.cfg.Now()) {
		return true
	}
	g.Counters.Limited.Add(1)
	return false
}

// response lets responses to our own requests through: one Via, and it is
// ours (RFC 3261 §18.1.2).
func (g *Gate) response(m *Message, f *Flow) {
	sane := m.Fault == "" && m.Via.rest == "" && len(m.Values("via")) == 1
	if sane && g.cfg.Ours(m.Via.Branch) {
		g.cfg.Handler.Response(m, f)
		return
	}
	g.Counters.Strays.Add(1)
	if sane && m.Status/100 == 2 && m.CSeqMethod == "INVITE" {
		g.cfg.Handler.Stray(m, f)
	}
}

func (g *Gate) request(m *Message, f *Flow) {
	refused := g.rules.check(m)
	if refused == nil {
		g.cfg.Handler.Request(m, f)
		return
	}
	if refused.status == 400 {
		g.Counters.Malformed.Add(1)
	} else {
		g.Counters.Refused.Add(1)
	}
	f.Answer(m, &Reply{
		Status: refused.status, Reason: refused.reason, Headers: refused.headers, Tag: g.Tag(m),
	})
}
