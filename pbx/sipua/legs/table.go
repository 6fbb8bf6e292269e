package legs

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/mailbox"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/exchange"
	"github.com/dipcast/dipcast/pbx/sipua/legs/vault"
	"github.com/dipcast/dipcast/pbx/sipua/message"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
	"github.com/dipcast/dipcast/pbx/trunk"
)

// Sender puts requests on the wire; *edge.Edge is one.
type Sender interface {
	// Transact adds the Via and starts a client transaction towards the hop.
	Transact(ctx context.Context, req *sip.Request, to edge.Hop, tell txn.Tell) (edge.Transaction, error)
	// Cancel sends the CANCEL that belongs to an INVITE sent by Transact.
	Cancel(invite *sip.Request, to edge.Hop, reason string) error
	// Send writes a request outside any transaction: the ACK of a 2xx.
	Send(req *sip.Request, to edge.Hop) error
	// Repeat writes a response once more whose transaction an earlier process
	// had.
	Repeat(text string, to edge.Hop) error
	// Contact returns our own Contact address as that hop must see it.
	Contact(to edge.Hop) sip.Uri
	// Resolve returns the hops of a URI in order of trial (RFC 3263).
	Resolve(ctx context.Context, uri *sip.Uri, transport string) ([]edge.Hop, error)
}

// Config is everything that legs are made of. Each field before Timers is
// needed.
type Config struct {
	Sender Sender
	Media  media.Allocator
	// Receiver returns who takes incoming calls now, nil if nobody does.
	Receiver func() leg.Receiver
	// Document returns the document in force; a leg keeps the one that it
	// began with.
	Document func() *conf.Document
	// Fingerprint is that of Media's certificate, as SDP tells it; empty: no DTLS.
	Fingerprint string
	Trunks      *trunk.Set
	Log         *slog.Logger
	// NewID returns a fresh random token of at least 128 bits for tags and
	// Call-IDs; Pick returns a random number in [0, n).
	NewID  func() string
	Pick   func(n int) int
	Timers Timers
	// Journal keeps answered legs beyond the life of the process; nil: they end
	// with it.
	Journal journal.Store
	// Reach returns where a phone is found now whose connection may have ended;
	// nil = nowhere else.
	Reach func(phone edge.Identity, was edge.Hop) (edge.Hop, bool)
	Now   func() time.Time // nil = time.Now
}

// Timers are the durations that legs wait.
type Timers = exchange.Timers

// dialogKey names a dialog from our side: Call-ID and our own tag. The remote
// tag is not part of it, since a forked INVITE has several.
type dialogKey struct{ callID, localTag string }

// mergeKey names an INVITE from the peer's side: the same one over two paths
// is a merged request (RFC 3261 §8.2.2.2).
type mergeKey struct {
	callID, remoteTag string
	seq               uint32
}

// Table is the table of live legs and the owner of the goroutines that serve
// them.
type Table struct {
	cfg   Config
	ctx   context.Context // ends when the table is closed by force
	vault *vault.Vault
	// leaving: the legs go on in another process.
	leaving atomic.Bool

	mu     sync.Mutex
	live   map[dialogKey]*sipLeg
	merge  map[mergeKey]*sipLeg
	closed bool
	idle   chan struct{} // closed whenever live is empty
	stop   context.CancelFunc
	wg     sync.WaitGroup
	pool   *mailbox.Pool
}

// New returns an empty table.
func New(cfg Config) *Table {
	cfg.Timers = cfg.Timers.WithDefaults()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	ctx, stop := context.WithCancel(context.Background())
	t := &Table{
		cfg: cfg, ctx: ctx, stop: stop, vault: vault.New(cfg.Journal), pool: mailbox.NewPool(),
		live: map[dialogKey]*sipLeg{}, merge: map[mergeKey]*sipLeg{}, idle: make(chan struct{}),
	}
	close(t.idle)
	t.wg.Go(func() { t.vault.Run(ctx) })
	return t
}

// Owner returns the peer of the live leg that a request inside a dialog belongs
// to: whose requests pass without digest. toTag is the tag of the To header.
func (t *Table) Owner(callID, toTag string) (edge.Identity, bool) {
	l := t.find(callID, toTag)
	if l == nil || l.owner.Load() == nil {
		return edge.Identity{}, false
	}
	return *l.owner.Load(), true
}

// Talks reports whether the peer of a live leg is at an address that matches.
func (t *Table) Talks(match func(netip.Addr) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.live {
		if o := l.owner.Load(); o != nil && match(o.Source.Addr()) {
			return true
		}
	}
	return false
}

func (t *Table) find(callID, localTag string) *sipLeg {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live[dialogKey{callID, localTag}]
}

// Count returns how many legs are not over.
func (t *Table) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, l := range t.live {
		if !l.gone.Load() {
			n++
		}
	}
	return n
}

// add puts a leg into the table and counts its goroutine; false means that
// the table is closed.
func (t *Table) add(l *sipLeg) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	if len(t.live) == 0 {
		t.idle = make(chan struct{})
	}
	t.live[dialogKey{l.callID, l.localTag}] = l
	if l.merge.callID != "" {
		t.merge[l.merge] = l
	}
	t.wg.Add(1)
	return true
}

func (t *Table) remove(l *sipLeg) {
	t.mu.Lock()
	delete(t.live, dialogKey{l.callID, l.localTag})
	delete(t.merge, l.merge)
	if len(t.live) == 0 {
		close(t.idle)
	}
	t.mu.Unlock()
	t.wg.Done()
}

// merged reports whether the INVITE is already being served over another path.
func (t *Table) merged(k mergeKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.merge[k] != nil
}

// Wait returns when no leg is left, or with the context's error.
func (t *Table) Wait(ctx context.Context) error {
	t.mu.Lock()
	idle := t.idle
	t.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends every leg (BYE, CANCEL or a final response), waits for them and
// stops the rest by force when the context is over. No goroutine is left.
func (t *Table) Close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	all := make([]*sipLeg, 0, len(t.live))
	for _, l := range t.live {
		all = append(all, l)
	}
	t.mu.Unlock()
	for _, l := range all {
		l.End(pbx.Cause{SIP: 503, Q850: 41, Text: "the PBX shuts down"})
	}
	err := t.Wait(ctx)
	t.stop()
	for _, l := range all {
		l.box.Post(func() {}) // so that it sees that the time is over
	}
	t.wg.Wait()
	t.pool.Close()
	return err
}

// InDialog takes every request with a To tag; tx is nil for an ACK. It does not
// block.
func (t *Table) InDialog(req *sip.Request, tx exchange.Transaction) {
	callID, to, from := req.CallID(), req.To(), req.From()
	if callID == nil || to == nil || from == nil || req.CSeq() == nil {
		return
	}
	l := t.find(callID.Value(), message.Tag(to.Params))
	if l == nil {
		if !req.IsAck() {
			message.Reject(req, tx, 481)
		}
		return
	}
	if req.IsAck() {
		l.box.PostBounded(func() { l.onACK(req) })
		return
	}
	in := exchange.NewIncoming(req, tx)
	if req.IsInvite() {
		tx.Listen(l.user(in))
	}
	if !l.box.PostBounded(func() { l.onRequest(in) }) {
		message.Reject(req, tx, 503)
	}
}
