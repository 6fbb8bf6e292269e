// Package rings keeps what rings when the process dies: each INVITE that has no
// final response yet, ours to a phone or a trunk and a peer's to us. Most are
// answered or refused before they are worth a write; what rings for longer is
// written to the journal in one piece with the others.
//
// The next process takes our own INVITEs back, so that no phone rings for
// nobody, and begins those of the callers anew, who have heard nothing but
// ringing: a caller gets a call that is tried again, and a callee a phone that
// rings anew.
//
//	edge ─► Book (edge.Ledger) ─► journal ─► Book of the next process
//	  Cancel: CANCEL, and BYE if it was answered meanwhile
//	  Callers: the INVITEs to begin anew
//
// Run is the goroutine that writes; Close ends those that cancel. The package
// knows transactions and no legs.
package rings
