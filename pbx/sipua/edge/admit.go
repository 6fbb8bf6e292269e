package edge

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/load"
	"github.com/dipcast/dipcast/pbx/sipua/digest"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
)

// allow is what we serve; what only authenticated peers may know is not in it.
const allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, PRACK, UPDATE, INFO"

// Known implements gate.Handler.
func (e *Edge) Known(m *gate.Message, f *gate.Flow) bool {
	return e.expected(m, f) || e.txns.Matches(m)
}

// Response implements gate.Handler.
func (e *Edge) Response(m *gate.Message, _ *gate.Flow) {
	if !e.txns.Response(m) {
		e.gate.Counters.Strays.Add(1)
	}
}

// Stray implements gate.Handler: a peer whose 2xx gets no ACK ends the call
// (RFC 3261 §13.3.1.4).
func (e *Edge) Stray(m *gate.Message, f *gate.Flow) {
	tag := m.From.Tag
	if e.peer(m.CallID, tag, f) && e.quota.Take(m.CallID+"\x00"+tag, e.cfg.Now()) {
		e.cfg.Acknowledge(m.CallID, tag, m.To.Tag, m.CSeq)
	}
}

// Closed implements gate.Handler: a phone behind a connection that has ended
// is not reached any more, unless it said where it listens, for TCP, and was
// not behind a NAT.
func (e *Edge) Closed(f *gate.Flow) {
	if e.closing.Load() || !f.Proven() {
		return // the phones come back to the next process; strangers have no bindings
	}
	e.cfg.Registrar.Gone(func(c pbx.Contact) bool {
		return c.Transport == f.Transport && c.Source == f.Remote && (f.Transport != "TCP" || !direct(&c))
	})
}

// direct reports whether the contact's URI is the very host that registered.
func direct(c *pbx.Contact) bool {
	u, ok := gate.ParseURI(c.URI)
	if !ok {
		return false
	}
	a, err := netip.ParseAddr(u.Host)
	return err == nil && a.Unmap() == c.Source.Addr()
}

// Request implements gate.Handler.
func (e *Edge) Request(m *gate.Message, f *gate.Flow) {
	switch {
	case m.Method == "CANCEL":
		e.cancel(m, f)
	case e.txns.Receive(m):
	case m.Method == "ACK":
		e.ack(m, f)
	case m.To.Tag != "":
		e.inDialog(m, f)
	default:
		e.outside(m, f)
	}
}

// cancel answers a CANCEL and ends the INVITE that it belongs to (RFC 3261
// §9.2). It must come from where the INVITE came from.
func (e *Edge) cancel(m *gate.Message, f *gate.Flow) {
	if origin := e.txns.Origin(m); !origin.IsValid() || !e.samePeer(origin, f.Remote.Addr()) {
		e.answer(m, f, 481, "Call/Transaction Does Not Exist")
		return
	}
	e.answer(m, f, 200, "OK")
	e.txns.Receive(m)
}

func (e *Edge) ack(m *gate.Message, f *gate.Flow) {
	if !e.expected(m, f) {
		return
	}
	req, err := txn.Parse(m, f)
	if err != nil {
		return
	}
	e.cfg.InDialog(req, nil)
}

func (e *Edge) inDialog(m *gate.Message, f *gate.Flow) {
	owner, ok := e.cfg.Owner(m.CallID, m.To.Tag)
	if !ok {
		e.answer(m, f, 481, "Call/Transaction Does Not Exist")
		return
	}
	if !e.expected(m, f) && !e.moved(owner, m, f) || !e.within(owner, m, f) {
		return
	}
	f.Prove()
	_ = e.begin(m, f, txn.Important, e.cfg.InDialog) // the peer was told
}

// outside takes a request that belongs to nothing yet.
func (e *Edge) outside(m *gate.Message, f *gate.Flow) {
	idx := e.look()
	trunk, isTrunk := e.cfg.Trunk(f.Remote.Addr())
	fromTrunk := isTrunk && m.Method == "INVITE" && !e.claimsExtension(idx, m)
	switch {
	case m.Method == string(sip.OPTIONS):
		e.options(m, f, isTrunk)
	case m.Method == "BYE" || m.Method == "PRACK" || m.Method == "UPDATE" || m.Method == "INFO" || m.Method == "NOTIFY":
		e.answer(m, f, 481, "Call/Transaction Does Not Exist")
	case !isTrunk && e.nobodys(idx, m) && e.early(f):
	case e.shed(idx, m, f, fromTrunk):
	case fromTrunk:
		e.invite(idx, m, f, Identity{Trunk: trunk, Source: f.Remote, Transport: f.Transport})
	default:
		e.phone(idx, m, f)
	}
}

// claimsExtension reports whether a request says that it comes from one of
// our own extensions. That must be proven, wherever the request comes from.
func (e *Edge) claimsExtension(idx *index, m *gate.Message) bool {
	from, ok := gate.ParseURI(m.From.URI)
	return ok && idx.extensions[from.User] != nil && e.isUs(idx.doc, from.Host)
}

// nobodys reports whether an INVITE neither says to be an extension's nor brings
// a proof.
func (e *Edge) nobodys(idx *index, m *gate.Message) bool {
	if m.Method != "INVITE" || e.claimsExtension(idx, m) {
		return false
	}
	_, ok := e.credentials(idx, m)
	return !ok
}

func (e *Edge) isUs(doc *conf.Document, host string) bool {
	if strings.EqualFold(host, doc.Tenant.Domain) {
		return true
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, own := range e.cfg.Advertise {
		if own == a.Unmap() {
			return true
		}
	}
	return false
}

// phone serves a request whose sender must prove to be an extension.
func (e *Edge) phone(idx *index, m *gate.Message, f *gate.Flow) {
	ext := e.prove(idx, m, f)
	if ext == nil {
		return
	}
	f.Prove()
	from, ok := gate.ParseURI(m.From.URI)
	switch {
	case !ok || from.User != ext.Number:
		e.answer(m, f, 403, "Forbidden (From is not the authenticated extension)")
	case (m.Method == "REGISTER" || m.Method == "INVITE" && !idx.emergencyCall(m)) && !e.allowed(ext.Number, m, f):
	case m.Method == "REGISTER":
		e.register(ext, m, f)
	case m.Method == "INVITE":
		e.invite(idx, m, f, Identity{Extension: ext.Number, Instance: e.instance(ext.Number, f), Source: f.Remote, Transport: f.Transport})
	case m.Method == "SUBSCRIBE" || m.Method == "PUBLISH":
		e.answer(m, f, 489, "Bad Event")
	default:
		e.answer(m, f, 405, "Method Not Allowed", gate.Header{Name: "Allow", Value: allow})
	}
}

// instance is how the phone behind a connection names itself in its
// registration, so that it is found again over another one.
func (e *Edge) instance(extension string, f *gate.Flow) string {
	if f.Transport == "UDP" {
		return ""
	}
	for _, c := range e.cfg.Registrar.Contacts(extension) {
		if c.Transport == f.Transport && c.Source == f.Remote {
			return c.InstanceID
		}
	}
	return ""
}

// prove checks the digest and returns the extension, or nil after the request
// was dropped or challenged. What it answers and how long it takes does not
// depend on whether the user exists.
func (e *Edge) prove(idx *index, m *gate.Message, f *gate.Flow) *conf.Extension {
	c, ok := e.credentials(idx, m)
	now, source := e.cfg.Now(), gate.Network(f.Remote.Addr())
	if !ok {
		e.challenge(idx, m, f, false)
		return nil
	}
	_, trusted := e.cfg.Trunk(f.Remote.Addr())
	who, heard := c.Username, true
	if bans := e.gate.Bans(); !trusted && bans.Watched(source) {
		who, heard = e.hear(idx, m, f, c.Username)
	}
	if !heard {
		e.gate.Counters.Banned.Add(1)
		return nil
	}
	ext, secret := idx.extensions[c.Username], ""
	if ext != nil {
		secret = ext.Password.Reveal()
	}
	verdict := e.auth.Check(&digest.Attempt{
		Credentials: c, Method: m.Method, Realm: idx.doc.Tenant.Domain, Source: f.Remote.Addr(),
		Request: fingerprint(m),
	}, secret, ext != nil && secret != "", now)
	switch verdict {
	case digest.Right:
		e.gate.Bans().Succeeded(source, who, now)
		e.gate.Refund(f.Remote.Addr(), cost(m, &c))
		if m.Method == "INVITE" && !sameCallee(c.URI, m.URI) {
			e.answer(m, f, 403, "Forbidden (the digest is for another Request-URI)")
			return nil
		}
		return ext
	case digest.Repeated:
		if m.Method == "REGISTER" {
			return ext
		}
		// Retransmissions of what we serve meet their transaction, not us.
		verdict = digest.Stale
	case digest.Guessed:
		e.gate.Counters.Failures.Add(1)
		if !trusted {
			e.failed(source, who)
		}
	}
	e.challenge(idx, m, f, verdict == digest.Stale)
	return nil
}

// credentials returns the digest for our realm among the request's headers.
func (e *Edge) credentials(idx *index, m *gate.Message) (digest.Credentials, bool) {
	for _, name := range []string{"authorization", "proxy-authorization"} {
		for _, v := range m.Values(name) {
			if c, ok := digest.ParseCredentials(v); ok && c.Realm == idx.doc.Tenant.Domain {
				return c, true
			}
		}
	}
	return digest.Credentials{}, false
}

func (e *Edge) challenge(idx *index, m *gate.Message, f *gate.Flow, stale bool) {
	var headers []gate.Header
	for _, c := range e.auth.Challenges(idx.doc.Tenant.Domain, f.Remote.Addr(), stale, strong(m), e.cfg.Now()) {
		headers = append(headers, gate.Header{Name: "WWW-Authenticate", Value: c})
	}
	e.answer(m, f, 401, "Unauthorized", headers...)
}

// strong reports whether the sender can be offered SHA-256: a phone that is
// known to choose among challenges as RFC 8760 says. Others would not register
// at all: baresip 1.0 gives up when any challenge names an algorithm but MD5,
// sipp and sipsak when the first one does.
func strong(m *gate.Message) bool {
	agent := strings.ToLower(m.Get("user-agent"))
	for _, a := range [...]string{"dipcast", "linphone", "belle-sip"} {
		if strings.HasPrefix(agent, a) {
			return true
		}
	}
	for _, v := range m.Values("authorization") {
		if c, _ := digest.ParseCredentials(v); strings.EqualFold(c.Algorithm, "SHA-256") {
			return true // also with an empty response, by which a phone may ask for it
		}
	}
	return false
}

// retryAfter is what we ask of callers whom we have no room for, in seconds.
const retryAfter = "10"

// invite gives a call attempt its transaction.
func (e *Edge) invite(idx *index, m *gate.Message, f *gate.Flow, id Identity) {
	if e.leaving.Load() && f.Transport == "UDP" {
		return
	}
	emergency := id.Trunk == "" && idx.emergencyCall(m)
	if e.ending.Load() || e.draining.Load() && !emergency {
		e.answer(m, f, 503, "Service Unavailable (no new calls)", gate.Header{Name: "Retry-After", Value: retryAfter})
		return
	}
	_ = e.begin(m, f, rank(emergency, id), func(req *sip.Request, tx *txn.Server) { e.serveInvite(m, req, tx, id) }) // the sender was told
}

// rank is what a call attempt counts when places for transactions are few.
func rank(emergency bool, id Identity) txn.Rank {
	switch {
	case emergency:
		return txn.Help
	case id.Trunk != "":
		return txn.Important
	}
	return txn.Ordinary
}

// begin gives a request its transaction. Its sender is told if there is none;
// the error says why.
func (e *Edge) begin(m *gate.Message, f *gate.Flow, rank txn.Rank, serve func(*sip.Request, *txn.Server)) error {
	req, err := txn.Parse(m, f)
	if err != nil {
		e.gate.Counters.Malformed.Add(1)
		e.answer(m, f, 400, "Bad Request")
		return err
	}
	err = e.txns.Begin(m, f, rank, func(tx *txn.Server) { serve(req, tx) })
	if errors.Is(err, txn.ErrFull) {
		e.gate.Counters.Overloaded.Add(1)
		e.busy(m, f, "Service Unavailable", e.jitter(m, callWait, callWait))
	}
	return err
}

func (e *Edge) answer(m *gate.Message, f *gate.Flow, status int, reason string, headers ...gate.Header) {
	f.Answer(m, &gate.Reply{Status: status, Reason: reason, Headers: headers, Tag: e.gate.Tag(m)})
}

// clean makes hostile text fit for a log line.
func clean(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// options answers OPTIONS (RFC 3261 §11.2). Phones use it as a keep-alive and
// trunks to see whether we live; it says what every SIP server serves and
// nothing of who runs here. A trunk that must not call now is told so, and may
// send its calls elsewhere.
func (e *Edge) options(m *gate.Message, f *gate.Flow, trunk bool) {
	if e.draining.Load() || trunk && e.level() >= load.ShedTrunks {
		e.answer(m, f, 503, "Service Unavailable (no new calls)", gate.Header{Name: "Retry-After", Value: retryAfter})
		return
	}
	e.answer(m, f, 200, "OK",
		gate.Header{Name: "Allow", Value: allow},
		gate.Header{Name: "Accept", Value: "application/sdp"},
		gate.Header{Name: "Supported", Value: "100rel, timer, path, outbound"})
}
