package call

import (
	"slices"
	"strconv"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call/state"
	"github.com/dipcast/dipcast/pbx/dialplan"
)

const (
	// maxFork bounds how many phones one stage rings.
	maxFork = 64
	// maxLegs bounds how many legs one call may make in its life.
	maxLegs = 256
)

// step is the transition: what becomes of the call by the input, and what is
// to be done. It depends on its arguments alone and changes nothing but s.
// Deadlines that have passed come before the input, so that it makes no
// difference who was first to tell the time.
func step(s *State, now time.Time, in input) []action {
	m := machine{s: s, now: now, out: make([]action, 0, usualActions)}
	if s.Phase != pbx.CallOver {
		m.deadlines()
	}
	in.apply(&m)
	m.settle()
	return m.out
}

// usualActions is how many actions a step has room for before it must grow.
const usualActions = 8

// machine is one step under way: the state and the actions so far.
type machine struct {
	s   *State
	now time.Time
	out []action
}

func (m *machine) do(a action) { m.out = append(m.out, a) }

// emit tells an event, whose time and call it fills in.
func (m *machine) emit(e pbx.Event) {
	e.Time, e.Call = m.now, m.s.Snapshot()
	m.do(emit{&e})
}

// running reports whether the call still takes part in life.
func (m *machine) running() bool { return m.s.Phase != pbx.CallOver && !m.s.Ending }

// deadlines lets happen what was due before now. Each deadline is switched
// off by what it causes, so the loop ends.
func (m *machine) deadlines() {
	s := m.s
	passed := func(at *time.Time) bool {
		due := !at.IsZero() && !at.After(m.now)
		if due {
			*at = time.Time{}
		}
		return due
	}
	if passed(&s.LingerAt) {
		m.abandon()
		return
	}
	if passed(&s.LongestAt) {
		m.finish(pbx.Cause{Q850: 102, Text: "The call reached the longest duration allowed"})
	}
	if passed(&s.SetupAt) {
		m.finish(pbx.Cause{SIP: 480, Q850: 102, Text: "Nobody answered in the time allowed for all targets"})
	}
	if passed(&s.PullAt) {
		m.pullTimeout()
	}
	if passed(&s.StageAt) {
		m.stageTimeout()
	}
}

func (tick) apply(*machine) {}

func (in hangup) apply(m *machine) {
	if !m.running() {
		m.do(reply{in.Ticket, pbx.ErrGone})
		return
	}
	m.do(reply{Ticket: in.Ticket})
	m.finish(pbx.Cause{SIP: 480, Q850: 16, Text: "Ended by command"})
}

func (shutdown) apply(m *machine) {
	if m.s.Phase == pbx.CallOver {
		return
	}
	m.finish(pbx.Cause{SIP: 503, Q850: 41, Text: "The PBX is shutting down"})
	if soon := m.now.Add(closeTime); m.s.LingerAt.After(soon) {
		m.s.LingerAt = soon
	}
}

// ask asks the engine who is reachable.
func (m *machine) ask(purpose string, extensions []string, out *dialplan.Outside) {
	a := lookUp{Ask: m.question(purpose), Extensions: extensions}
	if out != nil {
		a.Ways, a.Emergency = out.Ways, out.Emergency
	}
	m.do(a)
}

func (m *machine) question(purpose string) int {
	m.s.Asked++
	m.s.Asks = append(m.s.Asks, state.Ask{N: m.s.Asked, For: purpose})
	return m.s.Asked
}

// asked takes a question off the list and returns what it was for, empty
// if it was not asked.
func (m *machine) asked(n int) string {
	i := slices.IndexFunc(m.s.Asks, func(a state.Ask) bool { return a.N == n })
	if i < 0 {
		return ""
	}
	purpose := m.s.Asks[i].For
	m.s.Asks = slices.Delete(m.s.Asks, i, i+1)
	return purpose
}

func (in found) apply(m *machine) {
	purpose := m.asked(in.Ask)
	if !m.running() {
		return
	}
	switch purpose {
	case state.ForStage:
		m.foundStage(in)
	case state.ForLift:
		m.foundLift(in)
	case state.ForPull:
		m.foundPull(in)
	}
}

// newLeg adds an outgoing leg. Its ID follows from the call's, so that step
// needs no randomness.
func (m *machine) newLeg(role pbx.LegRole, party pbx.Party) *Leg {
	s := m.s
	s.Made++
	s.Legs = append(s.Legs, Leg{Leg: pbx.Leg{
		ID:   pbx.LegID(string(s.ID) + "-" + strconv.Itoa(s.Made)),
		Role: role, State: pbx.LegTrying, Party: party, Created: m.now,
	}})
	return &s.Legs[len(s.Legs)-1]
}
