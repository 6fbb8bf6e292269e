package call

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call/state"
	"github.com/dipcast/dipcast/pbx/dialplan"
)

// morning is when the calls of these tests begin.
var morning = time.Date(2026, 3, 4, 1, 0, 0, 0, time.UTC)

// sim runs step without an engine: it answers questions from its own tables
// and keeps what the actions amount to.
type sim struct {
	s        State
	now      time.Time
	contacts map[string][]pbx.Contact
	up       []string
	closed   bool    // the tap
	noDisk   bool    // no recording can be begun
	later    bool    // questions wait in due instead of being answered at once
	due      []input // answers that wait
	out      []action
	ticket   int
	refusal  *dialplan.Refusal
}

func newSim(from pbx.Party, dialled string, written bool) *sim {
	plan := dialplan.Resolve(document(), dialplan.Query{Dialled: dialled, From: from, Now: morning, Written: written})
	s := state.New("c", morning, dialled, plan)
	s.From, s.Timing = from, Timing{}.WithDefaults()
	m := &sim{s: s, now: morning, up: []string{"one", "two"}, refusal: plan.Refusal, contacts: map[string][]pbx.Contact{
		"101": {{ID: "101-a", Extension: "101"}, {ID: "101-b", Extension: "101"}},
		"102": {{ID: "102-a", Extension: "102"}},
		"103": {{ID: "103-a", Extension: "103"}},
	}}
	return m
}

// arrive is a call that came in on the leg "in".
func arrive(from pbx.Party, dialled string) *sim {
	m := newSim(from, dialled, false)
	m.s.Begin("in", "")
	return m
}

// feed takes one step and answers the questions that it asks.
func (m *sim) feed(in input) []action {
	queue := []input{in}
	m.out = nil
	for len(queue) > 0 {
		actions := step(&m.s, m.now, queue[0])
		queue = queue[1:]
		m.out = append(m.out, actions...)
		for _, a := range actions {
			answer := m.answer(a)
			switch {
			case answer == nil:
			case m.later && !ofRecording(answer):
				m.due = append(m.due, answer)
			default:
				queue = append(queue, answer)
			}
		}
	}
	return m.out
}

// ofRecording reports whether it is the recorder that answers, which does so at
// once.
func ofRecording(in input) bool {
	switch in.(type) {
	case recording, recorded:
		return true
	}
	return false
}

func (m *sim) answer(a action) input {
	switch a := a.(type) {
	case lookUp:
		f := found{Ask: a.Ask, Room: maxFork, Contacts: make(map[string][]pbx.Contact)}
		for _, x := range a.Extensions {
			if c := m.contacts[x]; len(c) > 0 {
				f.Contacts[x] = c
			}
		}
		for _, w := range a.Ways {
			if slices.Contains(m.up, w.Trunk) {
				f.Up = append(f.Up, w.Trunk)
			}
		}
		if m.closed && len(a.Ways) > 0 && !a.Emergency {
			f.Refused = &dialplan.Refusal{Code: pbx.CodeLimit, Cause: pbx.Cause{SIP: 503, Text: "tap"}}
		}
		return f
	case record:
		if m.noDisk {
			return recording{}
		}
		return recording{File: "2026/11/c.wav"}
	case endRecording:
		return recorded{pbx.Recording{File: "2026/11/c.wav", Started: m.s.Recording.Started, Duration: a.At.Sub(m.s.Recording.Started)}}
	case replan:
		return replanned{a.Ask, dialplan.Resolve(document(), dialplan.Query{
			Dialled: a.Number, From: m.s.From, By: a.By, Visited: m.s.Visited, Now: m.now,
		})}
	default:
		return nil
	}
}

// press makes the input of a button.
func (m *sim) press(extension string, to pbx.PullTo) press {
	m.ticket++
	doc := document()
	ext := extensionOf(doc.Extensions, extension)
	p := press{Ticket: m.ticket, To: to, Phone: dialplan.Phone{Extension: extension, Name: ext.DisplayName, AutoAnswer: ext.AutoAnswer}}
	if to == pbx.ToMobile {
		p.Out, p.Diverted, p.Refused = dialplan.Mobile(doc, ext, m.s.From, m.now)
	}
	return p
}

// text is an action in one line, for tables.
func text(a action) string {
	switch a := a.(type) {
	case dial:
		to := cmpOr(a.Dial.Target.Contact.ID, a.Dial.Target.Number+" by "+a.Dial.Target.Trunk)
		return fmt.Sprintf("dial %s %s from %s", a.Dial.Leg, to, a.Dial.From.Number)
	case end:
		return fmt.Sprintf("end %s %d %s", a.Leg, a.Cause.SIP, a.Cause.Text)
	case hear:
		return fmt.Sprintf("hear %s -> %s", a.From, cmpOr(string(a.To), "nobody"))
	case play:
		return fmt.Sprintf("play %s %s", a.Leg, cmpOr(a.Sound, "nothing"))
	case meter:
		return fmt.Sprintf("meter %s %v", a.Leg, a.Running)
	case present:
		return fmt.Sprintf("present %s %s", a.Leg, a.Party.Number)
	case sendDigit:
		return fmt.Sprintf("sendDigit %s %c", a.To, a.Digit)
	case emit:
		e := a.Event
		var err string
		if e.Err != nil {
			err = string(e.Err.Code)
		}
		return strings.Join(strings.Fields(fmt.Sprintf("event %s %s %s %s %s", e.Type, e.Leg, e.Extension, e.PullTo, err)), " ")
	case reply:
		if a.Err != nil {
			return "reply " + string(a.Err.Code)
		}
		return "reply ok"
	default:
		return strings.TrimSuffix(strings.ReplaceAll(fmt.Sprintf("%T %v", a, a)[len("call."):], "{", ""), "}")
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// asJSON is the state as it would be written down.
func asJSON(s *State) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return b
}

// after returns what becomes of a copy of the state.
func after(s State, now time.Time, in input) (State, []action) {
	s.Stages, s.Visited, s.Up = slices.Clone(s.Stages), slices.Clone(s.Visited), slices.Clone(s.Up)
	s.Legs, s.Asks = slices.Clone(s.Legs), slices.Clone(s.Asks)
	s.Offered, s.Declined = slices.Clone(s.Offered), slices.Clone(s.Declined)
	if s.Pull != nil {
		p := *s.Pull
		s.Pull = &p
	}
	return s, step(&s, now, in)
}

// again returns the state after it was written down and read.
func again(s *State) State {
	var out State
	if err := json.Unmarshal(asJSON(s), &out); err != nil {
		panic(err)
	}
	return out
}

// sameAfterJSON reports whether the step from the written state is the same.
func sameAfterJSON(before State, now time.Time, in input, after State, actions []action) error {
	s := again(&before)
	out := step(&s, now, in)
	if got, want := asJSON(&s), asJSON(&after); !bytes.Equal(got, want) {
		return fmt.Errorf("the state differs after JSON:\n%s\n%s", got, want)
	}
	if got, want := lines(out), lines(actions); got != want {
		return fmt.Errorf("the actions differ after JSON:\n%s\n%s", got, want)
	}
	return nil
}

func lines(actions []action) string {
	var b strings.Builder
	for _, a := range actions {
		b.WriteString(text(a) + "\n")
	}
	return b.String()
}
