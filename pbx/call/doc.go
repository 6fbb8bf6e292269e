// Package call is the engine: it decides what happens in a call.
//
// One goroutine owns one call. It reads inputs (a leg rings, a timer fires, a
// button was pressed), hands each to the pure function step, and executes the
// actions that step returns. step does no input or output, reads no clock and
// keeps nothing outside its State, so a call can be tested edge by edge,
// replayed and written down. The goroutine never blocks: legs, sinks and
// stores take work and answer with inputs.
//
// The engine talks to phones through the interfaces of package leg. It knows
// nothing of SIP messages, SDP or sockets; package sipua knows nothing of
// calls; package server joins the two.
package call
