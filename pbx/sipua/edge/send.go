package edge

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
)

// largeRequest is the size above which a request should not go as a datagram
// (RFC 3261 §18.1.1).
const largeRequest = 1300

// streamTimeout is how long a large request waits for TCP before it goes as a
// datagram after all.
const streamTimeout = time.Second

// Transaction is a client transaction that its user may end.
type Transaction interface{ Terminate() }

// Transact starts a client transaction towards the hop. The request comes
// without Via; what comes of it is told.
func (e *Edge) Transact(ctx context.Context, req *sip.Request, to Hop, tell txn.Tell) (Transaction, error) {
	f, err := e.flow(ctx, to)
	if err != nil {
		return nil, err
	}
	f = e.widen(ctx, req, f)
	if err := e.addVia(req, f); err != nil {
		return nil, err
	}
	tell, answered := e.noted(req, to, tell)
	c, err := e.txns.Request(req, f, tell)
	if err != nil {
		answered()
		return nil, err
	}
	return c, nil
}

// widen takes a large request to a trunk over to TCP if the trunk listens
// there. Phones are reached through the hole in their NAT that they opened
// with datagrams, so they get datagrams, whatever the size.
func (e *Edge) widen(ctx context.Context, req *sip.Request, f *gate.Flow) *gate.Flow {
	if f.Transport != "UDP" {
		return f
	}
	if _, ok := e.cfg.Trunk(f.Remote.Addr()); !ok || len(req.String()) < largeRequest {
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	if stream, err := e.gate.Stream(ctx, f.Remote); err == nil {
		return stream
	}
	return f
}

// Cancel sends the CANCEL that belongs to an INVITE sent by Transact (RFC 3261
// §9.1); reason is the value of a Reason header and may be empty.
func (e *Edge) Cancel(invite *sip.Request, to Hop, reason string) error {
	via := invite.Via()
	if via == nil || invite.CSeq() == nil {
		return fmt.Errorf("cancel: the INVITE to %s was never sent", to.Addr)
	}
	ctx, done := e.context()
	defer done()
	f, err := e.flow(ctx, Hop{Transport: via.Transport, Addr: to.Addr, Name: to.Name})
	if err != nil {
		return err
	}
	req := sip.NewRequest(sip.CANCEL, *invite.Recipient.Clone())
	req.AppendHeader(via.Clone())
	for _, name := range []string{"Route", "From", "To", "Call-ID"} {
		sip.CopyHeaders(name, invite, req)
	}
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	forwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(&forwards)
	if reason != "" {
		req.AppendHeader(sip.NewHeader("Reason", reason))
	}
	req.SetBody(nil)
	req.SetTransport(f.Transport)
	_, err = e.txns.Request(req, f, func(*sip.Response, error, bool) {}) // nobody wants to know
	return err
}

// Send writes a request outside any transaction: the ACK of a 2xx. Sent again
// it gets a new Via.
func (e *Edge) Send(req *sip.Request, to Hop) error {
	ctx, done := e.context()
	defer done()
	f, err := e.flow(ctx, to)
	if err != nil {
		return err
	}
	if err := e.addVia(req, f); err != nil {
		return err
	}
	return e.txns.Send(req, f)
}

// Repeat writes a response whose transaction an earlier process had.
func (e *Edge) Repeat(text string, to Hop) error {
	ctx, done := e.context()
	defer done()
	f, err := e.flow(ctx, to)
	if err != nil {
		return err
	}
	return f.Send([]byte(text))
}

// flow returns the way to a hop: the UDP socket of its family, the connection
// that is open, or a new one.
func (e *Edge) flow(ctx context.Context, to Hop) (*gate.Flow, error) {
	addr := netip.AddrPortFrom(to.Addr.Addr().Unmap(), to.Addr.Port())
	if !addr.IsValid() || addr.Port() == 0 {
		return nil, fmt.Errorf("no address to send a request to: %q", to.Addr)
	}
	switch to.Transport {
	case "TCP":
		return e.gate.Stream(ctx, addr)
	case "UDP":
		s := e.socketFor(addr.Addr())
		if s == nil {
			return nil, fmt.Errorf("no socket reaches %s: add an address of its family to bind", addr)
		}
		return gate.UDPFlow(s.udp, addr), nil
	case "TLS", "WSS":
		return e.secureFlow(ctx, to, addr)
	}
	return nil, fmt.Errorf("transport %q is not served: use UDP, TCP or TLS", to.Transport)
}

// addVia puts our Via on top, as the peer behind the flow must see us.
func (e *Edge) addVia(req *sip.Request, f *gate.Flow) error {
	branch, err := e.branch()
	if err != nil {
		return err
	}
	own := e.own(f.Transport, f.Remote.Addr())
	via := &sip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: f.Transport,
		Host: own.Addr().String(), Port: int(own.Port()), Params: sip.HeaderParams{{K: "branch", V: branch}, {K: "rport"}},
	}
	if req.Via() != nil {
		req.ReplaceHeader(via)
	} else {
		req.PrependHeader(via)
	}
	if req.ContentLength() == nil {
		req.SetBody(req.Body()) // a stream has no other way to end a message (RFC 3261 §18.3)
	}
	req.SetTransport(f.Transport)
	return nil
}

// own returns our address and port for a transport as a peer must see them.
func (e *Edge) own(transport string, peer netip.Addr) netip.AddrPort {
	peer = peer.Unmap()
	var port uint16
	addr := peer
	if s := e.socketFor(peer); s != nil {
		port, addr = s.addr.Port(), s.addr.Addr()
	}
	if secured := e.secured(transport); secured != 0 {
		port = secured
	}
	for _, a := range e.cfg.Advertise {
		if a.Unmap().Is4() == peer.Is4() {
			return netip.AddrPortFrom(a.Unmap(), port)
		}
	}
	return netip.AddrPortFrom(addr, port)
}

// Contact returns our Contact address for requests to that hop.
func (e *Edge) Contact(to Hop) sip.Uri {
	own := e.own(to.Transport, to.Addr.Addr())
	u := sip.Uri{Scheme: "sip", Host: own.Addr().String(), Port: int(own.Port())}
	if own.Addr().Is6() {
		u.Host = "[" + u.Host + "]"
	}
	u.UriParams = transportParam(to.Transport)
	return u
}

// transportParam is how a URI says that it is reached over a transport (RFC
// 3261 §19.1.1, RFC 7118 §5.2.1).
func transportParam(transport string) sip.HeaderParams {
	switch transport {
	case "TCP", "TLS":
		return sip.HeaderParams{{K: "transport", V: strings.ToLower(transport)}}
	case "WSS":
		return sip.HeaderParams{{K: "transport", V: "ws"}}
	}
	return nil
}

// Place returns where requests to a contact go: where its REGISTER came from,
// or where the contact says that the phone listens, provided that this is the
// same host, and that it is certain that no NAT stands between: the REGISTER
// came over TCP in a connection that has ended, or the host's address is
// private, so that a NAT would have put another one in its place.
func (e *Edge) Place(c *pbx.Contact) netip.AddrPort {
	if !direct(c) {
		return c.Source
	}
	a := c.Source.Addr()
	local := a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast()
	switch {
	case c.Transport == "TCP" && e.gate.Open("TCP", c.Source) == nil, c.Transport == "UDP" && local:
	default:
		return c.Source
	}
	u, _ := gate.ParseURI(c.URI)
	if u.Port == 0 {
		u.Port = 5060
	}
	return netip.AddrPortFrom(a, uint16(u.Port))
}
