package call

import (
	"slices"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call/outcome"
)

// restart is the first input of a call that another process has begun. Live
// are the legs whose dialogs and media go on; every other one is lost.
type restart struct{ Live []pbx.LegID }

// What the actions of the process before have set up is set up again; nothing
// is told twice. A call whose parties are both there goes on as if nothing had
// happened; questions and ringing phones of before are void.
func (in restart) apply(m *machine) {
	s := m.s
	if s.Phase == pbx.CallOver {
		return
	}
	s.Asks = nil
	if !s.AudioAt.IsZero() {
		s.AudioAt = m.now
	}
	m.emit(pbx.Event{Type: pbx.EventResumed})
	for i := range s.Legs {
		l := &s.Legs[i]
		switch live := slices.Contains(in.Live, l.ID); {
		case l.State == pbx.LegEnded:
		case live && l.Ending:
			m.do(end{l.ID, s.Cause})
		case live:
			m.attach(l, in.Live)
		default:
			m.meter(l) // what it has talked counts
			m.close(l, outcome.Lost(s, l), pbx.Quality{})
		}
	}
	if s.Taping {
		m.record()
	}
	switch {
	case m.running():
		m.goOn()
	case s.Taping:
		m.endRecording()
	}
}

// attach sets up a leg's audio and its meter in this process. What a leg that
// is lost would hear is taken back when that one is closed.
func (m *machine) attach(l *Leg, live []pbx.LegID) {
	if l.To != "" && slices.Contains(live, l.To) {
		m.do(hear{From: l.ID, To: l.To})
	}
	if l.Sound != "" {
		m.do(play{l.ID, l.Sound})
	}
	m.meter(l)
}

// meter goes on to count a leg's minutes.
func (m *machine) meter(l *Leg) {
	if l.Metered && !l.Answered.IsZero() {
		m.do(meter{Leg: l.ID, Running: true, Since: l.Answered})
	}
}

// goOn decides what becomes of a call after a restart.
func (m *machine) goOn() {
	s := m.s
	caller, peer := s.Leg(s.Caller), s.Leg(s.Peer)
	switch {
	case caller == nil || !caller.Live():
		m.finish(outcome.LostLeg)
	case peer != nil && !peer.Live():
		m.peerGone(outcome.LostLeg)
	case s.Peer == "" && s.Pull == nil && s.Stage() == nil:
		m.finish(outcome.LostRinging)
	case s.Peer == "" && s.Pull == nil:
		m.beginStage() // a call back whose other party was being called
	}
	if m.running() && s.Pull != nil && !slices.ContainsFunc(s.Legs, func(l Leg) bool { return l.Pulled && l.Live() }) {
		m.failPull(pbx.Errorf(pbx.CodeFailed, "the PBX was restarted while the target rang"))
	}
}
