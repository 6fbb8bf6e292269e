package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/dipcast/dipcast/pbx/journal"
)

// KindPress is what callbacks are called in the journal, by the hash of their
// body.
const KindPress = "press"

// press is a verified callback that waits for a worker.
type press struct {
	sum  [sha256.Size]byte
	body []byte
}

// keptPress is a callback in the journal. Without a body it was served, and is
// remembered so that it never works a second time.
type keptPress struct {
	At   time.Time `json:"at"`
	Body []byte    `json:"body,omitempty"`
}

// presses are the callbacks in the journal.
type presses struct {
	table *journal.Table[keptPress]
	left  []press // of an earlier process, oldest first
}

// newPresses reads what an earlier process has left, and tells the filter.
func newPresses(store journal.Store, seen *replayFilter, now time.Time) *presses {
	p := &presses{table: journal.NewTable[keptPress](store, KindPress)}
	type found struct {
		press
		at time.Time
	}
	var all []found
	for id, k := range p.table.All() {
		sum, err := hex.DecodeString(id)
		if age := now.Sub(k.At); err != nil || len(sum) != sha256.Size || age > replayWindow || age < -replayWindow {
			p.table.Delete(id)
			continue
		}
		all = append(all, found{press{[sha256.Size]byte(sum), k.Body}, k.At})
	}
	slices.SortFunc(all, func(a, b found) int { return a.at.Compare(b.at) })
	seen.dropped = p.forget
	for _, f := range all {
		seen.first(f.sum, f.at)
		if len(f.body) > 0 {
			p.left = append(p.left, f.press)
		}
	}
	return p
}

// keep writes a callback before it is acknowledged. A journal that fails tells
// so by itself: the platform never sends a callback again, so it is served all
// the same.
func (p *presses) keep(c press, now time.Time) {
	_, _ = p.table.Put(hex.EncodeToString(c.sum[:]), &keptPress{At: now, Body: c.body}, 0)
}

// done notes that a callback was served.
func (p *presses) done(c press, now time.Time) {
	_, _ = p.table.Put(hex.EncodeToString(c.sum[:]), &keptPress{At: now}, 0) // as in keep
}

func (p *presses) forget(sum [sha256.Size]byte) { p.table.Delete(hex.EncodeToString(sum[:])) }

// Leave ends the serving of callbacks, so that none meets calls that are
// another process's already: those that come are answered 503, and those that
// wait are left in the journal. It returns when those under way are served, or
// ctx ends.
func (s *Server) Leave(ctx context.Context) {
	s.leave.Do(func() { close(s.leaving) })
	select {
	case <-s.served:
	case <-ctx.Done():
	}
}

// left reports whether Leave was called.
func (s *Server) left() bool {
	select {
	case <-s.leaving:
		return true
	default:
		return false
	}
}

// deliverLeft hands the callbacks of an earlier process to the workers. What is
// too old by now is answered so by who serves it.
func (s *Server) deliverLeft(ctx context.Context) {
	for _, p := range s.presses.left {
		select {
		case s.callbacks <- p:
		case <-ctx.Done():
			return
		case <-s.leaving:
			return
		}
	}
	s.presses.left = nil
}
