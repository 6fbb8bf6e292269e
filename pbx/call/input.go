package call

import (
	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/dialplan"
)

// input is something that happens to a call. The set is closed: these types
// and no others. An input that makes no sense in the call's state changes
// nothing, but a command is always answered.
type input interface{ apply(m *machine) }

type (
	// start begins the call; its state was made by newState. A refused plan
	// ends it at once.
	start struct{ Refusal *dialplan.Refusal }
	// tick comes when a deadline passed; every other input looks at the
	// deadlines as well.
	tick struct{}
	// found answers lookUp.
	found struct {
		Ask      int
		Contacts map[string][]pbx.Contact // by extension
		Room     int                      // how many phones may be rung
		Up       []string                 // the trunks that can take a call
		Refused  *dialplan.Refusal        // the tap is closed
	}
	// replanned answers replan.
	replanned struct {
		Ask  int
		Plan dialplan.Plan
	}

	// recording answers record; an empty File: the call is not recorded.
	recording struct{ File string }
	// recorded answers endRecording.
	recorded struct{ Recording pbx.Recording }

	// The reports of a leg, as in leg.Listener.
	legRinging  struct{ Leg pbx.LegID }
	legProgress struct{ Leg pbx.LegID }
	legAnswered struct{ Leg pbx.LegID }
	legHeld     struct {
		Leg  pbx.LegID
		Held bool
	}
	legDigit struct {
		Leg   pbx.LegID
		Digit rune
		InRTP bool
	}
	legSilent struct{ Leg pbx.LegID }
	legPlayed struct{ Leg pbx.LegID }
	legMoved  struct {
		Leg    pbx.LegID
		Number string
	}
	legOver struct {
		Leg     pbx.LegID
		Cause   pbx.Cause
		Quality pbx.Quality
	}

	// press is a pull. Out is the way to the presser's mobile, or Refused
	// says why there is none.
	press struct {
		Ticket   int
		Phone    dialplan.Phone
		To       pbx.PullTo
		Out      *dialplan.Outside
		Diverted string
		Refused  *pbx.Error
	}
	// hangup ends the call on somebody's command.
	hangup struct{ Ticket int }
	// shutdown ends the call since the PBX ends.
	shutdown struct{}
)
