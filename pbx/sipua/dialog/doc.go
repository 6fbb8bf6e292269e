// Package dialog is the state of one SIP dialog as a plain value: identifiers,
// sequence numbers, route set and target (RFC 3261 §12), reliable provisional
// responses (RFC 3262), who has an open offer (RFC 3264, 3311, 6337) and the
// session timer (RFC 4028).
//
//	New ──► early ──► confirmed ──► terminated
//	  └────────┴──────────┴────────────▲
//
// A Dialog can be written down as JSON and taken up again by another process.
// Its methods say what to send and how to judge what came; they do no input or
// output, read no clock and start no goroutine. One owner uses a value at a
// time. The package knows no SIP library and no SDP.
package dialog
