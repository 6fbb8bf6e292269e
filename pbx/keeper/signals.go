package keeper

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Context ends with the first SIGINT, SIGTERM or SIGUSR2. A person at the
// terminal wants the end; after SIGTERM its cause is handOver, since a
// supervisor wants another process; after SIGUSR2 it is restart, since the
// parent starts the next one as soon as this one has ended. stop gives the
// signals their default meaning again.
func Context(ctx context.Context, handOver, restart error) (until context.Context, stop func()) {
	until, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGUSR2)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case s := <-signals:
			cancel(map[os.Signal]error{syscall.SIGTERM: handOver, syscall.SIGUSR2: restart}[s])
		case <-until.Done():
		}
	}()
	return until, func() {
		signal.Stop(signals)
		cancel(nil)
		<-ended
	}
}
