package call

import (
	"slices"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call/outcome"
	"github.com/dipcast/dipcast/pbx/call/state"
)

// A call back begins with the presser's own phones: they show the other
// party, and the phone that is lifted becomes the caller. From there on it is
// a call like any other, whose caller hears our ringback.

// lift rings the presser's phones.
func (m *machine) lift() {
	m.s.StageAt = m.now.Add(m.s.Timing.Lift)
	m.ask(state.ForLift, []string{m.s.Back.Phone.Extension}, nil)
}

func (m *machine) foundLift(in found) {
	p := m.s.Back.Phone
	if m.s.Caller != "" {
		return
	}
	for i, c := range byPreference(in.Contacts[p.Extension]) {
		if i < maxFork {
			m.dialPhone(pbx.RoleCallback, p, c, "", p.AutoAnswer)
		}
	}
	if len(m.s.Legs) == 0 {
		m.finish(outcome.Unreachable)
	}
}

func (m *machine) lifted(l *Leg) {
	s := m.s
	s.Caller = l.ID
	m.endOthers(func(o *Leg) bool { return o.ID == l.ID })
	m.sound(l, SoundRingback)
	m.nextStage()
}

// liftFailed ends the call when no phone of the presser is left.
func (m *machine) liftFailed(cause pbx.Cause) {
	s := m.s
	s.Best = outcome.Better(s.Best, cause)
	if !slices.ContainsFunc(s.Legs, func(l Leg) bool { return l.Live() }) {
		m.finish(outcome.Final(s.Best))
	}
}
