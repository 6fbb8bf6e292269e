package legs

import (
	"context"
	"sync"
	"time"
)

// mailLimit is how many messages from the network and the media plane may
// wait for one leg; more are dropped. Commands of the engine and timers are
// few by nature and always taken.
const mailLimit = 256

// mailbox is the queue of a leg's goroutine.
type mailbox struct {
	mu     sync.Mutex
	queue  []func()
	closed bool
	ready  chan struct{}
}

func newMailbox() *mailbox { return &mailbox{ready: make(chan struct{}, 1)} }

// post queues f and reports whether the leg will run it.
func (m *mailbox) post(f func()) bool { return m.put(f, false) }

// postBounded is post for what strangers can cause.
func (m *mailbox) postBounded(f func()) bool { return m.put(f, true) }

func (m *mailbox) put(f func(), bounded bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || (bounded && len(m.queue) >= mailLimit) {
		return false
	}
	m.queue = append(m.queue, f)
	select {
	case m.ready <- struct{}{}:
	default:
	}
	return true
}

// take returns the next message, false when the context is over.
func (m *mailbox) take(ctx context.Context) (func(), bool) {
	for {
		m.mu.Lock()
		if len(m.queue) > 0 {
			f := m.queue[0]
			m.queue[0] = nil
			m.queue = m.queue[1:]
			m.mu.Unlock()
			return f, ctx.Err() == nil
		}
		m.mu.Unlock()
		select {
		case <-m.ready:
		case <-ctx.Done():
			return nil, false
		}
	}
}

func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.queue = true, nil
}

// alarm is a timer whose function runs in the leg's goroutine, and never after
// it was stopped or set anew.
type alarm struct {
	box   *mailbox
	timer *time.Timer
	round int
}

func (a *alarm) set(d time.Duration, f func()) {
	a.stop()
	round := a.round
	a.timer = time.AfterFunc(d, func() {
		a.box.post(func() {
			if a.round == round {
				f()
			}
		})
	})
}

func (a *alarm) stop() {
	a.round++
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}

// backoff sends something again in growing intervals until it is stopped.
type backoff struct{ alarm }

// start runs again after first, 2·first, 4·first… (never more than limit apart,
// 0 = no limit) and giveUp after total.
func (b *backoff) start(first, total, limit time.Duration, again, giveUp func()) {
	if total <= 0 {
		giveUp()
		return
	}
	b.set(min(first, total), func() {
		if first >= total {
			giveUp()
			return
		}
		again()
		next := 2 * first
		if limit > 0 {
			next = min(next, limit)
		}
		b.start(next, total-first, limit, again, giveUp)
	})
}
