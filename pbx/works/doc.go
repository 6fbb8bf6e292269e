// Package works is the client of the NAVER WORKS API 2.0: access tokens of a
// service account, bot messages, the bot's settings, attachments, the
// directory with its contacts, and the bot's callbacks.
//
//	caller ── Queue.Send ──► heap, newest call first ──► workers ──► Client ──► API
//	                         bounded, stale ones dropped        ▲
//	                                                     tokenSource (single flight)
//
// A Client has no goroutine of its own: each method works in the caller's
// and ends with its context. A Queue owns its workers, and the goroutine that
// keeps the access token fresh, from NewQueue to Close, which waits for
// them. Callbacks (VerifyCallback, DecodeCallback) and contents (Validate) are
// pure functions; package number reads the directory's telephone numbers.
//
// The package imports nothing of ours but that: it knows nothing of calls, tenants or
// Kubernetes. What the API's documents leave open (hosts, storage hosts,
// scopes) is configuration. No secret or token appears in any error or log.
package works
