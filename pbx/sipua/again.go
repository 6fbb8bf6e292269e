package sipua

import (
	"context"
	"time"

	"github.com/dipcast/dipcast/pbx/sipua/edge"
)

// quietWithin is how long the callers of the process before wait until the
// phones that rang for them are silent: one that rings still might be busy for
// the call that is tried again.
const quietWithin = time.Second

// StopRinging takes back what an earlier process has sent to phones and trunks
// and nobody has answered. It is called before anything rings for this one.
func (a *Agent) StopRinging() { a.quiet = a.rings.Cancel(a.edge) }

// callAgain makes transactions for the callers of an earlier process whom
// nobody has answered. Their calls begin when ready is closed; they may give up
// before.
func (a *Agent) callAgain(ready <-chan struct{}) {
	a.rings.Callers(func(text string, from edge.Identity) error { return a.edge.Again(text, from, ready) })
}

// untilQuiet waits until nothing rings for the process before, for a while at
// most.
func (a *Agent) untilQuiet(ctx context.Context) {
	if a.quiet == nil {
		return
	}
	limit := time.NewTimer(quietWithin)
	defer limit.Stop()
	select {
	case <-a.quiet:
	case <-limit.C:
	case <-ctx.Done():
	}
}
