package gate

import (
	"net"
	"net/netip"
)

// Flow is the way between one of our sockets and one peer. Its methods may be
// called from any goroutine.
type Flow struct {
	Transport string // "UDP", "TCP", "TLS" or "WSS"
	Local     netip.AddrPort
	Remote    netip.AddrPort

	udp    *net.UDPConn
	stream *stream
}

// Send writes one message to the peer, or leaves it to be written in order if
// it is a connection; one whose peer does not read is closed after a time.
// It never blocks for long.
func (f *Flow) Send(b []byte) error {
	if f.stream != nil {
		return f.stream.send(b)
	}
	_, err := f.udp.WriteToUDPAddrPort(b, f.Remote)
	return err
}

// Answer sends a response to a request that came on this flow, if one is
// possible: an ACK has none, and without a Via it would never be matched.
func (f *Flow) Answer(m *Message, r *Reply) {
	if m.Method == "ACK" || m.Via.Host == "" {
		return
	}
	to := f.For(m)
	_ = to.Send(r.Bytes(m, f.Remote)) // the peer sends its request again
}

// For returns the flow that responses to m take.
func (f *Flow) For(m *Message) *Flow {
	if f.stream != nil || m.Via.RPort || m.Via.behindNAT(f.Remote.Addr()) {
		return f
	}
	out := *f
	out.Remote = m.Via.ReplyAddr(f.Remote)
	return &out
}

// Prove marks a connection as that of a peer that has shown who it is: it may
// stay open idle and does not count against its source's share.
func (f *Flow) Prove() {
	if f.stream != nil {
		f.stream.prove()
	}
}

// Proven reports whether the flow is a connection whose peer has shown who it
// is.
func (f *Flow) Proven() bool { return f.stream != nil && f.stream.trust.Load() }

// Alive reports whether the flow still can carry messages; a UDP flow always
// can as far as anybody knows.
func (f *Flow) Alive() bool { return f.stream == nil || !f.stream.gone.Load() }
