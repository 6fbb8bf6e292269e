// Package bot tells employees of their calls and takes their presses: events
// of calls become cards of the NAVER WORKS bot, presses on the cards' buttons
// become commands to the engine, and each press gets one honest sentence.
//
//	engine ── Handle ──► mailbox ──► Run ── card ──► Messenger ──► chat
//	web ── Deliver/Press ──► token ──► user ──► claim ──► Controller
//	                           └──────── answer ────────► Messenger
//
// One goroutine, the one that runs Run, turns events into cards; it and a
// second one that resolves e-mails to user IDs end when Run's context does,
// and Run waits for both. Handle only puts into a bounded mailbox; when that
// is full, the oldest event is dropped and counted. Press works in the
// caller's goroutine.
//
// A sent card can be neither edited nor withdrawn, so the token of a button
// says everything itself: it is sealed (AES-256-GCM under a key of this
// tenant), opaque to whoever sees it, bound to tenant, call, action, extension
// and user, and impossible to make up. So a button is understood after a
// restart and days later: the engine says whether the call still lives, and a
// call back needs nothing but the token. What was pressed already is kept as
// hashes, in a bounded table and in the journal, for as long as its button does
// anything: a press before a crash works no second time after it, and one that
// the crash cut short is done by the next process.
//
// The package knows neither SIP nor HTTP nor the configuration document.
package bot
