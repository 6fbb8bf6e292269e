// Package phone is a SIP phone: it registers, dials, answers, holds, sends
// DTMF, says tones and files, records what it hears and recognises tones. It
// drives `dipcast phone`, the demo and the tests, and it can play a telephone
// company: without a Server it takes calls to any number and dials any
// address.
//
// It is an independent check of the PBX: it uses sipgo's parser and
// transactions but its own dialogs, its own offer/answer, its own digest and
// its own media (package audio), none of which the PBX uses.
//
// A Phone owns its socket, one goroutine that reads it and one that refreshes
// the registration; each request that arrives is served by a goroutine of its
// own, and each outgoing INVITE is followed by one. A Call's state is guarded
// by its mutex and every change wakes its waiters. Close ends all calls and
// waits for all goroutines.
//
// The phone answers a digest challenge only in answers to requests that it
// sent to its own Server.
package phone
