package call

import (
	"cmp"
	"context"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/dialplan"
	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/mailbox"
	"github.com/dipcast/dipcast/pbx/media"
)

// sparable is how many inputs may wait before key presses are dropped: a
// flood of them must not grow a call's mailbox.
const sparable = 256

// envelope is an input on its way to the call's goroutine. Commands carry the
// channel for their answer, which has room for it.
type envelope struct {
	in    input
	reply chan *pbx.Error
}

// run is what owns one call's State: a goroutine of the engine's pool while
// inputs wait, nobody in between. Other goroutines touch box only, and look at
// the state through snapshot.
type run struct {
	e       *Engine
	doc     *conf.Document
	box     *mailbox.Box[envelope]
	mu      sync.Mutex // held while state changes, and by who looks from outside
	state   State      // only the owner changes it
	due     time.Time  // when the timer puts a tick
	timer   *time.Timer
	legs    map[pbx.LegID]leg.Leg
	replies map[int]chan *pbx.Error
	ticket  int
	// emergency is set before the goroutine starts and never changed.
	emergency bool
	mark      journal.Mark // of what the journal holds of the call
	durable   atomic.Bool  // another process would go on with the call
	done      chan struct{}
	front     []input // answers to questions of the step before; they go first
}

var _ leg.Listener = (*run)(nil)

func newRun(e *Engine, doc *conf.Document, s State) *run {
	return &run{
		e: e, doc: doc, box: mailbox.New[envelope](), state: s,
		legs: make(map[pbx.LegID]leg.Leg, 2), replies: make(map[int]chan *pbx.Error), done: make(chan struct{}),
	}
}

// snapshot is the call as it stands, for other goroutines.
func (r *run) snapshot() pbx.Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Snapshot()
}

// change runs f, which changes the state.
func (r *run) change(f func(*State)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.state)
}

// serve owns the call while inputs wait, one goroutine at a time.
func (r *run) serve() {
	for {
		env, ok := r.box.Take()
		if !ok {
			return
		}
		if r.e.leaving.Load() {
			if env.reply != nil {
				env.reply <- pbx.ErrGone
			}
			r.leave()
			return
		}
		r.handle(env)
		if r.state.Phase == pbx.CallOver {
			r.leave()
			return
		}
		if _, ok := env.in.(tick); ok {
			r.due = time.Time{} // it may have come a moment too early
		}
		r.remind()
	}
}

// remind sees to it that a tick comes at the next deadline.
func (r *run) remind() {
	at := r.state.Next()
	if at.Equal(r.due) {
		return
	}
	r.due = at
	if r.timer != nil {
		r.timer.Stop()
	}
	if at.IsZero() {
		return
	}
	wait := at.Sub(r.e.cfg.Now())
	if r.timer == nil {
		r.timer = time.AfterFunc(wait, func() { r.put(tick{}) })
		return
	}
	r.timer.Reset(wait)
}

// leave answers every command that came too late.
func (r *run) leave() {
	defer r.e.running.Done()
	if r.timer != nil {
		r.timer.Stop()
	}
	for _, env := range r.box.Close() {
		if env.reply != nil {
			env.reply <- pbx.ErrGone
		}
	}
	for _, reply := range r.replies {
		reply <- pbx.ErrGone
	}
	r.e.legs.Add(-int64(len(r.legs))) // what a fault has left
	r.e.forget(r.state.ID)
	close(r.done)
}

// handle feeds one input and what follows from it. A panic, which only a bug
// can cause, ends this call and no other.
func (r *run) handle(env envelope) {
	defer func() {
		if v := recover(); v != nil {
			r.e.cfg.Log.Error("call ends by a fault in the PBX",
				"call", r.state.ID, "panic", v, "stack", string(debug.Stack()))
			r.crash()
		}
	}()
	in := env.in
	if env.reply != nil {
		r.ticket++
		r.replies[r.ticket] = env.reply
		in = ticketed(in, r.ticket)
	}
	r.front = append(r.front, in)
	for len(r.front) > 0 {
		in, r.front = r.front[0], r.front[1:]
		actions := r.step(in)
		r.keep()
		for _, a := range actions {
			r.execute(a)
		}
	}
}

func (r *run) step(in input) []action {
	r.mu.Lock()
	defer r.mu.Unlock()
	return step(&r.state, r.e.cfg.Now(), in)
}

// ticketed returns the command with the ticket under which it is answered.
func ticketed(in input, ticket int) input {
	switch c := in.(type) {
	case press:
		c.Ticket = ticket
		return c
	case hangup:
		c.Ticket = ticket
		return c
	default:
		return in
	}
}

// crash ends the call without step: all legs end, the record is written.
func (r *run) crash() {
	cause := pbx.Cause{SIP: 500, Q850: 41, Text: "Fault in the PBX"}
	for _, l := range r.legs {
		func() {
			defer func() { _ = recover() }() // the leg may be what is broken
			l.End(cause)
		}()
	}
	m := machine{s: &r.state, now: r.e.cfg.Now()}
	r.change(func(s *State) {
		if s.Taping {
			r.endRecording(endRecording{Leg: s.Caller, At: m.now}).apply(&m)
		}
		for i := range s.Legs {
			m.close(&s.Legs[i], cause, pbx.Quality{})
		}
		if s.Cause == (pbx.Cause{}) {
			s.Cause = cause
		}
		m.over()
	})
	r.front = nil
	r.keep()
	for _, a := range m.out {
		switch a.(type) {
		case emit, meter, hear, play:
			func() {
				defer func() { _ = recover() }()
				r.execute(a)
			}()
		}
	}
}

// execute does one action.
func (r *run) execute(a action) {
	switch a := a.(type) {
	case dial:
		a.Dial.Codec = r.codec(r.state.Caller, a.Dial.Codec)
		r.legs[a.Dial.Leg] = r.e.cfg.Dialer.Dial(a.Dial, r)
		r.e.legs.Add(1)
		r.named(a.Dial.Leg)
	case ring:
		r.on(a.Leg, leg.Leg.Ring)
	case progress:
		r.prefer(a.Leg, a.With)
		r.on(a.Leg, leg.Leg.Progress)
	case answer:
		r.prefer(a.Leg, a.With)
		r.on(a.Leg, leg.Leg.Answer)
	case end:
		r.on(a.Leg, func(l leg.Leg) { l.End(a.Cause) })
	case present:
		r.on(a.Leg, func(l leg.Leg) { l.Present(a.Party) })
	case sendDigit:
		r.sendDigit(a)
	case hear:
		r.hear(a)
	case play:
		r.on(a.Leg, func(l leg.Leg) { l.Media().Play(r.sound(a.Sound)) })
	case meter:
		if a.Running {
			r.e.tap.Talking(r.doc, a.Leg, a.Since)
		} else {
			r.e.tap.Over(r.doc, a.Leg)
		}
	case record:
		r.front = append(r.front, r.record(a))
	case endRecording:
		r.front = append(r.front, r.endRecording(a))
	case lookUp:
		r.front = append(r.front, r.lookUp(a))
	case replan:
		s := &r.state
		r.front = append(r.front, replanned{Ask: a.Ask, Plan: dialplan.Resolve(r.doc, dialplan.Query{
			Dialled: a.Number, From: s.From, By: a.By, Visited: s.Visited, Now: r.e.cfg.Now(),
		})})
	case emit:
		r.emit(a.Event)
	case reply:
		if ch, ok := r.replies[a.Ticket]; ok {
			delete(r.replies, a.Ticket)
			ch <- a.Err
		}
	}
}

// codec is what a leg speaks, or the hint if that is not settled yet.
func (r *run) codec(id pbx.LegID, hint string) string {
	if l, ok := r.legs[id]; ok {
		return cmp.Or(l.Media().Quality().Codec, hint)
	}
	return hint
}

// prefer has a leg that is not answered yet take the other's codec.
func (r *run) prefer(id, with pbx.LegID) {
	if codec := r.codec(with, ""); codec != "" {
		r.on(id, func(l leg.Leg) { l.Prefer(codec) })
	}
}

func (r *run) on(id pbx.LegID, do func(leg.Leg)) {
	if l, ok := r.legs[id]; ok {
		do(l)
	}
}

// named writes the new leg's Call-ID into the state.
func (r *run) named(id pbx.LegID) {
	sipCallID := r.legs[id].SIPCallID()
	r.change(func(s *State) {
		if l := s.Leg(id); l != nil {
			l.SIPCallID = sipCallID
		}
	})
}

func (r *run) hear(a hear) {
	from, ok := r.legs[a.From]
	if !ok {
		return
	}
	var to media.Port
	if l, ok := r.legs[a.To]; ok {
		to = l.Media()
	}
	from.Media().Hear(to)
}

// sendDigit is the one place that decides who carries a key press. One that
// came as RFC 4733 events was relayed by the media plane to a peer that takes
// them, and sending it again would double it; in every other case only we can
// pass it on.
func (r *run) sendDigit(a sendDigit) {
	to := r.legs[a.To]
	if to == nil || a.InRTP && to.Media().TakesKeys() {
		return
	}
	to.SendDigit(a.Digit)
}

func (r *run) sound(name string) media.Source {
	if name == "" || r.e.cfg.Sounds == nil {
		return nil
	}
	return r.e.cfg.Sounds.Sound(name)
}

func (r *run) lookUp(a lookUp) found {
	f := found{Ask: a.Ask, Contacts: make(map[string][]pbx.Contact, len(a.Extensions))}
	f.Room = r.e.room(r.doc)
	for _, e := range a.Extensions {
		if contacts := r.e.cfg.Dialer.Contacts(e); len(contacts) > 0 {
			f.Contacts[e] = contacts
		}
	}
	var down []string
	for _, w := range a.Ways {
		if r.e.cfg.Dialer.TrunkUp(w.Trunk) {
			f.Up = append(f.Up, w.Trunk)
		} else {
			down = append(down, w.Trunk)
		}
	}
	if a.Emergency {
		f.Up = append(f.Up, down...) // what seems down or full is the last hope, not none
	}
	if len(f.Up) > 0 && !a.Emergency {
		f.Refused = r.e.admit(r.doc)
	}
	return f
}

func (r *run) emit(ev *pbx.Event) {
	switch ev.Type {
	case pbx.EventLegEnded:
		if _, ok := r.legs[ev.Leg]; ok {
			r.e.legs.Add(-1)
			delete(r.legs, ev.Leg)
		}
	case pbx.EventEnded:
		r.e.cfg.Log.Info("call ends", "call", ev.Call.ID, "sip", ev.Call.Cause.SIP,
			"q850", ev.Call.Cause.Q850, "cause", ev.Call.Cause.Text)
	}
	r.e.cfg.Sink.Handle(*ev)
}

// ask puts a command to the call and waits for its answer.
func (r *run) ask(ctx context.Context, in input) error {
	answer := make(chan *pbx.Error, 1)
	if !r.box.Put(envelope{in: in, reply: answer}) {
		return pbx.ErrGone
	}
	select {
	case err := <-answer:
		if err != nil {
			return err
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *run) put(in input) { r.box.Put(envelope{in: in}) }

// LegRinging implements leg.Listener.
func (r *run) LegRinging(id pbx.LegID) { r.put(legRinging{id}) }

// LegProgress implements leg.Listener.
func (r *run) LegProgress(id pbx.LegID) { r.put(legProgress{id}) }

// LegAnswered implements leg.Listener.
func (r *run) LegAnswered(id pbx.LegID) { r.put(legAnswered{id}) }

// LegHeld implements leg.Listener.
func (r *run) LegHeld(id pbx.LegID, held bool) { r.put(legHeld{id, held}) }

// LegDigit implements leg.Listener.
func (r *run) LegDigit(id pbx.LegID, digit rune, inRTP bool) {
	r.box.PutBelow(sparable, envelope{in: legDigit{id, digit, inRTP}})
}

// LegSilent implements leg.Listener.
func (r *run) LegSilent(id pbx.LegID) { r.put(legSilent{id}) }

// LegPlayed implements leg.Listener.
func (r *run) LegPlayed(id pbx.LegID) { r.put(legPlayed{id}) }

// LegMoved implements leg.Listener.
func (r *run) LegMoved(id pbx.LegID, number string) { r.put(legMoved{id, number}) }

// LegOver implements leg.Listener.
func (r *run) LegOver(id pbx.LegID, cause pbx.Cause, q pbx.Quality) { r.put(legOver{id, cause, q}) }
