package call

import (
	"slices"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call/outcome"
)

// closeTime is how long the legs may take to end when the PBX shuts down.
const closeTime = 2 * time.Second

// finish ends the call: every leg is told to end, and the call is over when
// all of them have.
func (m *machine) finish(cause pbx.Cause) {
	s := m.s
	if !m.running() {
		return
	}
	s.Ending, s.Cause = true, cause
	m.endRecording()
	s.StageAt, s.PullAt, s.SetupAt, s.LongestAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	s.LingerAt = m.now.Add(s.Timing.Linger)
	s.Waiting = false
	if s.Pull != nil {
		m.dropPull(pbx.ErrGone, cause)
	}
	for i := range s.Legs {
		m.endLeg(&s.Legs[i], cause)
	}
	if !s.Answered.IsZero() {
		return
	}
	for _, x := range s.Offered {
		if !slices.Contains(s.Declined, x) {
			m.emit(pbx.Event{Type: pbx.EventUnanswered, Extension: x})
		}
	}
}

// endLeg tells one leg to end and takes it out of the audio.
func (m *machine) endLeg(l *Leg, cause pbx.Cause) {
	if !l.Live() {
		return
	}
	l.Ending = true
	m.silence(l)
	m.do(end{l.ID, cause})
}

// endOthers ends every live leg but the ones that keep says, since the call
// goes on elsewhere: their phones show no missed call.
func (m *machine) endOthers(keep func(*Leg) bool) {
	for i := range m.s.Legs {
		if l := &m.s.Legs[i]; !keep(l) {
			m.endLeg(l, outcome.Elsewhere)
		}
	}
}

// close notes that a leg is over, whoever ended it.
func (m *machine) close(l *Leg, cause pbx.Cause, q pbx.Quality) {
	if l.State == pbx.LegEnded {
		return
	}
	m.silence(l)
	l.State, l.Ended, l.Cause, l.Quality = pbx.LegEnded, m.now, cause, q.Rated()
	if l.Metered {
		m.do(meter{Leg: l.ID})
	}
	m.emit(pbx.Event{Type: pbx.EventLegEnded, Leg: l.ID})
}

// abandon closes legs that never told their end.
func (m *machine) abandon() {
	for i := range m.s.Legs {
		m.close(&m.s.Legs[i], pbx.Cause{SIP: 408, Q850: 102, Text: "The leg did not end in time"}, pbx.Quality{})
	}
}

// settle ends the call when the last leg of an ending call is over, and its
// recording: the record says how long that is.
func (m *machine) settle() {
	s := m.s
	if !s.Ending || s.Phase == pbx.CallOver || s.Taping {
		return
	}
	if slices.ContainsFunc(s.Legs, func(l Leg) bool { return l.State != pbx.LegEnded }) {
		return
	}
	m.over()
}

func (m *machine) over() {
	s := m.s
	s.Phase, s.Ended, s.Ending = pbx.CallOver, m.now, true
	s.StageAt, s.PullAt, s.SetupAt = time.Time{}, time.Time{}, time.Time{}
	s.LongestAt, s.LingerAt = time.Time{}, time.Time{}
	s.Asks = nil
	m.emit(pbx.Event{Type: pbx.EventEnded})
}

func (in legOver) apply(m *machine) {
	l := m.s.Leg(in.Leg)
	if l == nil || l.State == pbx.LegEnded {
		return
	}
	expected, answered := l.Ending, l.State == pbx.LegConfirmed
	m.close(l, in.Cause, in.Quality)
	switch {
	case expected || !m.running():
	case l.ID == m.s.Caller:
		m.finish(in.Cause)
	case l.ID == m.s.Peer:
		m.peerGone(in.Cause)
	case l.Role == pbx.RoleCallback:
		m.liftFailed(in.Cause)
	case l.Pulled:
		m.pullLegGone(l, in.Cause, answered)
	default:
		m.stageLegGone(l, in.Cause)
	}
}
