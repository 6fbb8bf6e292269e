// Package legs holds the dialogs that are the legs of calls. A Table makes
// them, from an admitted INVITE or by Dial, and finds them for requests inside
// a dialog. Each leg implements leg.Leg: one goroutine with a mailbox owns its
// dialog, its session description, its timers and its media port.
//
//	edge ─► Invite, InDialog ─► leg ─► leg.Receiver, leg.Listener
//	engine ─► Dial, leg.Leg ──► leg ─► Sender, media.Port
//
// What a dialog permits is decided by package dialog, what SDP means by package
// sdp, what headers say by package message; this package puts them in order.
// It knows nothing of sockets, admission or calls. Table.Close ends every leg
// and waits for all goroutines.
package legs
