package edge

import (
	"crypto/sha256"
	"net/netip"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// expected reports whether a request inside a dialog comes from where its peer
// is. Who hears or guesses Call-ID and tags, the carrier's other customers or
// a provider on the way, must still not be able to end or move a call.
func (e *Edge) expected(m *gate.Message, f *gate.Flow) bool { return e.peer(m.CallID, m.To.Tag, f) }

// peer reports whether the peer of a dialog is at the other end of the flow.
func (e *Edge) peer(callID, localTag string, f *gate.Flow) bool {
	if localTag == "" {
		return false
	}
	owner, ok := e.cfg.Owner(callID, localTag)
	if !ok {
		return false
	}
	if gate.Network(owner.Source.Addr()) == gate.Network(f.Remote.Addr()) {
		return true
	}
	trunk, isTrunk := e.cfg.Trunk(f.Remote.Addr())
	return owner.Trunk != "" && isTrunk && trunk == owner.Trunk
}

// samePeer reports whether two addresses are one host's, or hosts of one trunk:
// carriers take over from one to another. Ports do not count, NATs change them.
func (e *Edge) samePeer(a, b netip.Addr) bool {
	if gate.Network(a) == gate.Network(b) {
		return true
	}
	one, ok := e.cfg.Trunk(a)
	other, ok2 := e.cfg.Trunk(b)
	return ok && ok2 && one == other
}

// moved reports whether a request from an unexpected place is the peer's all
// the same: a phone that changed its network proves it by digest. Of a trunk
// nobody can prove anything.
func (e *Edge) moved(owner Identity, m *gate.Message, f *gate.Flow) bool {
	if owner.Trunk != "" && e.early(f) {
		return false
	}
	if owner.Trunk != "" {
		e.answer(m, f, 403, "Forbidden (not an address of the trunk)")
		return false
	}
	ext := e.prove(e.look(), m, f)
	if ext != nil && ext.Number != owner.Extension {
		e.answer(m, f, 403, "Forbidden (another extension's dialog)")
		return false
	}
	return ext != nil
}

// early reports whether a datagram may be of a trunk whose addresses are not all
// known yet, as after a start. It is not answered: what is refused is lost, and
// what is not answered comes again.
func (e *Edge) early(f *gate.Flow) bool { return f.Transport == "UDP" && e.cfg.Unseen() }

// within reports whether a phone's request is one of as many as a dialog may
// have. Each costs a transaction that trunks and emergency calls must find
// room beside; a BYE is always welcome.
func (e *Edge) within(owner Identity, m *gate.Message, f *gate.Flow) bool {
	if owner.Trunk != "" || m.Method == "BYE" || e.quota.Take(m.CallID+"\x00"+m.To.Tag, e.cfg.Now()) {
		return true
	}
	e.gate.Counters.Limited.Add(1)
	e.answer(m, f, 503, "Service Unavailable (too many requests in this dialog)", gate.Header{Name: "Retry-After", Value: retryAfter})
	return false
}

// fingerprint tells a retransmission, which is the same to the last byte, from
// a replay: somebody beside the phone who took its proof over into a request
// of their own.
func fingerprint(m *gate.Message) string {
	h := sha256.Sum256([]byte(m.Text()))
	return string(h[:])
}

// sameCallee reports whether the URI that a digest covers names the same user
// as the Request-URI: who passes a phone's request on must not choose another
// number. Phones disagree about the rest, ports and parameters; test tools
// name no user at all.
func sameCallee(digest, request string) bool {
	d, ok1 := gate.ParseURI(digest)
	r, ok2 := gate.ParseURI(request)
	return ok1 && ok2 && (d.User == "" || d.User == r.User)
}
