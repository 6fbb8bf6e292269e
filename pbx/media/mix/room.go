package mix

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Voice is a member's way to speak and to hear. Its methods are called by the
// room's goroutine alone, from Join until Leave or Close returned; they must
// not block.
type Voice interface {
	// Rate is 8000 or 16000 Hz and never changes.
	Rate() int
	// Hear writes what the member says in the next 20 ms, and reports false if
	// that is nothing.
	Hear(frame []int16) bool
	// Say tells the member what the others say. The frame is the room's.
	Say(frame []int16)
}

// Room is a room at work. New makes one.
type Room struct {
	inbox chan func(*mixer)
	done  chan struct{}
	wg    sync.WaitGroup
	close sync.Once
}

// New opens a room that is driven by ticks, one for each frame of 20 ms. Close
// ends it.
func New(ticks <-chan time.Time) (*Room, error) {
	m, err := newMixer()
	if err != nil {
		return nil, err
	}
	r := &Room{inbox: make(chan func(*mixer)), done: make(chan struct{})}
	r.wg.Go(func() { r.run(m, ticks) })
	return r, nil
}

func (r *Room) run(m *mixer, ticks <-chan time.Time) {
	for {
		select {
		case <-r.done:
			return
		case do := <-r.inbox:
			do(m)
		case <-ticks:
			m.tick()
		}
	}
}

// Join brings a voice into the room; from the next frame on it is heard. An
// error tells a rate that the room has not, or a room that is closed.
func (r *Room) Join(v Voice) error {
	if rate := v.Rate(); rate != narrow && rate != wide {
		return fmt.Errorf("a voice of %d Hz: want %d or %d", rate, narrow, wide)
	}
	return r.ask(func(m *mixer) { m.join(v) })
}

// Leave takes a voice out; its methods are not called after Leave returned.
func (r *Room) Leave(v Voice) { _ = r.ask(func(m *mixer) { m.leave(v) }) } // a closed room has nobody

// Close ends the room and waits for its goroutine.
func (r *Room) Close() {
	r.close.Do(func() { close(r.done) })
	r.wg.Wait()
}

// ErrClosed tells a room that is closed.
var ErrClosed = errors.New("the room is closed")

// ask has the owner do something and waits until it is done.
func (r *Room) ask(do func(*mixer)) error {
	told := make(chan struct{})
	select {
	case r.inbox <- func(m *mixer) { do(m); close(told) }:
		<-told
		return nil
	case <-r.done:
		return ErrClosed
	}
}
