package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

// ErrHandOver is the cause of the context that Run got when another process
// takes the PBX's place (SIGTERM): nothing is drained and no phone of a call
// that is up is told anything. After a drain that is conf.Drain.Final nobody
// takes its place, and the calls end as with any other cause.
var ErrHandOver = errors.New("another process takes over")

// ErrRestart is ErrHandOver to a process that is started when this one has ended.
var ErrRestart = fmt.Errorf("%w when this one has ended", ErrHandOver)

// askEvery is the pause between two looks whether the next process is there.
const askEvery = 20 * time.Millisecond

// linger goes on as if nothing was, until the next process asks for its turn, for
// Options.Linger at most. It may be made while this one runs: who removes a pod
// from the API server before its end makes room for the next, and the calls are
// silent for no longer than one takes over from the other. A PBX that refuses new
// calls was told to make room at once.
func (s *Server) linger(ctx context.Context) {
	if s.opts.Linger <= 0 || errors.Is(context.Cause(ctx), ErrRestart) {
		return
	}
	s.log.Info("the calls go on until another process takes over", "calls", s.engine.Active(), "for", s.opts.Linger)
	look(askEvery, s.opts.Linger, func() bool {
		if s.engine.Draining() {
			return true
		}
		awaited, err := s.journal.Awaited()
		if err != nil {
			s.log.Error("it cannot be seen whether another process waits", "error", err)
		}
		return awaited || err != nil
	})
}

// awaitHelp waits until no emergency call rings that a hand-over would end.
// Everything goes on as ever meanwhile.
func (s *Server) awaitHelp() {
	if !look(helpLooks, helpPatience, func() bool { return !s.engine.HelpIsNear() }) {
		s.log.Warn("an emergency call is cut by the hand-over: nobody has answered it", "waited", helpPatience)
	}
}

// look asks again and again until something is so, at once for the first time;
// false if it is not within the limit.
func look(every, limit time.Duration, so func() bool) bool {
	over := time.NewTimer(limit)
	defer over.Stop()
	again := time.NewTicker(every)
	defer again.Stop()
	for !so() {
		select {
		case <-again.C:
		case <-over.C:
			return false
		}
	}
	return true
}

// handsOver reports whether the calls outlive this process, whose context has
// ended.
func (s *Server) handsOver(ctx context.Context) bool {
	return s.journals() && errors.Is(context.Cause(ctx), ErrHandOver) && !s.hold.goesForGood()
}

// journals reports whether another process can take up this one's calls.
func (s *Server) journals() bool { return s.journal != nil }

// journalVersion is conf.Report.Journal.
func (s *Server) journalVersion() int {
	if s.journals() {
		return conf.JournalVersion
	}
	return 0
}
