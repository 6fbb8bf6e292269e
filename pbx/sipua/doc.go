// Package sipua is the SIP side of the PBX. An Agent joins, for one tenant, the
// packages below it with the registrar and the trunks; with package phone they
// are the only importers of sipgo, which has the messages.
//
//	gate     sockets, rate limits; drops or answers what needs no state. Below it
//	         ban (who is shut out) and websocket (SIP over RFC 6455 frames)
//	edge     who may speak: digest, trunks, REGISTER; sends our own requests
//	txn      the table of transactions
//	legs     dialogs that are the legs of calls; vault keeps them for another process
//	exchange what legs need before any dialog: a peer's INVITE, where requests go
//	rings    what nobody has answered, kept for another process
//	dialog   the state of a dialog as a plain value, so that it can be written down
//	digest   challenges and their answers
//	message  headers and bodies, read and written
//	mailbox  the queue and the timers of a leg's goroutine
//
// Run serves until its context ends and waits for every goroutine of the parts;
// Close is for an Agent that never ran. Decisions 0001 and 0002 say why it is cut so.
//
// The package knows nothing of calls: it hands an admitted INVITE to a
// leg.Receiver and tells each leg's leg.Listener what happens.
package sipua
