package call

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/dialplan"
)

// model drives step with anything at any time and checks after each step what
// must hold for every call.
type model struct {
	*sim
	t       *rapid.T
	hears   map[pbx.LegID]pbx.LegID
	plays   map[pbx.LegID]string
	dialled map[pbx.LegID]bool
	ended   map[pbx.LegID]int // end actions
	meters  map[pbx.LegID]bool
	answers int
	taping  int          // recordings that run
	asked   map[int]bool // commands: answered?
	events  map[pbx.EventType]int
	last    pbx.EventType
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		m.t.Repeat(map[string]func(*rapid.T){
			"":         func(*rapid.T) { m.invariants() },
			"leg":      m.anyLeg,
			"answer":   m.oneAnswers,
			"over":     m.oneIsOver,
			"press":    m.anyPress,
			"time":     m.someTime,
			"reply":    m.lateAnswer,
			"tables":   m.anyTables,
			"command":  m.rareCommand,
			"nonsense": m.nonsense,
			"crash":    m.crash,
		})
		m.windUp()
	})
}

func newModel(t *rapid.T) *model {
	var s *sim
	switch rapid.IntRange(0, 6).Draw(t, "call") {
	case 0:
		s = arrive(outsider, "025550100")
	case 1:
		s = arrive(outsider, "025550101")
	case 2:
		s = arrive(pbx.Party{Extension: "102", Number: "102"}, "103")
	case 3:
		s = arrive(pbx.Party{Extension: "101", Number: "101"}, "901023456789")
	case 4:
		s = arrive(pbx.Party{Extension: "103", Number: "103"}, "601")
	case 5:
		s = arrive(pbx.Party{Extension: "101", Number: "101"}, "104")
	default:
		s = newSim(pbx.Party{Extension: "103", Number: "103"}, rapid.SampledFrom([]string{"101", "601", "01099998888"}).Draw(t, "back"), true)
		s.s.Back = &Back{Phone: dialplan.Phone{Extension: "103"}}
	}
	s.later = rapid.Bool().Draw(t, "late answers")
	s.s.Record, s.noDisk = rapid.Bool().Draw(t, "record"), rapid.IntRange(0, 4).Draw(t, "disk") == 0
	m := &model{
		sim: s, t: t, hears: map[pbx.LegID]pbx.LegID{}, plays: map[pbx.LegID]string{}, dialled: map[pbx.LegID]bool{},
		ended: map[pbx.LegID]int{}, meters: map[pbx.LegID]bool{}, asked: map[int]bool{}, events: map[pbx.EventType]int{},
	}
	m.take(start{s.refusal})
	return m
}

// take feeds an input and books what its actions do.
func (m *model) take(in input) {
	switch c := in.(type) {
	case press:
		m.asked[c.Ticket] = false
	case hangup:
		m.asked[c.Ticket] = false
	}
	before, now := m.s, m.now
	s, actions := after(before, now, in)
	if err := sameAfterJSON(before, now, in, s, actions); err != nil {
		m.t.Fatal(err)
	}
	if before.Phase == pbx.CallOver {
		for _, a := range actions {
			if _, ok := a.(reply); !ok {
				m.t.Fatalf("after the end: %s", text(a))
			}
		}
	}
	for _, a := range m.feed(in) {
		m.book(a)
	}
}

func (m *model) book(a action) {
	switch a := a.(type) {
	case dial:
		if m.dialled[a.Dial.Leg] {
			m.t.Fatalf("leg %s dialled twice", a.Dial.Leg)
		}
		m.dialled[a.Dial.Leg] = true
	case end:
		if m.ended[a.Leg]++; m.ended[a.Leg] > 1 {
			m.t.Fatalf("leg %s ended twice", a.Leg)
		}
	case hear:
		m.hears[a.From] = a.To
	case play:
		m.plays[a.Leg] = a.Sound
	case meter:
		m.meters[a.Leg] = a.Running
	case answer:
		if m.answers++; m.answers > 1 {
			m.t.Fatal("the caller was answered twice")
		}
	case record:
		if m.taping++; m.taping != 1 || a.Leg != m.s.Caller {
			m.t.Fatalf("%d recordings, one of leg %s", m.taping, a.Leg)
		}
	case endRecording:
		if m.taping--; m.taping != 0 || m.noDisk {
			m.t.Fatal("a recording that does not run was ended")
		}
	case reply:
		if done, ok := m.asked[a.Ticket]; done || !ok {
			m.t.Fatalf("command %d answered twice or never asked", a.Ticket)
		}
		m.asked[a.Ticket] = true
	case emit:
		m.event(*a.Event)
	}
}

func (m *model) event(e pbx.Event) {
	if m.last == pbx.EventEnded {
		m.t.Fatalf("event %s after the last one", e.Type)
	}
	if (e.Type == pbx.EventStarted) != (m.last == "") {
		m.t.Fatalf("event %s after %q", e.Type, m.last)
	}
	m.last = e.Type
	m.events[e.Type]++
	if e.Type == pbx.EventAnswered && e.Call.AnsweredBy == (pbx.Party{}) {
		m.t.Fatal("answered by nobody")
	}
	for _, once := range []pbx.EventType{pbx.EventAnswered, pbx.EventEnded} {
		if m.events[once] > 1 {
			m.t.Fatalf("event %s twice", once)
		}
	}
}

// invariants are what must hold after every step.
func (m *model) invariants() {
	s := &m.s
	for i := range s.Legs {
		l := &s.Legs[i]
		if m.hears[l.ID] != l.To || m.plays[l.ID] != l.Sound {
			m.t.Fatalf("leg %s: the state says %q %q, the actions %q %q", l.ID, l.To, l.Sound, m.hears[l.ID], m.plays[l.ID])
		}
		if !l.Live() && (l.To != "" || l.Sound != "") {
			m.t.Fatalf("leg %s has ended and has media", l.ID)
		}
		if to := s.Leg(l.To); l.To != "" && (to == nil || !to.Live()) {
			m.t.Fatalf("leg %s is heard by a leg that has ended", l.ID)
		}
		if m.meters[l.ID] && l.State == pbx.LegEnded {
			m.t.Fatalf("minutes of leg %s are counted for ever", l.ID)
		}
		if l.Pulled && s.Pull == nil {
			m.t.Fatalf("leg %s belongs to a pull that is over", l.ID)
		}
	}
	switch {
	case s.Phase == pbx.CallOver:
		if !s.Next().IsZero() || m.events[pbx.EventEnded] != 1 {
			m.t.Fatal("over, with a deadline left or without its last event")
		}
	case s.Next().IsZero():
		m.t.Fatal("no deadline: the call could stay for ever")
	case s.Peer != "" && !s.Ending:
		c, p := s.Leg(s.Caller), s.Leg(s.Peer)
		if !c.Live() || !p.Live() || c.To != p.ID || p.To != c.ID || c.State != pbx.LegConfirmed || p.State != pbx.LegConfirmed {
			m.t.Fatalf("the two who talk do not: %+v %+v", c, p)
		}
	}
	if pulls := m.events[pbx.EventPulling] - m.events[pbx.EventPulled] - m.events[pbx.EventPullFailed]; pulls < 0 || pulls > 1 || pulls == 1 && s.Pull == nil {
		m.t.Fatalf("%d pulls are under way, the state says %+v", pulls, s.Pull)
	}
	if s.Made > maxLegs {
		m.t.Fatalf("%d legs", s.Made)
	}
}

// someLeg is any leg of the call, or none of it.
func (m *model) someLeg(t *rapid.T) pbx.LegID {
	ids := []pbx.LegID{"nobody"}
	for _, l := range m.s.Legs {
		ids = append(ids, l.ID)
	}
	return rapid.SampledFrom(ids).Draw(t, "leg")
}

func (m *model) anyLeg(t *rapid.T) {
	id := m.someLeg(t)
	m.take(rapid.SampledFrom([]input{
		legRinging{id},
		legProgress{id},
		legAnswered{id},
		legHeld{id, true},
		legHeld{id, false},
		legDigit{id, '1', true},
		legDigit{id, '1', true},
		legDigit{id, '5', true},
		legPlayed{id},
		legSilent{id},
	}).Draw(t, "input"))
}

// oneAnswers is the most interesting of anyLeg.
func (m *model) oneAnswers(t *rapid.T) {
	id := m.someLeg(t)
	m.take(legRinging{id})
	m.take(legAnswered{id})
}

func (m *model) oneIsOver(t *rapid.T) {
	id := m.someLeg(t)
	status := rapid.SampledFrom([]int{0, 302, 404, 408, 480, 486, 487, 500, 503, 600, 603}).Draw(t, "status")
	if rapid.IntRange(0, 3).Draw(t, "moved") == 0 {
		m.take(legMoved{id, rapid.SampledFrom([]string{"101", "102", "103", "01011112222", "x"}).Draw(t, "number")})
	}
	m.take(legOver{Leg: id, Cause: pbx.Cause{SIP: status}})
}

func (m *model) anyPress(t *rapid.T) {
	x := rapid.SampledFrom([]string{"101", "102", "103", "104"}).Draw(t, "extension")
	to := rapid.SampledFrom([]pbx.PullTo{pbx.ToDesk, pbx.ToDesk, pbx.ToMobile, pbx.ToMobile, pbx.ToAssistant, "moon"}).Draw(t, "to")
	m.take(m.press(x, to))
}

func (m *model) someTime(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
	m.take(tick{})
}

func (m *model) lateAnswer(*rapid.T) {
	if len(m.due) > 0 {
		var in input
		in, m.due = m.due[0], m.due[1:]
		m.take(in)
	}
}

func (m *model) anyTables(t *rapid.T) {
	m.up = rapid.SampledFrom([][]string{nil, {"one"}, {"one", "two"}}).Draw(t, "trunks")
	m.closed = rapid.IntRange(0, 4).Draw(t, "tap") == 0
	x := rapid.SampledFrom([]string{"101", "102", "103", "104"}).Draw(t, "extension")
	m.contacts[x] = nil
	for i := range rapid.IntRange(0, 3).Draw(t, "contacts") {
		m.contacts[x] = append(m.contacts[x], pbx.Contact{ID: fmt.Sprintf("%s-%d", x, i), Extension: x, Q: float32(i)})
	}
}

func (m *model) rareCommand(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "rare") > 0 {
		return
	}
	m.ticket++
	m.take(rapid.SampledFrom([]input{hangup{m.ticket}, shutdown{}}).Draw(t, "command"))
}

func (m *model) nonsense(t *rapid.T) {
	m.take(rapid.SampledFrom([]input{
		start{}, found{Ask: rapid.IntRange(0, 3).Draw(t, "ask")}, replanned{Ask: rapid.IntRange(0, 9).Draw(t, "ask")},
	}).Draw(t, "input"))
}

// windUp lets the world come to rest: questions are answered, legs that were
// ended are over, time passes.
func (m *model) windUp() {
	for range 4000 {
		if m.s.Phase == pbx.CallOver {
			break
		}
		if len(m.due) > 0 {
			m.lateAnswer(m.t)
			continue
		}
		i := slices.IndexFunc(m.s.Legs, func(l Leg) bool { return l.Ending && l.State != pbx.LegEnded })
		if i >= 0 {
			m.take(legOver{Leg: m.s.Legs[i].ID})
			continue
		}
		if at := m.s.Next(); at.After(m.now) {
			m.now = at
		}
		m.take(tick{})
	}
	m.invariants()
	if m.s.Phase != pbx.CallOver {
		m.t.Fatalf("the call never ends: %s", asJSON(&m.s))
	}
	for ticket, done := range m.asked {
		if !done {
			m.t.Fatalf("command %d was never answered", ticket)
		}
	}
	for id := range m.dialled {
		if l := m.s.Leg(id); l == nil || l.State != pbx.LegEnded || l.Ended.IsZero() {
			m.t.Fatalf("leg %s never ended", id)
		}
	}
	if m.events[pbx.EventLegEnded] != len(m.s.Legs) || m.events[pbx.EventEnded] != 1 {
		m.t.Fatalf("%d legs, events %v", len(m.s.Legs), m.events)
	}
	m.recordingEnded()
	if m.events[pbx.EventPulling] != m.events[pbx.EventPulled]+m.events[pbx.EventPullFailed] {
		m.t.Fatalf("a pull has no outcome: %v", m.events)
	}
	if (m.events[pbx.EventAnswered] == 1) == m.s.Answered.IsZero() || !m.s.Answered.IsZero() && m.events[pbx.EventUnanswered] > 0 {
		m.t.Fatalf("answered and missed: %v", m.events)
	}
}

// recordingEnded: an answered call of a company that records has a recording
// as long as both could talk, any other has none.
func (m *model) recordingEnded() {
	s := &m.s
	want := s.Record && !m.noDisk && !s.Answered.IsZero()
	if has := s.Recording.File != ""; has != want || s.Taping || want && m.taping != 0 {
		m.t.Fatalf("recording %+v, want one: %t; it runs: %t", s.Recording, want, s.Taping)
	}
	if want && (!s.Recording.Started.Equal(s.Answered) || s.Recording.Duration > s.Ended.Sub(s.Answered)) {
		m.t.Fatalf("recording %+v of a call from %v to %v", s.Recording, s.Answered, s.Ended)
	}
}

// crash lets another process take the call up from what the journal holds of
// it. Of the legs that were answered most are found again, no other is.
func (m *model) crash(t *rapid.T) {
	if m.s.Phase == pbx.CallOver || !m.s.Talked() {
		return
	}
	m.s = throughTheJournal(m.t, m.s)
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
	var in restart
	for _, l := range m.s.Legs {
		if l.State == pbx.LegConfirmed && rapid.IntRange(0, 9).Draw(t, "lost") > 0 {
			in.Live = append(in.Live, l.ID)
		}
	}
	m.due = nil
	clear(m.hears)
	clear(m.plays)
	clear(m.meters)
	clear(m.ended)
	m.taping = 0
	m.take(in)
	for i := range m.s.Legs {
		if l := &m.s.Legs[i]; l.State != pbx.LegEnded && l.Metered && l.Live() && !m.meters[l.ID] && l.State == pbx.LegConfirmed {
			m.t.Fatalf("minutes of leg %s are not counted any more", l.ID)
		}
	}
}
