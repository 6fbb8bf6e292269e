package rings

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/legs/vault"
)

// Kind is what the records are called in the journal.
const Kind = "ring"

const (
	// settles is how long an INVITE may take until it is worth a write, which
	// comes after twice as long at the latest.
	settles = 200 * time.Millisecond
	// stale is how old an INVITE may be to be of use: phones and proxies give up
	// ringing before.
	stale = 5 * time.Minute
)

// record is one INVITE in the journal.
type record struct {
	At   time.Time     `json:"at"`
	Text string        `json:"text"`
	To   edge.Hop      `json:"to,omitzero"`   // of ours
	From edge.Identity `json:"from,omitzero"` // of a peer's
}

func (r *record) ours() bool { return r.To.Addr.IsValid() }

// entry is an INVITE of this process.
type entry struct {
	edge.Unanswered
	at      time.Time
	id      string // in the journal; empty: it is not written
	settled bool
}

// Book is what rings. It implements edge.Ledger; its methods may be called from
// any goroutine.
type Book struct {
	store  journal.Store
	table  *journal.Table[record]
	log    *slog.Logger
	now    func() time.Time
	wake   chan struct{}
	ours   map[string]*record // of an earlier process
	peers  map[string]*record
	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	ending sync.WaitGroup // cancellations under way

	mu    sync.Mutex
	young map[*entry]struct{} // not written
	armed bool                // a write is due, or Run is told to make it so
	gone  bool                // records were deleted that the journal has still
}

var _ edge.Ledger = (*Book)(nil)

// New returns the book of a journal, nil for none, with what an earlier process
// has left in it. Callers whose INVITE was answered in the end are not among
// them: they are legs.
func New(store journal.Store, log *slog.Logger, now func() time.Time) *Book {
	ctx, stop := context.WithCancel(context.Background())
	b := &Book{
		ctx: ctx, stop: stop, store: store, table: journal.NewTable[record](store, Kind), log: log, now: now,
		wake: make(chan struct{}, 1), young: make(map[*entry]struct{}),
		ours: make(map[string]*record), peers: make(map[string]*record),
	}
	answered := vault.Answered(store)
	for id, r := range b.table.All() {
		age := now().Sub(r.At)
		switch {
		case age > stale || age < -stale || !r.ours() && answered[callID(r.Text)]:
			b.table.Delete(id)
		case r.ours():
			b.ours[id] = r
		default:
			b.peers[id] = r
		}
	}
	return b
}

// Rings implements edge.Ledger.
func (b *Book) Rings(i edge.Unanswered) (answered func()) {
	if !b.table.Keeps() {
		return func() {}
	}
	e := &entry{Unanswered: i, at: b.now()}
	b.mu.Lock()
	b.young[e] = struct{}{}
	if !b.armed { // else what is young is written soon
		b.armed = true
		b.signal()
	}
	b.mu.Unlock()
	return func() { b.answered(e) }
}

// answered forgets an INVITE. What was written is taken out of the journal at
// once: who has hung up must not be called again.
func (b *Book) answered(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.settled {
		return
	}
	e.settled = true
	delete(b.young, e)
	if e.id != "" {
		b.table.Delete(e.id)
		b.gone = true
		b.signal()
	}
}

func (b *Book) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Close ends the cancellations that are under way and waits for them.
func (b *Book) Close() {
	b.stop()
	b.ending.Wait()
}

// Run writes what rings until ctx ends.
func (b *Book) Run(ctx context.Context) {
	due := time.NewTimer(settles)
	due.Stop()
	defer due.Stop()
	for waits := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
			if b.flush() && !waits {
				waits = true
				due.Reset(settles)
			}
		case <-due.C:
			if waits = b.write(); waits {
				due.Reset(settles)
			}
		}
	}
}

// flush has the journal write what was deleted, and reports whether a write is
// due.
func (b *Book) flush() (due bool) {
	b.mu.Lock()
	gone, due := b.gone, b.armed
	b.gone = false
	b.mu.Unlock()
	if gone {
		_ = b.store.PutAll() // told by the journal
	}
	return due
}

// write writes what rings for long enough, and reports whether younger ones are
// left. An error is the journal's to tell: such an INVITE rings on if the process
// dies, and then gives up by itself.
func (b *Book) write() (left bool) {
	now := b.now()
	b.mu.Lock()
	var list []*entry
	for e := range b.young {
		if now.Sub(e.at) >= settles {
			list = append(list, e)
			delete(b.young, e)
		}
	}
	left = len(b.young) > 0
	b.armed = left
	b.mu.Unlock()
	batch := make([]journal.Record, len(list))
	for i, e := range list {
		batch[i] = b.table.Pack(rand.Text(), &record{At: e.at, Text: e.Text(), To: e.To, From: e.From})
	}
	if b.table.PutAll(batch) != nil {
		return left
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, e := range list {
		if e.id = batch[i].ID; e.settled {
			b.table.Delete(e.id)
			b.gone = true
			b.signal()
		}
	}
	return left
}
