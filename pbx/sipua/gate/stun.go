package gate

import (
	"encoding/binary"
	"net/netip"
)

// The parts of STUN (RFC 8489) that a SIP socket needs: phones with a flow over
// UDP ask in this way whether it still stands, and take the flow for dead if
// nothing comes back (RFC 5626 §3.5.2, §4.4.2).
const (
	stunHeader  = 20
	stunCookie  = 0x2112A442
	stunRequest = 0x0001 // Binding request
	stunSuccess = 0x0101 // Binding success response
	stunMapped  = 0x0020 // XOR-MAPPED-ADDRESS
)

// isSTUN reports whether a datagram is a Binding request.
func isSTUN(b []byte) bool {
	return len(b) >= stunHeader && binary.BigEndian.Uint16(b) == stunRequest &&
		binary.BigEndian.Uint32(b[4:]) == stunCookie && int(binary.BigEndian.Uint16(b[2:])) == len(b)-stunHeader
}

// bindingAnswer tells the sender of a Binding request at which address we see
// it.
func bindingAnswer(request []byte, from netip.AddrPort) []byte {
	ip, family := from.Addr().AsSlice(), byte(1)
	if len(ip) == 16 {
		family = 2
	}
	out := make([]byte, 0, stunHeader+8+len(ip))
	out = binary.BigEndian.AppendUint16(out, stunSuccess)
	out = binary.BigEndian.AppendUint16(out, uint16(8+len(ip)))
	out = append(out, request[4:stunHeader]...)
	out = binary.BigEndian.AppendUint16(out, stunMapped)
	out = binary.BigEndian.AppendUint16(out, uint16(4+len(ip)))
	out = append(out, 0, family)
	out = binary.BigEndian.AppendUint16(out, from.Port()^(stunCookie>>16))
	for i, c := range ip {
		out = append(out, c^request[4+i]) // cookie, then transaction
	}
	return out
}

// binding answers a Binding request that is within its sender's limit; the
// answer is hardly larger than the question.
func (g *Gate) binding(request []byte, f *Flow) {
	g.Counters.Received.Add(1)
	source := Network(f.Remote.Addr())
	trusted := g.cfg.Trusted(f.Remote.Addr())
	if !trusted && g.bans.Source(source, g.cfg.Now()) {
		g.Counters.Banned.Add(1)
		return
	}
	if g.spend(source, trusted) {
		_ = f.Send(bindingAnswer(request, f.Remote)) // a lost answer makes the peer ask again
	}
}
