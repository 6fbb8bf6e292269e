package dtmf

import (
	"sync"
	"sync/atomic"
	"time"
)

// MaxWaiting is how many keys may wait: a person cannot press more, a program
// must not.
const MaxWaiting = 64

// The shape of a key press.
const (
	endPackets = 3  // RFC 4733 §2.5.1.4
	pauseAfter = 3  // frames between two presses
	volume     = 10 // -10 dBm0
	minPress   = 40 * time.Millisecond
	maxPress   = 8 * time.Second // the duration field ends at 8.19 s
	clock      = 8               // timestamp units in a millisecond
)

// Sender makes the events of the keys that we press, one for each frame
// (RFC 4733 §2.5.1): those of a press, its end three times, a pause. Press and
// Busy may be called from any goroutine; the rest is its owner's, who calls in
// each frame Take and, where Resting does not say that nothing is sent, Next.
type Sender struct {
	busy    atomic.Bool
	mu      sync.Mutex
	waiting []press

	active  bool
	press   press
	elapsed uint32
	ends    int
	pause   int
}

type press struct {
	code uint8
	span uint32 // timestamp units
}

// Press lets a key wait to be sent, pressed for so long within reason. It
// reports false for what is no key, and if too many wait.
func (s *Sender) Press(digit rune, length time.Duration) bool {
	code, ok := Code(digit)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok || len(s.waiting) >= MaxWaiting {
		return false
	}
	span := uint32(min(max(length, minPress), maxPress) / time.Millisecond * clock)
	s.waiting = append(s.waiting, press{code: code, span: span})
	s.busy.Store(true)
	return true
}

// Busy reports whether keys wait or are being sent.
func (s *Sender) Busy() bool { return s.busy.Load() }

// Take begins the next press if none is at work; false if none waits.
func (s *Sender) Take() bool {
	if s.active {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		s.busy.Store(false)
		return false
	}
	s.press, s.waiting = s.waiting[0], s.waiting[1:]
	s.active, s.elapsed, s.ends, s.pause = true, 0, 0, pauseAfter
	return true
}

// Resting reports whether nothing is sent in this frame, which is one of a
// pause.
func (s *Sender) Resting() bool {
	if s.ends < endPackets {
		return false
	}
	if s.pause--; s.pause <= 0 {
		s.active = false
	}
	return true
}

// Next returns the event of a frame of so many timestamp units, and whether it
// is the first of its press.
func (s *Sender) Next(frame uint32) (e Event, first bool) {
	first = s.elapsed == 0
	s.elapsed = min(s.elapsed+frame, s.press.span)
	e = Event{Code: s.press.code, Volume: volume, Duration: uint16(s.elapsed), End: s.elapsed >= s.press.span}
	if e.End {
		s.ends++
	}
	return e, first
}

// Drop gives up the press at work.
func (s *Sender) Drop() { s.active = false }
