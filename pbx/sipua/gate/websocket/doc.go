// Package websocket is the server's side of SIP over WebSocket (RFC 7118): the
// opening handshake, and frames to messages and back. gobwas/ws reads and
// writes headers and checks their rules; what may be sent, how much of it and
// from which pages is decided here.
//
// It owns no connection and starts no goroutine: deadlines, TLS and whom a
// message is from are the gate's affair.
package websocket
