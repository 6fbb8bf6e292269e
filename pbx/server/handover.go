package server

import (
	"context"
	"errors"

	"github.com/dipcast/dipcast/pbx/conf"
)

// ErrHandOver is the cause of the context that Run got when another process
// takes the PBX's place at once (SIGTERM): nothing is drained and no phone is
// told anything. After a drain that is conf.Drain.Final nobody takes its place,
// and the calls end as with any other cause.
var ErrHandOver = errors.New("another process takes over")

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
