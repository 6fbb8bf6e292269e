// Package srtp encrypts and authenticates RTP and RTCP (RFC 3711, RFC 7714)
// with keys that the signalling has settled. The ciphers are pion's; this
// package chooses among them, keeps them to one stream each and lets them go
// on in another process.
//
// A Sealer is for what we send, an Opener for what the peer sends. Packets are
// changed in place. What cannot be opened is the peer's, the network's or an
// attacker's fault and never ends anything: the caller drops and counts it.
//
// A Sealer may be used by several goroutines, which wait for each other; an
// Opener's RTP belongs to the goroutine that reads the socket. RTCP is guarded
// in both. Nothing is allocated per RTP packet.
//
// # Going on in another process
//
// The index of a packet, its sequence number with a roll-over counter before
// it, must never be used twice with a key. A restored Sealer takes the counter
// from the extended sequence number that the port goes on with, which lies
// behind none that was sent; SRTCP indices begin anew at the Unix time, which
// no number of reports since can have reached.
package srtp
