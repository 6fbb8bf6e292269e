package rtpio

import (
	"log/slog"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/room"
)

// gathering is a room of ports.
type gathering struct {
	*room.Room
	pool *Pool
}

// Room implements media.Allocator. The room is one of the crew's jobs while
// somebody is in it.
func (p *Pool) Room() media.Room { return gathering{room.New(p.crew, p.log), p} }

// Join implements media.Room.
func (g gathering) Join(m media.Port) {
	p, ok := m.(*Port)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed.Load() || g.seatOf(p) != nil {
		return
	}
	p.receive()
	if s := g.Room.Join(&line{port: p, source: p.pool.nextSource()}); s.Taken() {
		p.sit(s)
	}
}

// Leave implements media.Room.
func (g gathering) Leave(m media.Port) {
	if p, ok := m.(*Port); ok {
		p.mu.Lock()
		defer p.mu.Unlock()
		if g.seatOf(p) != nil {
			p.sit(nil)
		}
	}
}

// Close implements media.Room.
func (g gathering) Close() {
	g.Room.Close() // so that nobody comes in behind our back
	for _, p := range g.pool.open(nil) {
		p.mu.Lock()
		if s := p.seat.Load(); s != nil && s.Room() == g.Room {
			p.sit(nil)
		}
		p.mu.Unlock()
	}
}

// Mute implements media.Room.
func (g gathering) Mute(m media.Port, on bool) {
	if p, ok := m.(*Port); ok {
		if s := g.seatOf(p); s != nil {
			s.Mute(on)
		}
	}
}

// seatOf returns the port's seat in this room, nil if it has none.
func (g gathering) seatOf(p *Port) *room.Seat {
	if s := p.seat.Load(); s.Taken() && s.Room() == g.Room {
		return s
	}
	return nil
}

// sit gives up the seat that the port has, for another one or none. It is
// called under mu.
func (p *Port) sit(s *room.Seat) {
	if old := p.seat.Swap(s); old != nil {
		old.Leave()
	}
	if err := p.poller.Calm(p.rtp, s != nil); err != nil {
		p.pool.log.Warn("an rtp socket is looked at more often than needed, or less", slog.Any("local", p.local), slog.Any("error", err))
	}
}

// line is a port as its seat sees it.
type line struct {
	port   *Port
	source uint64 // names the room's audio towards the output
}

// Codec implements room.Line.
func (l *line) Codec() (c media.Codec, ok bool) {
	if s := l.port.settings.Load(); s != nil {
		return s.stream.Codec, true
	}
	return c, false
}

// Emit implements room.Line.
func (l *line) Emit(packet []byte, span uint32) { l.port.emit(l.source, packet, span) }
