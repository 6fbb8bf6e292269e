package server

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/journal"
)

const (
	// helpPatience is how long a hand-over waits for the answer to an emergency
	// call; the pod's grace period is longer.
	helpPatience = 45 * time.Second
	helpLooks    = 50 * time.Millisecond
	// pressPatience is how long it waits for presses under way.
	pressPatience = time.Second
)

// lockPatience is how long a start waits for the process before to be gone, which
// may wait for help that rings.
const lockPatience = helpPatience + 10*time.Second

// openJournal reads what the process before has left. Its lock makes sure that
// no two processes have one data folder.
func (s *Server) openJournal(ctx context.Context, _, _ []netip.Addr) (err error) {
	patient, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	s.journal, err = journal.Open(patient, filepath.Join(s.opts.DataDir, "calls.journal"), s.keys.journal, journal.Options{Log: s.log})
	if err != nil {
		return err
	}
	s.onClose(func() {
		if s.leaves {
			// Not before: packets that come meanwhile would be answered with an error.
			s.opts.Keeper.Release()
		}
		if err := s.journal.Close(); err != nil {
			s.log.Error("the journal of live calls did not close", "error", err)
		}
	})
	return nil
}

// takeUp goes on with the calls of the process before. Legs that no call knows
// are hung up, and what rang stops.
func (s *Server) takeUp() {
	s.agent.StopRinging()
	if calls := s.engine.TakeUp(); calls > 0 {
		s.log.Info("the calls of the process before go on", "calls", calls)
	}
	s.agent.EndRest()
}

// handOver leaves the calls to the next process: nobody is told anything. What
// the legs write last is how their ports have stopped.
func (s *Server) handOver(ctx context.Context) {
	s.log.Info("another process takes over", "calls", s.engine.Active())
	s.leaves = !errors.Is(context.Cause(ctx), ErrRestart)
	s.awaitHelp()
	served, cancel := context.WithTimeout(context.Background(), pressPatience)
	defer cancel()
	s.web.Leave(served)
	s.hold.endWith(s.agent.Leave)
	s.engine.HandOver()
	s.opts.Keeper.HandOver()
	s.pool.Leave() // at once: what comes now waits for the next process
	s.agent.HandOver()
}

// leaveCalls ends the engine. A server that never ran has ended nobody's call:
// those that it took up are for the next process.
func (s *Server) leaveCalls() {
	if s.ran {
		s.engine.Close()
		return
	}
	s.engine.HandOver()
	s.agent.HandOver()
}

// fan hands events to sinks that are made after the engine; those that come
// before wait for them.
type fan struct {
	sinks atomic.Pointer[pbx.EventSinks]
	mu    sync.Mutex
	early []pbx.Event
}

// Handle implements pbx.EventSink.
func (f *fan) Handle(e pbx.Event) {
	sinks := f.sinks.Load()
	if sinks == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if sinks = f.sinks.Load(); sinks == nil {
			f.early = append(f.early, e)
			return
		}
	}
	sinks.Handle(e)
}

// open hands over what has waited, and everything from now on.
func (f *fan) open(sinks pbx.EventSinks) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.early {
		sinks.Handle(e)
	}
	f.early = nil
	f.sinks.Store(&sinks)
}
