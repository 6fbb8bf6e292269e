// Package rtpio makes media ports from UDP sockets: a symmetric RTP relay
// that learns where its peer is, changes between the laws of G.711, plays
// sources, carries key presses and counts what the network does to the audio.
//
// # Who owns what
//
// A Pool owns the port numbers, the pollers and a pacer. A poller (package
// poll) is one goroutine for many ports: it reads their sockets, is the only
// one that touches what is learnt and counted of the streams that come in, and
// sends each packet at once from the socket of the port that hears it. The
// pacer is a goroutine, too: it plays sources, sends key presses and reports
// and watches for silence; without ports neither of them ever wakes up.
//
// What a packet needs to know is in immutable snapshots behind atomic
// pointers. Who sends holds the claim on the outgoing stream until the packet
// is sent; a poller that does not get it at once drops the packet (it happens
// only when the source is switched), everybody else waits for it. The end of a port takes the claim for
// ever, so that nobody sends from a socket that is closed.
//
//	peer A ─► A.handle ─ open ─ learn ─ count ─ tap ─ key presses ─┐  poller
//	                                                              ▼
//	                            law ─ numbers ─ tap ─► B.output ─ seal ─► peer B
//	                                                      ▲
//	             pacer: played source, key presses ───────┤
//	             crew: what is decoded, mixed and encoded ┘           workers
//
// Only the stages that a call needs are there: a port of plain RTP opens and
// seals nothing (package srtp), and audio is decoded only between two peers
// that share no codec, or to play a sound to one whose codec is more than a
// table; that is done by the pool's crew (package convert), which has no
// goroutine before. A member of a room (package room) is decoded, mixed and
// encoded by the crew, too: the poller fills its ear and goes no further.
//
// # RTCP
//
// Each leg is terminated: a port has its own SSRC, sequence numbers and
// timestamps towards its peer, which go on without a break when another
// source is switched to it. A report of one side would name streams that the
// other side has never seen, so reports are not passed through: each peer
// gets our own (RFC 3550 §6.4), and what the peers report is in Quality.
// Packets lost before they reach us stay visible as gaps on the other side.
//
// # What it does not do
//
// Packets are relayed as they come: no jitter buffer, no change of packet
// time; played sources are sent in packets of 20 ms whatever the peer asks
// for, which RFC 3551 §4.2 lets every receiver take. Ports of other makers
// (a media.Port that is not a *Port) are not heard. Notices must not close the
// pool: it waits for the goroutine that they run in.
//
// The package knows nothing of SIP, SDP or calls.
package rtpio
