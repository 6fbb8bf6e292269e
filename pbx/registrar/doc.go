// Package registrar keeps the bindings of one tenant's addresses of record
// (RFC 3261 §10.3): which phones an extension is reached at, until when, and
// which of two contradicting REGISTERs counts.
//
//	Register ─► bindings in memory ─► queue ─► one transaction of the store ─► answers
//
// A REGISTER is answered when its bindings are on disk, so that a process that
// is killed loses none that a phone relies on. What waits is written together:
// one transaction serves as many REGISTERs as came while the last one ran.
// When the store fails, phones are answered all the same, since calls matter
// more than a restart, and the write is tried again.
//
// A mutex guards the bindings; one goroutine, Run, writes and sweeps. The
// package knows nothing of SIP messages, sockets or passwords.
package registrar
