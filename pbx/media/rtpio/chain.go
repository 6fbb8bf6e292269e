package rtpio

import (
	"strings"

	"github.com/dipcast/dipcast/pbx/media"
)

// String draws the way of a packet from this port's peer to the one that hears
// it, or into a room, stage by stage.
func (p *Port) String() string {
	q, s := p.target.Load(), p.settings.Load()
	stages := append([]string{p.local.String()}, s.entry()...)
	if p.tap.Load() != nil {
		stages = append(stages, "tap")
	}
	stages = append(stages, "keys")
	if seat := p.seat.Load(); seat.Taken() {
		return strings.Join(append(stages, seat.String()), " ─ ")
	}
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
	if to != nil && to.cipher != nil {
		stages = append(stages, "seal")
	}
	return strings.Join(append(stages, q.local.String()), " ─ ")
}

// entry are the stages before a packet is believed.
func (s *settings) entry() []string {
	stages, source := []string{}, "learn"
	if s != nil && s.shake != nil {
		stages = append(stages, "DTLS")
	}
	if s != nil && s.cipher != nil {
		stages = append(stages, "open")
	}
	if s != nil && s.stream.ICE != (media.ICE{}) {
		source = "ICE"
	}
	return append(stages, source, "count")
}
