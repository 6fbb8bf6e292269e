package call

import (
	"github.com/dipcast/dipcast/pbx/call/state"
)

// What a call is made of is package state's.
type (
	// State is everything that is known of one call.
	State = state.State
	// Leg is one leg and what the call made of it.
	Leg = state.Leg
	// Timing bounds how long a call may stay in each situation.
	Timing = state.Timing
	// Pull is a pull under way.
	Pull = state.Pull
	// Back is the beginning of a call back.
	Back = state.Back
)
