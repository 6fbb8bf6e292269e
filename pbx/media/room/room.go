package room

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dipcast/dipcast/pbx/media/convert"
	"github.com/dipcast/dipcast/pbx/media/mix"
)

// Room is a room. New makes one.
type Room struct {
	crew   *convert.Crew
	log    *slog.Logger
	closed atomic.Bool

	mu      sync.Mutex
	fresh   []*Seat // that the worker has not seen yet
	seats   []*Seat // changed by the worker alone
	running bool    // the crew has the room

	// The worker's alone:
	mixer   mix.Mixer
	scribes []*scribe
	frame   uint64 // the number of this one
}

// New opens a room, which costs nothing while it is empty. Close ends it.
func New(crew *convert.Crew, log *slog.Logger) *Room { return &Room{crew: crew, log: log} }

// Join gives a line a seat; it is heard and hears from the next frame on. In a
// room that is closed the seat is left at once.
func (r *Room) Join(l Line) *Seat {
	s := &Seat{room: r, line: l}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed.Load() {
		return s
	}
	r.fresh = append(r.fresh, s)
	if !r.running {
		r.running = r.crew.Add(r)
	}
	return s
}

// Size returns how many have a seat.
func (r *Room) Size() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, list := range [][]*Seat{r.seats, r.fresh} {
		for _, s := range list {
			if s.Taken() {
				n++
			}
		}
	}
	return n
}

// Close sends everybody out; nobody can come in any more.
func (r *Room) Close() { r.closed.Store(true) }

// Run implements convert.Job: one frame.
func (r *Room) Run() bool {
	if !r.gather() {
		return false
	}
	r.frame++
	for _, s := range r.seats {
		s.settle()
	}
	r.mixer.Tick()
	return true
}

// gather lets in who has come and out who has left. It reports whether anybody
// is there.
func (r *Room) gather() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seats = append(r.seats, r.fresh...)
	clear(r.fresh)
	r.fresh = r.fresh[:0]
	r.seats = slices.DeleteFunc(r.seats, (*Seat).cleared)
	r.running = len(r.seats) > 0
	return r.running
}
