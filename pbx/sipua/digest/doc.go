// Package digest is HTTP digest access authentication as SIP uses it (RFC 3261
// §22, RFC 7616, RFC 8760): challenges whose nonces are verified without
// memory, the check of an Authorization header, and answers to the challenges
// of trunks. Algorithms are SHA-256 and MD5, qop is auth.
//
// A nonce is time, a counter and a keyed hash over both and the source it was
// given to. Nothing is kept for a challenge; only a nonce whose digest was
// right is remembered, since its nonce counts must not come again.
//
// The package starts no goroutine and knows nothing of messages or sockets.
package digest
