// Package mailbox is an unbounded first-in first-out queue with one reader:
// the way by which inputs reach the goroutine that owns something. Putting
// never blocks; who may be flooded puts what can be spared with PutBelow.
//
// The reader is a goroutine that waits for Ready, or one of a Pool at a time,
// which Serve asks for when there is something to read. The goroutines of a
// Pool end with its Close. The package imports nothing of ours.
package mailbox

import (
	"math"
	"sync"
)

// Box is a queue. Any goroutine may put, one takes.
type Box[T any] struct {
	mu     sync.Mutex
	items  []T
	taken  int // how many of items are gone already
	closed bool
	ready  chan struct{}
	serve  func() // asks for a reader; nil if one waits for ready
	served bool   // a reader is on its way, or takes
}

// kept is how much room an empty box keeps for the next items.
const kept = 16

// New returns an empty box.
func New[T any]() *Box[T] {
	return &Box[T]{ready: make(chan struct{}, 1)}
}

// Serve sets what asks for a reader; it must be called before the first Put.
// From then on start is called, by who puts, whenever items wait and nobody
// takes them. It has to see to it that a goroutine calls Take until there is
// none.
func (b *Box[T]) Serve(start func()) { b.serve = start }

// Put appends v and reports whether the box is open.
func (b *Box[T]) Put(v T) bool { return b.PutBelow(math.MaxInt, v) }

// PutBelow is Put for what can be spared: it does nothing and returns false if
// most items or more wait already.
func (b *Box[T]) PutBelow(most int, v T) bool {
	ok, start := b.put(most, v)
	if start {
		b.serve()
	}
	return ok
}

func (b *Box[T]) put(most int, v T) (ok, start bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.items)-b.taken >= most {
		return false, false
	}
	if len(b.items) == cap(b.items) && b.taken > len(b.items)/2 {
		n := copy(b.items, b.items[b.taken:])
		clear(b.items[n:])
		b.items, b.taken = b.items[:n], 0
	}
	b.items = append(b.items, v)
	if b.serve != nil {
		start, b.served = !b.served, true
		return true, start
	}
	select {
	case b.ready <- struct{}{}:
	default:
	}
	return true, false
}

// Take removes the oldest item; ok is false if there is none.
func (b *Box[T]) Take() (v T, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taken == len(b.items) {
		b.served = false
		return v, false
	}
	v = b.items[b.taken]
	var zero T
	b.items[b.taken] = zero
	b.taken++
	if b.taken == len(b.items) {
		b.items, b.taken = b.items[:0], 0
		if cap(b.items) > kept {
			b.items = nil
		}
	}
	return v, true
}

// Ready yields a value after items were put. It may also yield when they have
// been taken meanwhile, so the reader calls Take until it finds none.
func (b *Box[T]) Ready() <-chan struct{} { return b.ready }

// Len returns how many items wait.
func (b *Box[T]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items) - b.taken
}

// Close refuses further items and returns those that were not taken.
func (b *Box[T]) Close() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := b.items[b.taken:]
	b.items, b.taken, b.closed = nil, 0, true
	return rest
}
