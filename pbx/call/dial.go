package call

import (
	"cmp"
	"slices"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call/outcome"
	"github.com/dipcast/dipcast/pbx/call/state"
	"github.com/dipcast/dipcast/pbx/dialplan"
	"github.com/dipcast/dipcast/pbx/leg"
)

func (in start) apply(m *machine) {
	s := m.s
	if s.At >= 0 || !m.running() || !s.SetupAt.IsZero() {
		return
	}
	s.SetupAt = m.now.Add(s.Timing.Setup)
	m.emit(pbx.Event{Type: pbx.EventStarted})
	switch {
	case in.Refusal != nil:
		m.finish(in.Refusal.Cause)
	case s.Back != nil:
		m.lift()
	default:
		m.nextStage()
	}
}

// nextStage tries the next targets of the plan; after the last one the call
// ends with the most telling failure of all.
func (m *machine) nextStage() {
	s := m.s
	s.Outcome = outcome.Better(s.Outcome, s.Best)
	s.At = min(s.At+1, len(s.Stages))
	m.beginStage()
}

// beginStage rings the targets of the current stage, for the first time or
// again.
func (m *machine) beginStage() {
	s := m.s
	s.Way, s.Up, s.Waiting, s.Best = 0, nil, false, pbx.Cause{}
	st := s.Stage()
	if st == nil {
		m.finish(outcome.Final(s.Outcome))
		return
	}
	s.StageAt = m.now.Add(st.Timeout)
	if st.Out != nil {
		m.ask(state.ForStage, nil, st.Out)
		return
	}
	extensions := make([]string, 0, len(st.Ring))
	for _, p := range st.Ring {
		extensions = append(extensions, p.Extension)
		if !slices.Contains(s.Offered, p.Extension) {
			s.Offered = append(s.Offered, p.Extension)
			m.emit(pbx.Event{Type: pbx.EventOffered, Extension: p.Extension})
		}
	}
	m.ask(state.ForStage, extensions, nil)
}

func (m *machine) foundStage(in found) {
	s := m.s
	st := s.Stage()
	switch {
	case st == nil || s.Peer != "":
	case st.Out != nil && in.Refused != nil:
		s.Best = in.Refused.Cause
		m.checkStage()
	case st.Out != nil:
		s.Up = in.Up
		if st.Out.Emergency {
			st.Out = st.Out.InOrder(in.Up)
		}
		if !m.dialWay(st) {
			s.Best = outcome.NoTrunk
			m.checkStage()
		}
	case s.Pull != nil && s.Pull.To == pbx.ToDesk:
		// A pull to the desk rings alone; if it fails the stage begins again.
	default:
		m.ringStage(st, in.Contacts, in.Room)
	}
}

// ringStage forks the call to every contact of the stage's extensions for
// which there is room.
func (m *machine) ringStage(st *dialplan.Stage, contacts map[string][]pbx.Contact, room int) {
	s := m.s
	rung, person := 0, false
	for _, p := range st.Ring {
		if slices.Contains(s.Declined, p.Extension) || m.rings(p.Extension) {
			continue
		}
		person = person || p.Person && len(contacts[p.Extension]) == 0
		for _, c := range byPreference(contacts[p.Extension]) {
			if rung == room || s.Made == maxLegs {
				break
			}
			rung++
			m.dialPhone(pbx.RoleDesk, p, c, st.Diverted, false)
		}
	}
	s.Waiting = person // somebody without a phone has the card and may pull the call
	if !m.anyRings() {
		s.Best = outcome.Better(s.Best, outcome.Unreachable)
		m.checkStage()
	}
}

// dialPhone begins a leg to one registered phone.
func (m *machine) dialPhone(role pbx.LegRole, p dialplan.Phone, c pbx.Contact, diverted string, auto bool) *Leg {
	s := m.s
	from := s.From
	if role == pbx.RoleCallback {
		from = s.To
	}
	l := m.newLeg(role, p.Party())
	l.Contact = c.ID
	m.do(dial{leg.Dial{
		Leg: l.ID, Call: s.ID, Target: leg.Target{Contact: c}, From: from,
		Diverted: diverted, AutoAnswer: auto, Codec: s.Codec, MaxForwards: s.Hops,
	}})
	return l
}

// dialTrunk begins a leg to an outside number.
func (m *machine) dialTrunk(role pbx.LegRole, to pbx.Party, out *dialplan.Outside, way int, up []string, diverted string) *Leg {
	s := m.s
	w := out.Ways[way]
	to.Trunk = w.Trunk
	l := m.newLeg(role, to)
	l.Trunk, l.Metered = w.Trunk, !out.Emergency
	m.do(dial{leg.Dial{
		Leg: l.ID, Call: s.ID, Target: leg.Target{Trunk: w.Trunk, Number: out.Number},
		From: pbx.Party{Number: w.From, Trunk: w.Trunk}, Diverted: diverted, Codec: s.Codec, MaxForwards: s.Hops,
		Emergency: out.Emergency,
		MoreWays:  slices.ContainsFunc(out.Ways[way+1:], func(w dialplan.Way) bool { return slices.Contains(up, w.Trunk) }),
	}})
	return l
}

// dialWay tries the next trunk that is up; false if there is none left.
func (m *machine) dialWay(st *dialplan.Stage) bool {
	s := m.s
	for ; s.Way < len(st.Out.Ways); s.Way++ {
		if w := st.Out.Ways[s.Way]; slices.Contains(s.Up, w.Trunk) && s.Made < maxLegs {
			m.dialTrunk(pbx.RoleTrunk, pbx.Party{Number: st.Out.Display}, st.Out, s.Way, s.Up, st.Diverted)
			return true
		}
	}
	return false
}

// byPreference orders contacts by their q value, then by ID.
func byPreference(contacts []pbx.Contact) []pbx.Contact {
	return slices.SortedStableFunc(slices.Values(contacts), func(a, b pbx.Contact) int {
		return cmp.Or(cmp.Compare(b.Q, a.Q), cmp.Compare(a.ID, b.ID))
	})
}

// rings reports whether a phone of the extension is being rung or talks.
func (m *machine) rings(extension string) bool {
	return slices.ContainsFunc(m.s.Legs, func(l Leg) bool {
		return l.Role == pbx.RoleDesk && l.Party.Extension == extension && l.Live()
	})
}

// anyRings reports whether a leg of the stage is left.
func (m *machine) anyRings() bool {
	return slices.ContainsFunc(m.s.Legs, func(l Leg) bool { return m.ofStage(&l) })
}

// ofStage reports whether the leg is a live one that the stage rings.
func (m *machine) ofStage(l *Leg) bool {
	return l.Live() && !l.Pulled && (l.Role == pbx.RoleDesk || l.Role == pbx.RoleTrunk) && l.ID != m.s.Peer && l.ID != m.s.Caller
}

// stageLegGone goes on after one leg of the stage failed by itself.
func (m *machine) stageLegGone(l *Leg, cause pbx.Cause) {
	s := m.s
	st := s.Stage()
	if st == nil {
		return
	}
	s.Best = outcome.Better(s.Best, cause)
	if st.Out != nil {
		if retriable(l, cause) {
			s.Way++
			if m.dialWay(st) {
				return
			}
		}
	} else if outcome.Declined(cause) {
		m.decline(l.Party.Extension)
	}
	m.checkStage()
}

// decline ends what else rings for somebody who refused the call.
func (m *machine) decline(extension string) {
	s := m.s
	if !slices.Contains(s.Declined, extension) {
		s.Declined = append(s.Declined, extension)
	}
	for i := range s.Legs {
		if l := &s.Legs[i]; m.ofStage(l) && l.Party.Extension == extension {
			m.endLeg(l, outcome.Elsewhere)
		}
	}
}

// retriable reports whether another trunk may do better: this one failed
// before the callee's side was reached.
func retriable(l *Leg, c pbx.Cause) bool {
	return l.Answered.IsZero() && !l.Rang && (c.SIP == 408 || c.SIP >= 500 && c.SIP < 600)
}

// checkStage goes on when nothing of the stage is left. A pull under way
// keeps the stage where it is.
func (m *machine) checkStage() {
	s := m.s
	st := s.Stage()
	if !m.running() || st == nil || s.Peer != "" || s.Pull != nil || m.anyRings() {
		return
	}
	if s.Waiting {
		m.alert()
		return
	}
	if (outcome.Busy(s.Best) || outcome.Declined(s.Best)) && !st.Busy && st.Out == nil {
		m.finish(outcome.Final(s.Best))
		return
	}
	m.nextStage()
}

// stageTimeout gives the stage up.
func (m *machine) stageTimeout() {
	s := m.s
	if s.Back != nil && s.Caller == "" {
		m.finish(outcome.NoAnswer)
		return
	}
	for i := range s.Legs {
		if l := &s.Legs[i]; m.ofStage(l) {
			m.endLeg(l, outcome.NoAnswer)
		}
	}
	s.Best = outcome.NoAnswer
	m.nextStage()
}

func (in legRinging) apply(m *machine) { m.rang(m.s.Leg(in.Leg), false) }

func (in legProgress) apply(m *machine) { m.rang(m.s.Leg(in.Leg), true) }

// rang notes a provisional response. Early media counts only if it comes from
// the outside number that was dialled: what a mobile's network plays while a
// call is pulled to it must not replace the ringing that the caller hears.
func (m *machine) rang(l *Leg, media bool) {
	s := m.s
	if !m.running() || l == nil || !l.Live() || l.State == pbx.LegConfirmed || l.ID == s.Caller {
		return
	}
	first := !l.Rang
	l.Rang, l.State = true, pbx.LegRinging
	switch {
	case media && l.Role == pbx.RoleTrunk && m.ofStage(l):
		m.early(l)
	case l.Role == pbx.RoleCallback:
		s.Phase = pbx.CallRinging
	case l.To == "":
		m.alert()
	}
	if first {
		m.emit(pbx.Event{Type: pbx.EventRinging, Leg: l.ID})
	}
}

func (in legAnswered) apply(m *machine) {
	s := m.s
	l := s.Leg(in.Leg)
	if !m.running() || l == nil || !l.Live() || l.State == pbx.LegConfirmed || l.Role == pbx.RoleCaller {
		return
	}
	l.State, l.Answered = pbx.LegConfirmed, m.now
	if l.Metered {
		m.do(meter{Leg: l.ID, Running: true})
	}
	switch {
	case l.Role == pbx.RoleCallback:
		m.lifted(l)
	case l.Pulled && s.Pull.To == pbx.ToMobile:
		m.confirm(l)
	case l.Pulled:
		m.pulled(l)
	default:
		if s.Pull != nil {
			m.dropPull(taken(l.Party), outcome.Elsewhere)
		}
		m.connect(l)
	}
}

// A phone that redirects forwards the call as its extension. A member of a
// ringing group cannot take the group's call away, and a carrier cannot send
// us anywhere: there the redirection is one failed leg.
func (in legMoved) apply(m *machine) {
	s := m.s
	l := s.Leg(in.Leg)
	st := s.Stage()
	if !m.running() || l == nil || !m.ofStage(l) || l.Role != pbx.RoleDesk || s.Pull != nil ||
		st == nil || len(st.Ring) != 1 || l.Party.Extension != st.Ring[0].Extension {
		return
	}
	m.do(replan{Ask: m.question(state.ForMoved), Number: in.Number, By: l.Party.Extension})
}

func (in replanned) apply(m *machine) {
	s := m.s
	st := s.Stage()
	if m.asked(in.Ask) != state.ForMoved || !m.running() || st == nil || s.Peer != "" || s.Pull != nil {
		return
	}
	if in.Plan.Refusal != nil || len(s.Stages) > maxLegs {
		return // the leg is over right after it, and the stage goes on without
	}
	for i := range s.Legs {
		if l := &s.Legs[i]; m.ofStage(l) {
			m.endLeg(l, outcome.Elsewhere)
		}
	}
	s.Visited = in.Plan.Visited
	s.Stages = append(slices.Clone(s.Stages[:s.At+1]), in.Plan.Stages...)
	m.nextStage()
}
