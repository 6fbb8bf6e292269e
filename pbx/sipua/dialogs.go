package sipua

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/media"
)

// legsConfig is everything that legs are made of.
type legsConfig struct {
	sender   sender
	media    media.Allocator
	receiver leg.Receiver
	// document returns the document in force; a leg keeps the one that it
	// began with.
	document func() *conf.Document
	// trunk returns a trunk and its hosts in order of trial, healthy ones
	// first; false if it is unknown.
	trunk func(name string) (conf.Trunk, []conf.TrunkHost, bool)
	// hostFailed is told that a host did not answer an INVITE in time or
	// could not be reached; it may be nil.
	hostFailed func(trunk string, host conf.TrunkHost)
	log        *slog.Logger
	// newID returns a fresh random token of at least 128 bits for tags and
	// Call-IDs; pick returns a random number in [0, n).
	newID  func() string
	pick   func(n int) int
	timers legTimers
}

// legTimers are the durations that legs wait; the zero value of each field
// means its default.
type legTimers struct {
	t1     time.Duration // RFC 3261 T1, 500 ms
	t2     time.Duration // RFC 3261 T2, 4 s
	host   time.Duration // until the next host of a trunk is tried, 2 s
	send   time.Duration // until an in-dialog request must be on the wire, 2 s
	expire time.Duration // session interval that we ask for, 1800 s
	minSE  time.Duration // shortest session interval that we accept, 90 s
}

func (t legTimers) withDefaults() legTimers {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&t.t1, 500*time.Millisecond)
	set(&t.t2, 4*time.Second)
	set(&t.host, 2*time.Second)
	set(&t.send, 2*time.Second)
	set(&t.expire, 1800*time.Second)
	set(&t.minSE, 90*time.Second)
	return t
}

// dialogKey names a dialog from our side: Call-ID and our own tag. The remote
// tag is not part of it, since a forked INVITE has several.
type dialogKey struct{ callID, localTag string }

// legs is the table of live legs and the owner of their goroutines.
type legs struct {
	cfg legsConfig
	ctx context.Context // ends when the table is closed by force

	mu     sync.Mutex
	live   map[dialogKey]*sipLeg
	closed bool
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// newLegs returns an empty table.
func newLegs(cfg legsConfig) *legs {
	cfg.timers = cfg.timers.withDefaults()
	ctx, stop := context.WithCancel(context.Background())
	return &legs{cfg: cfg, ctx: ctx, stop: stop, live: map[dialogKey]*sipLeg{}}
}

// known reports whether a request inside a dialog belongs to a live leg: what
// the gate lets through without digest. toTag is the tag of the To header.
func (t *legs) known(callID, toTag string) bool {
	return t.find(callID, toTag) != nil
}

func (t *legs) find(callID, localTag string) *sipLeg {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live[dialogKey{callID, localTag}]
}

// count returns how many legs are live.
func (t *legs) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.live)
}

// onTrunk returns how many live legs use the trunk, in either direction.
func (t *legs) onTrunk(name string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, l := range t.live {
		if l.trunk == name {
			n++
		}
	}
	return n
}

// wait returns when no leg is left, or with the context's error.
func (t *legs) wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		t.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends every leg (BYE, CANCEL or a final response), waits for them and
// stops the rest by force when the context is over.
func (t *legs) close(ctx context.Context) error {
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
	err := t.wait(ctx)
	t.stop()
	t.wg.Wait()
	return err
}

// invite takes an INVITE without a To tag that passed admission. It returns
// when the transaction is settled: sipgo ends a transaction whose handler
// returned before the final response.
func (t *legs) invite(req *sip.Request, tx sip.ServerTransaction, id identity) {
}

// inDialog takes every request with a To tag (ACK included) and returns when
// its transaction is settled.
func (t *legs) inDialog(req *sip.Request, tx sip.ServerTransaction) {
}

// dial begins an outgoing leg; it implements leg.Dialer.Dial.
func (t *legs) dial(d leg.Dial, l leg.Listener) leg.Leg {
	return nil
}
