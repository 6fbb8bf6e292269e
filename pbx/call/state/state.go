package state

import (
	"slices"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/dialplan"
)

// Timing bounds how long a call may stay in each situation. Zero fields take
// the defaults.
type Timing struct {
	Desk    time.Duration `json:"desk"`    // a pull rings the desk phones; 30 s
	Mobile  time.Duration `json:"mobile"`  // a pull rings the mobile; 25 s
	Confirm time.Duration `json:"confirm"` // the mobile presses 1; 10 s
	Lift    time.Duration `json:"lift"`    // a call back rings the presser's phones; 30 s
	Setup   time.Duration `json:"setup"`   // until anybody answers, all stages together; 5 min
	Longest time.Duration `json:"longest"` // of an answered call; 12 h
	// Linger is how long the legs of an ended call may take to end; then the
	// call is over without them; 2 min, longer than any SIP transaction.
	Linger time.Duration `json:"linger"`
}

// WithDefaults fills in what is zero.
func (t Timing) WithDefaults() Timing {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&t.Desk, 30*time.Second)
	set(&t.Mobile, 25*time.Second)
	set(&t.Confirm, 10*time.Second)
	set(&t.Lift, 30*time.Second)
	set(&t.Setup, 5*time.Minute)
	set(&t.Longest, 12*time.Hour)
	set(&t.Linger, 2*time.Minute)
	return t
}

// State is everything that is known of one call. It is plain data: it can be
// written as JSON between any two steps and taken up again.
//
//	routing ──► ringing ──► active ──► over
//	   └───────────┴──────────┴─ Ending: every leg is told to end ─┘
type State struct {
	ID        pbx.CallID    `json:"id"`
	Phase     pbx.CallState `json:"phase"`
	Direction pbx.Direction `json:"direction"`
	From      pbx.Party     `json:"from"`
	To        pbx.Party     `json:"to"`
	Dialled   string        `json:"dialled"`
	Codec     string        `json:"codec,omitempty"`
	Hops      int           `json:"hops,omitempty"` // Max-Forwards of the legs that go on, 0 = the default
	Timing    Timing        `json:"timing"`
	Emergency bool          `json:"emergency,omitempty"`

	Stages  []dialplan.Stage `json:"stages,omitempty"`
	Visited []string         `json:"visited,omitempty"`
	At      int              `json:"at"`            // the stage that rings, -1 before the first
	Way     int              `json:"way"`           // the trunk that an outside stage tries
	Up      []string         `json:"up,omitempty"`  // trunks that were up when the stage began
	Waiting bool             `json:"waiting"`       // nothing registered: waits for a person to pull
	Best    pbx.Cause        `json:"best,omitzero"` // the most telling failure of this stage
	Outcome pbx.Cause        `json:"outcome,omitzero"`

	Legs   []Leg     `json:"legs"`
	Made   int       `json:"made"`           // how many legs this call has dialled
	Caller pbx.LegID `json:"caller"`         // empty in a call back until a phone is lifted
	Peer   pbx.LegID `json:"peer,omitempty"` // who talks with the caller
	Early  bool      `json:"early"`          // early media was opened towards the caller
	Back   *Back     `json:"back,omitempty"` // set in a call back
	Pull   *Pull     `json:"pull,omitempty"` // set while a pull is under way
	Asks   []Ask     `json:"asks,omitempty"` // questions whose answers are due
	Asked  int       `json:"asked"`

	Offered    []string   `json:"offered,omitempty"`
	Declined   []string   `json:"declined,omitempty"` // extensions that declined this call
	AnsweredBy pbx.Party  `json:"answeredBy,omitzero"`
	PulledBy   string     `json:"pulledBy,omitempty"`
	PulledTo   pbx.PullTo `json:"pulledTo,omitempty"`

	Record    bool          `json:"record,omitempty"` // the company wants it
	Recording pbx.Recording `json:"recording,omitzero"`
	Taping    bool          `json:"taping,omitempty"` // it runs; the call is not over before it has ended

	Started  time.Time `json:"started"`
	Answered time.Time `json:"answered,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
	Ending   bool      `json:"ending"`
	Cause    pbx.Cause `json:"cause,omitzero"`

	// The deadlines; zero ones are off.
	StageAt   time.Time     `json:"stageAt,omitzero"`
	StageLeft time.Duration `json:"stageLeft,omitempty"` // of a stage that a pull suspends
	PullAt    time.Time     `json:"pullAt,omitzero"`
	SetupAt   time.Time     `json:"setupAt,omitzero"`
	LongestAt time.Time     `json:"longestAt,omitzero"`
	LingerAt  time.Time     `json:"lingerAt,omitzero"`

	AudioAt time.Time `json:"audioAt,omitzero"` // since when both sides are expected to be heard
}

// Leg is one leg and what the call made of it.
type Leg struct {
	pbx.Leg
	Contact string    `json:"contact,omitempty"` // ID of the registered binding
	Trunk   string    `json:"trunk,omitempty"`   // of an outgoing leg; a caller's trunk is in Party
	Ending  bool      `json:"ending"`            // it was told to end
	Rang    bool      `json:"rang"`              // its peer sent 18x
	Pulled  bool      `json:"pulled"`            // it belongs to the pull under way
	To      pbx.LegID `json:"to,omitempty"`      // who hears it
	Sound   string    `json:"sound,omitempty"`   // what is played to it
	Metered bool      `json:"metered,omitempty"` // its minutes count for the tap
}

// Live reports whether the leg takes part in the call.
func (l *Leg) Live() bool { return !l.Ending && l.State != pbx.LegEnded }

// Back is the beginning of a call back: who is rung before the plan is tried.
type Back struct {
	Phone dialplan.Phone `json:"phone"`
}

// Pull is a pull under way.
type Pull struct {
	Ticket     int               `json:"ticket"` // of the command, 0 once it is answered
	Phone      dialplan.Phone    `json:"phone"`  // the presser's extension
	To         pbx.PullTo        `json:"to"`
	Out        *dialplan.Outside `json:"out,omitempty"` // the mobile
	Diverted   string            `json:"diverted,omitempty"`
	Up         []string          `json:"up,omitempty"`
	Way        int               `json:"way"`
	Confirming bool              `json:"confirming"` // the mobile answered, key 1 is awaited
	Best       pbx.Cause         `json:"best,omitzero"`
}

// Ask is a question to the engine whose answer is due.
type Ask struct {
	N   int    `json:"n"`
	For string `json:"for"`
}

// What an Ask is for.
const (
	ForStage = "stage"
	ForLift  = "lift"
	ForPull  = "pull"
	ForMoved = "moved"
)

// New is a call before its first step: planned and nothing done.
func New(id pbx.CallID, now time.Time, dialled string, plan dialplan.Plan) State {
	if plan.To == (pbx.Party{}) {
		plan.To.Number = dialled
	}
	return State{
		ID: id, Dialled: dialled, Phase: pbx.CallRouting, Direction: plan.Direction, To: plan.To,
		Stages: plan.Stages, Visited: plan.Visited, At: -1, Started: now,
	}
}

// Begin adds the leg that an incoming call came on.
func (s *State) Begin(id pbx.LegID, sipCallID string) {
	s.Caller = id
	s.Legs = append(make([]Leg, 0, 2), Leg{Leg: pbx.Leg{
		ID: id, Role: pbx.RoleCaller, State: pbx.LegTrying, Party: s.From, Created: s.Started, SIPCallID: sipCallID,
	}})
}

// Talked reports whether a leg of the call was answered: what has come so
// far outlives the process.
func (s *State) Talked() bool {
	return slices.ContainsFunc(s.Legs, func(l Leg) bool { return !l.Answered.IsZero() })
}

// Kept is the state as the journal keeps it: an answered call has no use for
// who else might have been rung.
func (s State) Kept() State {
	if !s.Answered.IsZero() {
		s.Stages, s.Visited, s.Up = nil, nil, nil
	}
	return s
}

// Snapshot is the call as the world sees it.
func (s *State) Snapshot() pbx.Call {
	legs := make([]pbx.Leg, len(s.Legs))
	for i := range s.Legs {
		legs[i] = s.Legs[i].Leg
	}
	c := pbx.Call{
		ID: s.ID, Direction: s.Direction, State: s.Phase, From: s.From, To: s.To, Dialled: s.Dialled,
		Legs: legs, Offered: slices.Clone(s.Offered), AnsweredBy: s.AnsweredBy,
		PulledBy: s.PulledBy, PulledTo: s.PulledTo,
		Started: s.Started, Answered: s.Answered, Ended: s.Ended, Cause: s.Cause,
	}
	if s.Recording.File != "" {
		c.Recording = s.Recording
	}
	return c
}

// Leg returns the leg with that ID, nil if there is none.
func (s *State) Leg(id pbx.LegID) *Leg {
	for i := range s.Legs {
		if s.Legs[i].ID == id && id != "" {
			return &s.Legs[i]
		}
	}
	return nil
}

// Stage returns the stage that rings, nil before the first and after the last.
func (s *State) Stage() *dialplan.Stage {
	if s.At < 0 || s.At >= len(s.Stages) {
		return nil
	}
	return &s.Stages[s.At]
}

// Next returns the earliest deadline, zero if none is set.
func (s *State) Next() time.Time {
	var first time.Time
	for _, at := range []time.Time{s.StageAt, s.PullAt, s.SetupAt, s.LongestAt, s.LingerAt} {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}
