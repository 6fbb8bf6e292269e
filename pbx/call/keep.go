package call

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// Kind is what the records of calls are called in the journal: the State of
// each call of which a leg was answered, by its call ID.
const Kind = "call"

// handOverTime is how long calls that nobody has answered may take to end when
// another process takes over.
const handOverTime = time.Second

// keep writes the state if the call is to outlive the process, before anything
// is done that others can see. A journal that fails tells so by itself: the
// call goes on, and the next change tries again.
func (r *run) keep() {
	s := &r.state
	if r.mark == 0 && (!r.e.states.Keeps() || !s.Talked()) {
		return
	}
	k := s.Kept()
	if mark, err := r.e.states.Put(string(s.ID), &k, r.mark); err == nil {
		r.mark = mark
		r.durable.Store(s.Phase != pbx.CallOver)
	}
}

// TakeUp goes on with the calls that the journal holds from another process,
// whose legs the dialer takes up. It is called once, before anything else, and
// returns how many calls are up again. Calls that were over when their record
// was not yet safe are told to the sink once more.
func (e *Engine) TakeUp() (calls int) {
	for id, s := range e.states.All() {
		switch {
		case string(s.ID) != id || s.Phase == "":
			e.states.Delete(id)
		case s.Phase == pbx.CallOver:
			e.cfg.Sink.Handle(pbx.Event{Type: pbx.EventEnded, Time: s.Ended, Call: s.Snapshot()})
		default:
			e.takeUp(*s)
			calls++
		}
	}
	return calls
}

func (e *Engine) takeUp(s State) {
	if e.cfg.Recordings == nil {
		s.Record, s.Taping = false, false
	}
	r := newRun(e, e.cfg.Document(), s)
	r.emergency = s.Emergency
	// What the legs tell meanwhile waits until the call knows which it has.
	ready := make(chan struct{})
	r.box.Serve(func() {
		e.pool.Go(func() {
			<-ready
			r.serve()
		})
	})
	var in restart
	for i := range s.Legs {
		l := &s.Legs[i]
		if l.State != pbx.LegConfirmed {
			continue
		}
		if taken, ok := e.cfg.Dialer.TakeUp(l.ID, r); ok {
			r.legs[l.ID] = taken
			in.Live = append(in.Live, l.ID)
		}
	}
	r.front = []input{in}
	e.mu.Lock()
	e.enter(r)
	e.mu.Unlock()
	close(ready)
	r.box.Put(envelope{in: tick{}})
	e.cfg.Log.Info("a call is taken up", "call", s.ID, "legs", len(in.Live))
}

// Recorded forgets a call that is over: its record is safe.
func (e *Engine) Recorded(id pbx.CallID) { e.states.Delete(string(id)) }

// HelpIsNear reports whether somebody waits for an answer at an emergency number.
func (e *Engine) HelpIsNear() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(slices.Collect(maps.Values(e.calls)), func(r *run) bool { return r.emergency && !r.durable.Load() })
}

// HandOver leaves the calls to another process: those that the journal holds
// stop where they are, without a word to their phones; those that nobody has
// answered end, for which there is a moment. It returns when no goroutine of
// the engine is left.
func (e *Engine) HandOver() {
	e.mu.Lock()
	e.draining, e.closed = true, true
	var ending []*run
	for _, r := range e.calls {
		if !r.durable.Load() {
			r.box.Put(envelope{in: shutdown{}})
			ending = append(ending, r)
		}
	}
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), handOverTime)
	defer cancel()
	for _, r := range ending {
		select {
		case <-r.done:
		case <-ctx.Done():
		}
	}
	e.leaving.Store(true)
	e.mu.Lock()
	for _, r := range e.calls {
		r.box.Put(envelope{in: tick{}}) // so that it sees that it has to leave
	}
	e.mu.Unlock()
	e.running.Wait()
	e.pool.Close()
}
