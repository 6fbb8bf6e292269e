package cdr

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/journal"
)

// Kind is what records are called in the journal that wait for their store.
const Kind = "cdr"

const (
	// waiting is how many records wait for a store that fails, in memory and in
	// the journal; above it the oldest are given up, counted and logged.
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
	Waiting int // records that the store has not taken
	Lost    int // records given up since there was no room for them
}

// Recorder writes the record of each ended call to a store. It implements
// pbx.EventSink; one goroutine owns the writing.
type Recorder struct {
	store pbx.CDRStore
	log   *slog.Logger
	safe  func(pbx.CallID)
	limit int
	kept  *journal.Table[pbx.CDR]
	left  map[pbx.CallID]bool // records of an earlier process
	wake  chan struct{}
	stop  context.CancelFunc
	done  chan struct{}

	mu      sync.Mutex
	queue   []waits
	failing int // writes that have failed in a row
	stats   Stats
	closed  bool
}

// waits is a record that the store has not taken.
type waits struct {
	pbx.CDR
	kept bool // in the journal
}

// NewRecorder starts a recorder; Close ends it. What the store does not take is
// kept in the journal, nil for none, and what an earlier process has left there
// is written first. safe is told each record that the store has taken, or the
// journal; may be nil.
func NewRecorder(store pbx.CDRStore, kept journal.Store, log *slog.Logger, safe func(pbx.CallID)) *Recorder {
	return newRecorder(store, kept, log, safe, waiting)
}

func newRecorder(store pbx.CDRStore, kept journal.Store, log *slog.Logger, safe func(pbx.CallID), limit int) *Recorder {
	ctx, stop := context.WithCancel(context.Background())
	r := &Recorder{
		store: store, log: log, safe: safe, limit: limit, kept: journal.NewTable[pbx.CDR](kept, Kind), left: make(map[pbx.CallID]bool),
		wake: make(chan struct{}, 1), stop: stop, done: make(chan struct{}),
	}
	for _, record := range r.kept.All() {
		r.queue = append(r.queue, waits{*record, true})
		r.left[record.ID] = true
	}
	slices.SortFunc(r.queue, func(a, b waits) int {
		return cmp.Or(a.Ended.Compare(b.Ended), cmp.Compare(a.ID, b.ID))
	})
	if len(r.queue) > 0 {
		r.signal()
	}
	go r.run(ctx)
	return r
}

func (r *Recorder) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Handle implements pbx.EventSink.
func (r *Recorder) Handle(e pbx.Event) {
	record, ok := Fold(e)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left[record.ID] { // the engine tells again what it has not heard to be safe
		r.tell(record.ID)
		return
	}
	if r.closed {
		r.stats.Lost++
		return
	}
	if len(r.queue) >= r.limit {
		r.drop()
		r.stats.Lost++
	}
	r.queue = append(r.queue, waits{CDR: record})
	if r.failing > 0 || record.Answered.IsZero() {
		// An answered call is in the journal until its record is safe.
		r.keep(len(r.queue) - 1)
	}
	r.signal()
}

// drop takes the oldest record out; mu is held.
func (r *Recorder) drop() {
	if r.queue[0].kept {
		r.kept.Delete(string(r.queue[0].ID))
	}
	r.queue[0] = waits{}
	r.queue = r.queue[1:]
}

// keep writes to the journal what waits from that place on; mu is held. A journal
// that fails tells so by itself: the records then wait in memory.
func (r *Recorder) keep(from int) {
	if !r.kept.Keeps() {
		return
	}
	for ; from < len(r.queue); from += atOnce {
		some := r.queue[from:min(from+atOnce, len(r.queue))]
		var batch []journal.Record
		for i := range some {
			if !some[i].kept {
				batch = append(batch, r.kept.Pack(string(some[i].ID), &some[i].CDR))
			}
		}
		if r.kept.PutAll(batch) != nil {
			return
		}
		for i := range some {
			if !some[i].kept {
				some[i].kept = true
				r.tell(some[i].ID)
			}
		}
	}
}

// tell says that a record outlives the process.
func (r *Recorder) tell(id pbx.CallID) {
	if r.safe != nil {
		r.safe(id)
	}
}

// failed keeps what waits when a write has failed, and tells it, less and less
// often.
func (r *Recorder) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failing++
	r.keep(0)
	if n := r.failing; n&(n-1) == 0 {
		r.log.Error("call records cannot be written and wait", "first", r.queue[0].ID, "waiting", len(r.queue),
			"in memory alone", r.unkept(), "times", n, "error", err)
	}
}

// wrote takes back what failed has noted.
func (r *Recorder) wrote() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing > 0 {
		r.failing = 0
		r.log.Info("call records are written again", "waiting", len(r.queue))
	}
}

// unkept returns how many records wait in memory alone; mu is held.
func (r *Recorder) unkept() (n int) {
	for i := range r.queue {
		if !r.queue[i].kept {
			n++
		}
	}
	return n
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
// returns how many records were given up since the start; those in the journal
// are not.
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
			r.failed(err)
			break
		}
		r.written(list)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats.Lost + r.unkept()
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
				r.failed(err)
			}
			return true
		}
		r.wrote()
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
	list := make([]pbx.CDR, min(n, len(r.queue)))
	for i := range list {
		list[i] = r.queue[i].CDR
	}
	return list
}

// written drops the records just written, but for those that Handle gave up in
// the meantime to make room.
func (r *Recorder) written(list []pbx.CDR) {
	for i := range list {
		r.tell(list[i].ID)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Written += len(list)
	for i := range list {
		if len(r.queue) > 0 && r.queue[0].ID == list[i].ID {
			r.drop()
		}
	}
}
