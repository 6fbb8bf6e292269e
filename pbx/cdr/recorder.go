package cdr

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

const (
	// waiting is how many records wait in memory for a store that fails;
	// above it the oldest are given up, counted and logged.
	waiting = 10_000
	// retryAfter is the pause between two trials of a failing store.
	retryAfter = 2 * time.Second
	// writeLimit bounds one write, and the last writes at Close.
	writeLimit = 10 * time.Second
	// atOnce is how many records one write takes, gather how long a record
	// waits for others: a write costs the same for one as for many.
	atOnce = 100
	gather = 200 * time.Millisecond
)

// batcher is a store that writes several records in one transaction.
type batcher interface {
	AddAll(ctx context.Context, list []pbx.CDR) error
}

// Stats are the recorder's counters.
type Stats struct {
	Written int // records that the store took
	Waiting int // records in memory
	Lost    int // records given up since memory for them was full
}

// Recorder writes the record of each ended call to a store. It implements
// pbx.EventSink; one goroutine owns the writing.
type Recorder struct {
	store pbx.CDRStore
	log   *slog.Logger
	safe  func(pbx.CallID)
	limit int
	wake  chan struct{}
	stop  context.CancelFunc
	done  chan struct{}

	mu     sync.Mutex
	queue  []pbx.CDR
	stats  Stats
	closed bool
}

// NewRecorder starts a recorder; Close ends it. safe is told each record that
// the store has taken; may be nil.
func NewRecorder(store pbx.CDRStore, log *slog.Logger, safe func(pbx.CallID)) *Recorder {
	return newRecorder(store, log, safe, waiting)
}

func newRecorder(store pbx.CDRStore, log *slog.Logger, safe func(pbx.CallID), limit int) *Recorder {
	ctx, stop := context.WithCancel(context.Background())
	r := &Recorder{
		store: store, log: log, safe: safe, limit: limit,
		wake: make(chan struct{}, 1), stop: stop, done: make(chan struct{}),
	}
	go r.run(ctx)
	return r
}

// Handle implements pbx.EventSink.
func (r *Recorder) Handle(e pbx.Event) {
	record, ok := Fold(e)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		r.stats.Lost++
		return
	}
	if len(r.queue) >= r.limit {
		r.queue = r.queue[1:]
		r.stats.Lost++
	}
	r.queue = append(r.queue, record)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Stats returns the counters.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Waiting = len(r.queue)
	return s
}

// Close writes what waits, for at most 10 s, and ends the goroutine. It
// returns how many records were given up since the start.
func (r *Recorder) Close() (lost int) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	<-r.done
	ctx, cancel := context.WithTimeout(context.Background(), writeLimit)
	defer cancel()
	for {
		list := r.first()
		if len(list) == 0 {
			break
		}
		if err := r.add(ctx, list); err != nil {
			r.log.Error("call records are lost at shutdown", "records", r.Stats().Waiting, "error", err)
			break
		}
		r.written(list)
	}
	s := r.Stats()
	return s.Lost + s.Waiting
}

func (r *Recorder) run(ctx context.Context) {
	defer close(r.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		if !pause(ctx, gather) {
			return
		}
		for r.writeAll(ctx) {
			if !pause(ctx, retryAfter) {
				return
			}
		}
	}
}

// pause waits; false means that ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// writeAll writes until the queue is empty, or returns true when the store
// fails and the rest has to be tried again.
func (r *Recorder) writeAll(ctx context.Context) (again bool) {
	for {
		list := r.first()
		if len(list) == 0 || ctx.Err() != nil {
			return false
		}
		write, cancel := context.WithTimeout(ctx, writeLimit)
		err := r.add(write, list)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				r.log.Error("a call record cannot be written and waits in memory",
					"call", list[0].ID, "waiting", r.Stats().Waiting, "error", err)
			}
			return true
		}
		r.written(list)
	}
}

// add writes records that first has returned.
func (r *Recorder) add(ctx context.Context, list []pbx.CDR) error {
	if b, ok := r.store.(batcher); ok {
		return b.AddAll(ctx, list)
	}
	return r.store.Add(ctx, list[0])
}

// first returns the records to write next: as many as the store takes at once.
func (r *Recorder) first() []pbx.CDR {
	n := 1
	if _, ok := r.store.(batcher); ok {
		n = atOnce
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.queue[:min(n, len(r.queue))])
}

// written drops the records just written, but for those that Handle gave up in
// the meantime to make room.
func (r *Recorder) written(list []pbx.CDR) {
	if r.safe != nil {
		for i := range list {
			r.safe(list[i].ID)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Written += len(list)
	for i := range list {
		if len(r.queue) > 0 && r.queue[0].ID == list[i].ID {
			r.queue = r.queue[1:]
		}
	}
}
