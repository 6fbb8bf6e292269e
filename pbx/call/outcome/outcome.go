// Package outcome has the causes that the engine gives by itself, and knows
// which of several failures tells the caller most. It is pure.
package outcome

import (
	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call/state"
	"github.com/dipcast/dipcast/pbx/dialplan"
)

// The causes that the engine gives by itself.
var (
	// NotMoved ends a call whose last target did not answer after its phone had
	// hung up.
	NotMoved = pbx.Cause{SIP: 480, Q850: 19, Text: "The call could not be moved and its phone had hung up"}
	// LostLeg and LostRinging are what a restart of the PBX has ended.
	LostLeg     = pbx.Cause{SIP: 503, Q850: 41, Text: "The PBX was restarted and could not take the leg up again"}
	LostRinging = pbx.Cause{SIP: 503, Q850: 41, Text: "The PBX was restarted before the leg was answered"}

	Elsewhere   = pbx.Cause{SIP: 200, Q850: 26, Text: "Call completed elsewhere", Elsewhere: true}
	NoAnswer    = pbx.Cause{SIP: 480, Q850: 19, Text: "No answer"}
	Unreachable = pbx.Cause{SIP: 480, Q850: 20, Text: "No phone is registered"}
	NoTrunk     = pbx.Cause{SIP: 503, Q850: 34, Text: "No trunk is up"}
)

// Busy reads a final response (RFC 3261 §21.4.24).
func Busy(c pbx.Cause) bool { return c.SIP == 486 || c.SIP == 600 }

// Declined reads a final response (RFC 3261 §21.6).
func Declined(c pbx.Cause) bool { return c.SIP == 603 || c.SIP == 600 }

// Better returns the more telling of two failures: somebody was rung, was
// busy, declined, was not there; then anything else.
func Better(a, b pbx.Cause) pbx.Cause {
	rank := func(c pbx.Cause) int {
		switch {
		case c == (pbx.Cause{}):
			return 0
		case c.Q850 == 19:
			return 5
		case Busy(c):
			return 4
		case Declined(c):
			return 3
		case c.SIP == 480 || c.SIP == 408:
			return 2
		default:
			return 1
		}
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// Final is the cause as a response to the caller: redirections and answers
// that are no failure do not leave the house.
func Final(c pbx.Cause) pbx.Cause {
	switch {
	case c == (pbx.Cause{}):
		return Unreachable
	case c.SIP < 400, c.SIP == 401, c.SIP == 407, c.Elsewhere:
		return pbx.Cause{SIP: 480, Q850: 31, Text: "The target could not take the call"}
	default:
		return c
	}
}

// PullError says why the target of a pull did not answer.
func PullError(c pbx.Cause) *pbx.Error {
	switch {
	case Busy(c), Declined(c):
		return pbx.Errorf(pbx.CodeBusy, "the target is busy")
	case c.SIP == 408, c.SIP == 480, c.SIP == 487, c.Q850 == 19:
		return pbx.Errorf(pbx.CodeNoAnswer, "the target did not answer")
	default:
		return pbx.Errorf(pbx.CodeFailed, "the target could not be called: %d %s", c.SIP, dialplan.Visible(c.Text))
	}
}

// Lost is why a leg that is not taken up has ended.
func Lost(s *state.State, l *state.Leg) pbx.Cause {
	switch {
	case l.Ending && s.Ending:
		return s.Cause
	case l.Ending:
		return Elsewhere // it was told so, whether it heard it or not
	case l.State == pbx.LegConfirmed:
		return LostLeg
	default:
		return LostRinging
	}
}
