package room

import (
	"log/slog"
	"strconv"
	"sync/atomic"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/voice"
)

// Headroom is what Emit's packets begin with: room for an RTP header.
const Headroom = 12

// Line is a member's leg as its seat sees it. Its methods are called by a
// worker and must not block.
type Line interface {
	// Codec is what the member is sent now; false: not known yet.
	Codec() (media.Codec, bool)
	// Emit sends 20 ms, span timestamp units. The packet begins with Headroom
	// octets and may be changed, but not kept.
	Emit(packet []byte, span uint32)
}

// What a seat lacks an ear for.
const (
	nothing   uint32 = iota
	ofLaws           // G.711, which a peer may send whatever was settled
	ofSettled        // the settled codec
)

// again is how many frames lie between two attempts to give a seat what it
// lacks: a peer that changes its codec with each packet must not cost an ear
// each.
const again = 5

// Seat is a member's place in a room, from Join until Leave. A nil one is
// nobody's.
type Seat struct {
	room  *Room
	line  Line
	left  atomic.Bool
	muted atomic.Bool
	lacks atomic.Uint32
	booth atomic.Pointer[booth] // changed by the worker alone

	// The worker's alone:
	tried  uint64      // the frame in which something was made last
	failed media.Codec // nothing can be made for it
}

// Room is the room that the seat is in.
func (s *Seat) Room() *Room { return s.room }

// Taken reports whether the seat is still in use.
func (s *Seat) Taken() bool { return s != nil && !s.left.Load() && !s.room.closed.Load() }

// Leave gives the seat up. At most the frame that is being made still comes.
func (s *Seat) Leave() { s.left.Store(true) }

// Mute keeps what the member says out of the room, or no longer.
func (s *Seat) Mute(on bool) { s.muted.Store(on) }

// Muted reports whether the member is muted.
func (s *Seat) Muted() bool { return s.muted.Load() }

// String draws the way from the member into the room.
func (s *Seat) String() string {
	way := "ear ─► room of " + strconv.Itoa(s.room.Size())
	if s.Muted() {
		return "muted ─ " + way
	}
	return way
}

// Put takes a packet of the member, whose payload it copies; settled is the
// codec of one that is not G.711. One goroutine at a time may call it. Until
// there is an ear for the codec packets are lost: the worker makes it with the
// next frame.
func (s *Seat) Put(settled media.Codec, p *voice.Packet) {
	if s.muted.Load() {
		return
	}
	if b := s.booth.Load(); b != nil && b.understands(settled, p.Law) {
		b.ear.Put(p)
		return
	}
	if p.Law != 0 {
		s.lacks.Store(ofLaws)
	} else {
		s.lacks.Store(ofSettled)
	}
}

// settle gives the seat what its member's codecs ask for. Like all below it is
// the worker's.
func (s *Seat) settle() {
	out, ok := s.line.Codec()
	old, lacks := s.booth.Load(), s.lacks.Swap(nothing)
	if !ok || out == s.failed || old != nil && old.out == out && lacks == nothing {
		return
	}
	if s.tried != 0 && s.room.frame-s.tried < again {
		return
	}
	s.tried = s.room.frame
	in := out
	if _, law := codec.LawOf(out.Name); lacks == ofLaws && !law {
		in = codec.ALaw.Codec()
	}
	next, err := newBooth(s, in, out, old)
	if err == nil {
		err = s.room.mixer.Join(next)
	}
	if err != nil {
		s.failed = out
		s.room.log.Error("a member of a room is not heard or hears nothing",
			slog.String("in", in.Name), slog.String("out", out.Name), slog.Any("error", err))
		return
	}
	if old != nil {
		s.room.mixer.Leave(old)
	}
	s.booth.Store(next)
}

// cleared reports whether the member has left, and takes it out if so.
func (s *Seat) cleared() bool {
	if s.Taken() {
		return false
	}
	if b := s.booth.Load(); b != nil {
		s.room.mixer.Leave(b)
	}
	return true
}
