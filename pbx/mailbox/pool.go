package mailbox

import (
	"sync"
	"sync/atomic"
)

// Pool runs functions in goroutines that it keeps for the next ones. An owner
// whose box is served from a pool has a goroutine only while something waits
// for it: a thousand calls in which nobody says a word to us hold no stacks.
type Pool struct {
	jobs chan func()
	done chan struct{}
	end  sync.Once
	idle atomic.Int32
	wg   sync.WaitGroup
}

// Parked is how many goroutines without work a pool keeps.
const Parked = 32

// NewPool returns a pool without goroutines. Close ends it.
func NewPool() *Pool {
	return &Pool{jobs: make(chan func()), done: make(chan struct{})}
}

// Go runs f soon, and never waits for others to be done: f may block.
func (p *Pool) Go(f func()) {
	select {
	case p.jobs <- f:
	default:
		p.wg.Add(1)
		go p.work(f)
	}
}

func (p *Pool) work(f func()) {
	defer p.wg.Done()
	for {
		f()
		if p.idle.Add(1) > Parked {
			p.idle.Add(-1)
			return
		}
		select {
		case f = <-p.jobs:
			p.idle.Add(-1)
		case <-p.done:
			return
		}
	}
}

// Close ends the goroutines that have nothing to do and waits for the others.
// Nothing may be given to the pool after it.
func (p *Pool) Close() {
	p.end.Do(func() { close(p.done) })
	p.wg.Wait()
}
