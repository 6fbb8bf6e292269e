// Package dtls makes the keys of an SRTP stream by a handshake on the media
// path (RFC 5763, RFC 5764). The protocol is pion's; this package gives it our
// certificate, checks the peer's against the fingerprint that the signalling
// told, and lets it read and write without ever having a socket.
//
//	poller ─► Take ─► queue ─► Run: pion ─► Send ─► socket
//	                            └─► keys
//
// A Handshake is for one peer at one address and for one try. Run belongs to
// the goroutine that the caller starts for it and comes back with the keys, or
// with why there are none; Linger repeats our last words until the peer must
// have heard them. Take may be called from the poller: it copies, and drops
// what nobody has time for.
//
// Nothing is believed of a peer whose certificate is not the one that the
// signalling told. Who fails or vanishes costs a bounded number of packets and
// of seconds. Nobody is told that a handshake's connection ends: the stream
// goes on without it.
package dtls
