// Package call is the engine: it decides what happens in a call.
//
// One goroutine at a time owns a call, and none while nothing happens in it:
// they come from a pool. It reads inputs (a leg rings, a deadline
// passed, a button was pressed), hands each to the function step, and
// executes the actions that step returns. step does no input or output, reads
// no clock and keeps nothing outside its State, so a call can be tested edge
// by edge, replayed and written down. The goroutine never blocks: legs, sinks
// and stores take work and answer with inputs.
//
//	leg.Listener ─┐                 ┌─► leg.Leg, leg.Dialer
//	pbx.Controller├─► mailbox ─► step ─► pbx.EventSink
//	timer ────────┘       ▲         └─► lookUp, replan ─┐
//	                      └───────── found, replanned ──┘
//
// The engine talks to phones through the interfaces of package leg. It knows
// nothing of SIP messages, SDP or sockets; package sipua knows nothing of
// calls; package server joins the two.
//
// What people may wonder about:
//
//   - Busy and declined: the caller of a person hears it (486, 603); a group
//     goes on to its next stage. The forward of an extension is for calls
//     that nobody answered and for phones that cannot be reached.
//   - Who gets a card may pull the call although no phone of theirs is
//     registered: the stage then rings to its end with nobody alerted.
//   - A pull to the desk cancels what else rings at once, and rings it again
//     if it fails. A pull to the mobile leaves everything as it is until the
//     mobile has pressed 1; whoever lifts a desk phone before that is faster.
//     While a pull is under way the stage's time stands still.
//   - A call that its presser moves goes on at the old phone until the new
//     one answers; if the presser hangs up meanwhile the caller hears ringing.
//   - Nobody can take a pull over but its own presser, whose later press wins.
//     A desk phone that rings goes on ringing until the mobile has confirmed.
//   - A key press that came as RFC 4733 events was carried by the media plane
//     if the other side takes them; every other one is sent on by the engine.
package call
