// Package mailbox is the queue of a goroutine that owns something, with alarms
// and repetitions that run in that goroutine as well. It is pbx/mailbox for
// functions, and knows nothing of SIP.
package mailbox

import (
	"time"

	"github.com/dipcast/dipcast/pbx/mailbox"
)

// limit is how many messages from the network and the media plane may
// wait for one owner; more are dropped. Commands of the engine and timers are
// few by nature and always taken.
const limit = 256

// Box is the queue of one goroutine.
type Box struct{ queue *mailbox.Box[func()] }

// New returns an empty Box.
func New() *Box { return &Box{queue: mailbox.New[func()]()} }

// Post queues f. A closed Box drops it.
func (b *Box) Post(f func()) { b.queue.Put(f) }

// PostBounded is Post for what strangers can cause; it reports whether f was
// queued.
func (b *Box) PostBounded(f func()) bool { return b.queue.PutBelow(limit, f) }

// Serve sets what asks for a goroutine that takes messages until there is none;
// it must be called before the first Post.
func (b *Box) Serve(start func()) { b.queue.Serve(start) }

// Take returns the next message, false if there is none.
func (b *Box) Take() (func(), bool) { return b.queue.Take() }

// Close returns what waits and drops what comes.
func (b *Box) Close() []func() { return b.queue.Close() }

// Alarm is a timer whose function runs in the goroutine that empties the Box,
// and never after it was stopped or set anew.
type Alarm struct {
	Box   *Box
	timer *time.Timer
	round int
}

// Set starts the alarm anew.
func (a *Alarm) Set(d time.Duration, f func()) {
	a.Stop()
	round := a.round
	a.timer = time.AfterFunc(d, func() {
		a.Box.Post(func() {
			if a.round == round {
				f()
			}
		})
	})
}

// Stop stops the alarm; it may be set again.
func (a *Alarm) Stop() {
	a.round++
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}

// Backoff sends something again in growing intervals until it is stopped.
type Backoff struct{ Alarm }

// Start runs again after first, 2·first, 4·first… (never more than limit apart,
// 0 = no limit) and giveUp after total.
func (b *Backoff) Start(first, total, limit time.Duration, again, giveUp func()) {
	if total <= 0 {
		giveUp()
		return
	}
	b.Set(min(first, total), func() {
		if first >= total {
			giveUp()
			return
		}
		again()
		next := 2 * first
		if limit > 0 {
			next = min(next, limit)
		}
		b.Start(next, total-first, limit, again, giveUp)
	})
}
