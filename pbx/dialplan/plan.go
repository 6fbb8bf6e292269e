package dialplan

import (
	"slices"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// Query is one question to the dial plan.
type Query struct {
	// Dialled is the number as it came: digits, perhaps with separators or a
	// leading +. Anything else leads nowhere.
	Dialled string
	// From is the caller; Extension or Trunk says who was authenticated.
	From pbx.Party
	Now  time.Time
	// By is the extension under whose identity the number is called, if that
	// is not the caller: a phone that answered with a redirection, or the
	// owner of a mobile that a call is pulled to.
	By string
	// Written says that Dialled is a number as people write it, so that it
	// carries no outside prefix unless it leads nowhere without one.
	Written bool
	// Visited is Plan.Visited of the plan that this one continues.
	Visited []string
}

// Plan says what to do with a call: try Stages in order, or refuse.
type Plan struct {
	Direction pbx.Direction `json:"direction"`
	To        pbx.Party     `json:"to"` // the first place that the number leads to
	// Emergency calls pass every limit.
	Emergency bool    `json:"emergency,omitempty"`
	Stages    []Stage `json:"stages,omitempty"`
	// Refusal is set if the number leads nowhere; Stages is empty then.
	Refusal *Refusal `json:"refusal,omitempty"`
	// Visited are the places that the plan went through, for the loop guard
	// of a plan that continues this one.
	Visited []string `json:"visited,omitempty"`
	// Trace explains the choice, one English line per decision.
	Trace []string `json:"trace,omitempty"`
}

// Stage is one set of targets that ring at the same time: the phones of some
// extensions, or one outside number.
type Stage struct {
	Ring []Phone  `json:"ring,omitempty"`
	Out  *Outside `json:"out,omitempty"`
	// Timeout is how long the stage may ring.
	Timeout time.Duration `json:"timeout"`
	// Busy says that the next stage is tried also when every target is busy
	// or declines: a group goes on, a person's busy line does not.
	Busy bool `json:"busy,omitempty"`
	// Diverted is the number that forwarded the call here, if one did.
	Diverted string `json:"diverted,omitempty"`
}

// Phone is an extension as a target.
type Phone struct {
	Extension  string `json:"extension"`
	Name       string `json:"name,omitempty"`
	AutoAnswer bool   `json:"autoAnswer,omitempty"`
	// Person says that somebody gets a card for this extension and may pull
	// the call, even if no phone is registered.
	Person bool `json:"person,omitempty"`
}

// Party returns the extension as a party of a call.
func (p Phone) Party() pbx.Party {
	return pbx.Party{Number: p.Extension, Name: p.Name, Extension: p.Extension}
}

// Outside is an outside number and the ways to it.
type Outside struct {
	Number    string `json:"number"`  // national digits, or + and international digits
	Display   string `json:"display"` // as people write it
	Ways      []Way  `json:"ways"`    // in order of trial
	Emergency bool   `json:"emergency,omitempty"`
}

// Way is one trunk and the number that is presented on it.
type Way struct {
	Trunk string `json:"trunk"`
	From  string `json:"from"` // digits
}

// Refusal says why a number leads nowhere: Cause for the caller's phone, Code
// for a person who asked by other means.
type Refusal struct {
	Code  pbx.Code  `json:"code"`
	Cause pbx.Cause `json:"cause"`
}

// Error returns the refusal as an error that may be shown.
func (r *Refusal) Error() *pbx.Error { return &pbx.Error{Code: r.Code, Text: r.Cause.Text} }

func (s Stage) clone() Stage {
	s.Ring = slices.Clone(s.Ring)
	if s.Out != nil {
		out := *s.Out
		out.Ways = slices.Clone(out.Ways)
		s.Out = &out
	}
	return s
}

// Clone returns a copy that shares nothing with p.
func (p Plan) Clone() Plan {
	stages := slices.Clone(p.Stages)
	for i := range stages {
		stages[i] = stages[i].clone()
	}
	p.Stages = stages
	if p.Refusal != nil {
		r := *p.Refusal
		p.Refusal = &r
	}
	p.Visited = slices.Clone(p.Visited)
	p.Trace = slices.Clone(p.Trace)
	return p
}
