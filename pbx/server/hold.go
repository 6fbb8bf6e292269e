package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

// errCallsUp answers a drain that was to begin only if no call is up.
var errCallsUp = errors.New("calls are up: nothing was changed")

// caller is what begins and ends calls: the engine.
type caller interface {
	Hold(onlyIfIdle bool) bool
	Resume()
	EndCalls() int
}

// edge refuses calls before the engine has to: the SIP side.
type edge interface {
	Drain()
	Resume()
}

// holder refuses new calls for a while. A hold ends by itself, when it is
// released, or when another takes its place; the last one, of a process that
// ends, stays. It owns one goroutine for the hold in force; close waits for it.
type holder struct {
	calls caller
	edge  edge
	log   *slog.Logger

	mu    sync.Mutex // held while calls, edge and the fields below change
	stop  context.CancelFunc
	final bool // the process ends
	gone  bool // the drain in force is conf.Drain.Final
	wg    sync.WaitGroup
}

// begin puts a drain in force in place of the one before. On errCallsUp that
// one goes on as it was.
func (h *holder) begin(d conf.Drain) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	// The engine decides: a call that passes the SIP side at this moment is
	// either up before, or refused by it.
	if !h.calls.Hold(d.IfIdle) {
		return errCallsUp
	}
	if h.final {
		return nil
	}
	h.edge.Drain()
	h.replace()
	h.gone = d.Final
	ctx, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.log.Info("new calls are refused", "for", d.Hold, "calls end after", d.EndCallsAfter, "final", d.Final)
	h.wg.Go(func() { h.keep(ctx, d) })
	return nil
}

// replace ends the goroutine of the hold in force; the caller holds mu.
func (h *holder) replace() {
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

// keep waits for the moments of one hold.
func (h *holder) keep(ctx context.Context, d conf.Drain) {
	if d.EndCallsAfter > 0 {
		if !pause(ctx, d.EndCallsAfter.D()) {
			return
		}
		h.step(ctx, func() { h.log.Warn("calls are ended so that the PBX can be replaced", "calls", h.calls.EndCalls()) })
	}
	if pause(ctx, (d.Hold - d.EndCallsAfter).D()) {
		h.step(ctx, h.release)
	}
}

// step does what a hold is to do, unless it is no longer in force.
func (h *holder) step(ctx context.Context, f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() == nil {
		f()
	}
}

// release takes new calls again; the caller holds mu.
func (h *holder) release() {
	h.replace()
	if h.final {
		return
	}
	h.gone = false
	h.calls.Resume()
	h.edge.Resume()
	h.log.Info("new calls are taken again")
}

// resume ends the hold in force, if there is one.
func (h *holder) resume() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stop != nil {
		h.release()
	}
}

// goesForGood reports whether nobody takes the place of this PBX.
func (h *holder) goesForGood() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gone
}

// end refuses new calls for good and waits for the goroutine.
func (h *holder) end() { h.endWith(h.edge.Drain) }

// endWith is end with another way to tell the SIP side.
func (h *holder) endWith(refuse func()) {
	h.mu.Lock()
	h.final = true
	h.replace()
	h.calls.Hold(false)
	refuse()
	h.mu.Unlock()
	h.wg.Wait()
}

// pause waits; false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
