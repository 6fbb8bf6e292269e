// Package ice answers the connectivity checks that a peer makes (RFC 8445,
// lite): a packet in, a packet out. An Agent says which sources the peer has
// proven to be its own and which of them it wants to talk with; it is never the
// one who begins.
//
//	check ─► FINGERPRINT ─► USERNAME ─► MESSAGE-INTEGRITY ─► validated, nominated ─► answer
//
// A packet that is not the peer's is no check: it gets no answer, so that
// nobody can be made to receive something, and changes nothing. Without the
// password of our SDP nobody makes one that is.
//
// An Agent belongs to one goroutine, allocates nothing and knows nothing of
// sockets, SDP or what is sent to whom it has chosen.
package ice
