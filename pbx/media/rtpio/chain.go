package rtpio

import "strings"

// String draws the way of a packet from this port's peer to the one that hears
// it, or into a room, stage by stage.
func (p *Port) String() string {
	stages := []string{p.local.String(), "learn", "count"}
	if p.tap.Load() != nil {
		stages = append(stages, "tap")
	}
	stages = append(stages, "keys")
	if seat := p.seat.Load(); seat.Taken() {
		return strings.Join(append(stages, table(seat)...), " ─ ")
	}
	q, s := p.target.Load(), p.settings.Load()
	if q == nil || s == nil {
		return strings.Join(append(stages, "nobody"), " ─ ")
	}
	to := q.settings.Load()
	switch c := p.conversion.Load(); {
	case c != nil && c.to == q:
		stages = append(stages, "line ─► worker: "+c.in.Name+" to "+c.out.Name+" ─►")
	case to != nil && to.law != s.law:
		stages = append(stages, s.stream.Codec.Name+" to "+to.stream.Codec.Name)
	}
	stages = append(stages, "number")
	if q.tap.Load() != nil {
		stages = append(stages, "tap")
	}
	return strings.Join(append(stages, q.local.String()), " ─ ")
}
