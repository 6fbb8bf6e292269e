package sipua

import (
	"context"
	"net/netip"

	"github.com/emiago/sipgo/sip"
)

// identity is who sent a request that begins a dialog, as admission proved
// it: the digest of an extension or the address of a trunk.
type identity struct {
	extension string // set for a phone
	trunk     string // set for a trunk
	source    netip.AddrPort
	transport string // "UDP", "TCP"
}

// hop is the next place a request goes to, after RFC 3263 resolution.
type hop struct {
	transport string // "UDP", "TCP"
	addr      netip.AddrPort
}

// sender puts requests of legs and trunks on the wire.
type sender interface {
	// request starts a client transaction towards the hop. The request comes
	// without Via; the sender adds it with the address and port that the hop
	// sees, rport, and a branch that the gate knows as ours.
	request(ctx context.Context, req *sip.Request, to hop) (sip.ClientTransaction, error)
	// cancel sends the CANCEL that belongs to an INVITE sent by request.
	cancel(invite *sip.Request, to hop, reason string) error
	// send writes a request outside any transaction: the ACK of a 2xx.
	send(req *sip.Request, to hop) error
	// contact returns our own Contact address as that hop must see it.
	contact(to hop) sip.Uri
	// resolve returns the hops of a URI in order of trial (RFC 3263).
	resolve(ctx context.Context, uri sip.Uri, transport string) ([]hop, error)
}
