package call

import (
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/dialplan"
	"github.com/dipcast/dipcast/pbx/leg"
)

// action is something that step wants done. The set is closed; the engine
// executes actions in order and none of them blocks.
type action interface{ action() }

type (
	// dial begins an outgoing leg.
	dial struct{ Dial leg.Dial }

	ring struct{ Leg pbx.LegID }
	// progress and answer say with whom the leg will talk, so that both take
	// the same codec where they can.
	progress struct{ Leg, With pbx.LegID }
	answer   struct{ Leg, With pbx.LegID }
	end      struct {
		Leg   pbx.LegID
		Cause pbx.Cause
	}
	present struct {
		Leg   pbx.LegID
		Party pbx.Party
	}
	// sendDigit passes a key press on, unless the media plane has carried it
	// already.
	sendDigit struct {
		To    pbx.LegID
		Digit rune
		InRTP bool
	}

	// hear lets To hear what From's peer says; an empty To stops it.
	hear struct{ From, To pbx.LegID }
	// play plays a sound to the leg's peer; an empty one stops it.
	play struct {
		Leg   pbx.LegID
		Sound string
	}
	// meter starts or stops counting a leg's minutes.
	meter struct {
		Leg     pbx.LegID
		Running bool
		Since   time.Time // zero: now
	}

	// record begins to record what the leg's peer says and hears, or goes on with
	// it; recording answers it.
	record struct {
		Leg   pbx.LegID
		Since time.Time
	}
	// endRecording answers with recorded.
	endRecording struct {
		Leg pbx.LegID
		At  time.Time
	}

	// lookUp asks who is reachable: the contacts of the extensions, and which
	// of the trunks are up and may be used; found answers it.
	lookUp struct {
		Ask        int
		Extensions []string
		Ways       []dialplan.Way
		Emergency  bool
	}
	// replan asks where a number leads under an extension's identity;
	// replanned answers it.
	replan struct {
		Ask        int
		Number, By string
	}

	// emit tells an event.
	emit struct{ Event *pbx.Event }
	// reply answers a command; a nil Err is success.
	reply struct {
		Ticket int
		Err    *pbx.Error
	}
)

func (dial) action()         {}
func (ring) action()         {}
func (progress) action()     {}
func (answer) action()       {}
func (end) action()          {}
func (present) action()      {}
func (sendDigit) action()    {}
func (hear) action()         {}
func (play) action()         {}
func (meter) action()        {}
func (record) action()       {}
func (endRecording) action() {}
func (lookUp) action()       {}
func (replan) action()       {}
func (emit) action()         {}
func (reply) action()        {}
