package call

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call/state"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/dialplan"
	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/mailbox"
	"github.com/dipcast/dipcast/pbx/media"
)

// The names under which the engine asks for sounds. It asks again when one
// comes to its end, so that a short one is heard as a loop.
const (
	SoundRingback = "ringback" // the callee's phone rings
	SoundConfirm  = "confirm"  // asks the mobile to press 1
	SoundHold     = "hold"     // the other side holds the call
)

// Sounds hands out audio by name: a new source at each call, nil if there is
// no such sound (the peer then hears silence).
type Sounds interface {
	Sound(name string) media.Source
}

// Config is what an Engine needs. Document, Dialer and Sink must be set.
type Config struct {
	// Document returns the document in force; each call keeps the one that it
	// began with.
	Document func() *conf.Document
	Dialer   leg.Dialer
	Sink     pbx.EventSink
	Sounds   Sounds            // nil: silence
	Now      func() time.Time  // nil: time.Now
	NewID    func() pbx.CallID // nil: 130 random bits
	Log      *slog.Logger      // nil: no log
	Timing   Timing
	// Recordings records the calls of companies that want it; nil: none.
	Recordings Recordings
	// Journal keeps answered calls beyond the life of the process; nil: they
	// end with it.
	Journal journal.Store
}

// retryAfter is what a refused caller is told to wait, in seconds.
const retryAfter = 30

// Engine runs the calls of one tenant. It implements leg.Receiver and
// pbx.Controller. Its methods may be called from any goroutine.
type Engine struct {
	cfg    Config
	states *journal.Table[State]

	mu       sync.Mutex
	calls    map[pbx.CallID]*run
	draining bool          // no new calls but emergencies
	closed   bool          // no new calls at all
	idle     chan struct{} // closed and replaced whenever the last call has ended
	tap      *dialplan.Guard
	running  sync.WaitGroup
	pool     *mailbox.Pool
	legs     atomic.Int64 // that are not over: each has a media port
	leaving  atomic.Bool  // another process goes on with the calls
}

var (
	_ leg.Receiver   = (*Engine)(nil)
	_ pbx.Controller = (*Engine)(nil)
)

// New returns an engine. Close ends it.
func New(cfg Config) *Engine {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.NewID == nil {
		cfg.NewID = func() pbx.CallID { return pbx.CallID(strings.ToLower(rand.Text())) }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Timing = cfg.Timing.WithDefaults()
	return &Engine{
		cfg: cfg, states: journal.NewTable[State](cfg.Journal, Kind), pool: mailbox.NewPool(), tap: dialplan.NewGuard(cfg.Now, cfg.Journal),
		calls: make(map[pbx.CallID]*run), idle: make(chan struct{}),
	}
}

// Receive implements leg.Receiver: it routes an incoming call. Calls above
// the limit of the class and calls of an engine that drains are refused with
// 503 and Retry-After, except to emergency numbers.
func (e *Engine) Receive(ctx context.Context, in leg.Incoming) (leg.Listener, *leg.Refusal) {
	if in.MaxForwards == 1 {
		// The next hop would get none (RFC 3261 §16.3 item 3): a loop ends here.
		return nil, &leg.Refusal{Cause: pbx.Cause{SIP: 483, Q850: 25, Text: "too many hops"}}
	}
	doc := e.cfg.Document()
	from := dialplan.Caller(doc, in.From)
	now := e.cfg.Now()
	plan := dialplan.Resolve(doc, dialplan.Query{Dialled: in.Dialled, From: from, Now: now})
	s := state.New(e.cfg.NewID(), now, dialplan.Visible(in.Dialled), plan)
	s.From, s.Codec, s.Timing, s.Hops = from, in.Codec, e.cfg.Timing, max(0, in.MaxForwards-1)
	s.Begin(in.Leg.ID(), in.Leg.SIPCallID())
	r, err := e.launch(doc, s, plan.Emergency, func(r *run) { r.legs[in.Leg.ID()] = in.Leg }, start{plan.Refusal})
	if err != nil {
		cause := pbx.Cause{SIP: 503, Q850: 42, Text: err.Text}
		e.refused(s, cause)
		return nil, &leg.Refusal{Cause: cause, RetryAfter: retryAfter}
	}
	e.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "call begins", slog.String("call", string(s.ID)),
		slog.String("direction", string(s.Direction)), slog.String("plan", strings.Join(plan.Trace, "; ")))
	return r, nil
}

// launch begins a new call, or refuses it.
func (e *Engine) launch(doc *conf.Document, s State, emergency bool, prepare func(*run), first input) (*run, *pbx.Error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch limit := doc.Limits.ConcurrentCalls; {
	case e.closed, e.draining && !emergency:
		return nil, pbx.Errorf(pbx.CodeDraining, "the PBX is being replaced or shut down and takes no new calls")
	case len(e.calls) >= limit && !emergency:
		return nil, pbx.Errorf(pbx.CodeLimit, "all %d calls of the product's limit are in use", limit)
	}
	s.Record = e.records(doc)
	s.Emergency = emergency
	r := newRun(e, doc, s)
	r.emergency = emergency
	prepare(r)
	serve := r.serve
	r.box.Serve(func() { e.pool.Go(serve) })
	e.enter(r)
	r.box.Put(envelope{in: first})
	return r, nil
}

// enter counts a call; the caller holds mu.
func (e *Engine) enter(r *run) {
	e.calls[r.state.ID] = r
	e.legs.Add(int64(len(r.legs)))
	e.running.Add(1)
}

// spareLegs are kept for emergency calls above the limit.
const spareLegs = 4

// room is how many phones one call may ring now, at least one. A call that
// rings many takes a media port for each; what the other calls need of which
// the limit still allows must be left, or they would be refused.
func (e *Engine) room(doc *conf.Document) int {
	ports := doc.Network.Ports
	if ports.RTPTo == 0 {
		return maxFork
	}
	all := (ports.RTPTo - ports.RTPFrom + 1) / 2
	kept := 2*max(0, doc.Limits.ConcurrentCalls-e.Active()) + spareLegs
	return min(maxFork, max(1, all-int(e.legs.Load())-kept))
}

// refused tells the sinks of a call that never began, so that it has a record:
// whoever runs the company wants to know that callers found no line.
func (e *Engine) refused(s State, cause pbx.Cause) {
	m := machine{s: &s, now: s.Started}
	m.emit(pbx.Event{Type: pbx.EventStarted})
	s.Cause = cause
	for i := range s.Legs {
		m.close(&s.Legs[i], cause, pbx.Quality{})
	}
	m.over()
	for _, a := range m.out {
		if a, ok := a.(emit); ok {
			e.cfg.Sink.Handle(*a.Event)
		}
	}
}

// forget removes a call that is over.
func (e *Engine) forget(id pbx.CallID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.calls, id)
	if len(e.calls) == 0 {
		close(e.idle)
		e.idle = make(chan struct{})
	}
}

// Active returns the number of calls that are not over.
func (e *Engine) Active() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.calls)
}

// Hold refuses new calls, except to emergency numbers, until Resume. With
// onlyIfIdle it does so only if no call is up: no call gets in between. The
// result is whether new calls are refused by it.
func (e *Engine) Hold(onlyIfIdle bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if onlyIfIdle && len(e.calls) > 0 {
		return false
	}
	e.draining = true
	return true
}

// Resume takes new calls again after Hold.
func (e *Engine) Resume() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.draining = e.closed
}

// Draining reports whether new calls are refused.
func (e *Engine) Draining() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.draining
}

// Idle waits until no call is up. It returns an error if ctx ends before.
func (e *Engine) Idle(ctx context.Context) error {
	for {
		e.mu.Lock()
		left, idle := len(e.calls), e.idle
		e.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return errors.Join(pbx.Errorf(pbx.CodeDraining, "%d calls have not ended in time", left), context.Cause(ctx))
		}
	}
}

// EndCalls ends every call that is up but those to emergency numbers, and
// returns how many it told so; each ends in its own time.
func (e *Engine) EndCalls() (told int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.calls {
		if !r.emergency {
			r.box.Put(envelope{in: shutdown{}})
			told++
		}
	}
	return told
}

// Close ends all calls, waits a short while for their legs, and returns when
// no goroutine of the engine is left.
func (e *Engine) Close() {
	e.mu.Lock()
	e.draining, e.closed = true, true
	for _, r := range e.calls {
		r.box.Put(envelope{in: shutdown{}})
	}
	e.mu.Unlock()
	e.running.Wait()
	e.pool.Close()
}
