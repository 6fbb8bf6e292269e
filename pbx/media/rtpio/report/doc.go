// Package report keeps what the two ends of a leg tell each other by RTCP (RFC
// 3550 §6): what the peer says of our stream, and what we said last of theirs.
//
// A Ledger may be used by any goroutine; no RTP packet comes near it. The
// package knows nothing of sockets and ports.
package report
