package keeper

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Context ends with the first SIGINT or SIGTERM; after SIGTERM its cause is
// handOver. A person at the terminal wants the end, a supervisor a new process.
// stop gives the signals their default meaning again.
func Context(ctx context.Context, handOver error) (until context.Context, stop func()) {
	until, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case s := <-signals:
			if s == syscall.SIGTERM {
				cancel(handOver)
			}
			cancel(nil)
		case <-until.Done():
		}
	}()
	return until, func() {
		signal.Stop(signals)
		cancel(nil)
		<-ended
	}
}
