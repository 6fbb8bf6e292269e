package edge_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
)

// TestRequestsOfADialogComeFromItsPeer: who knows Call-ID and tags of a call
// cannot end it from elsewhere; a phone that changed its network can, by digest.
func TestRequestsOfADialogComeFromItsPeer(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:5060")
	b := newBed(t, nil)
	b.set(func() {
		b.trunks[netip.MustParseAddr("127.0.0.3")] = "carrier"
		b.trunks[netip.MustParseAddr("127.0.0.4")] = "other"
		b.known["phone 7"] = edge.Identity{Extension: "101", Source: at}
		b.known["line 7"] = edge.Identity{Trunk: "carrier", Source: at}
	})
	for _, row := range []struct {
		name, from, call string
		want             int
	}{
		{"the phone", "127.0.0.1", "phone", 200},
		{"somebody", "127.0.0.2", "phone", 401},
		{"a trunk in a phone's call", "127.0.0.3", "phone", 401},
		{"where the trunk's contact is", "127.0.0.1", "line", 200},
		{"the trunk's second host", "127.0.0.3", "line", 200},
		{"another trunk", "127.0.0.4", "line", 403},
		{"somebody in a trunk's call", "127.0.0.2", "line", 403},
	} {
		for _, network := range []string{"udp", "tcp"} {
			p := b.dial(t, network, row.from)
			for _, method := range []string{"BYE", "INVITE", "UPDATE", "INFO"} {
				if res := p.ask(p.text(msg{method: method, callID: row.call, toTag: "7"})); res.Status != row.want {
					t.Errorf("%s from %s over %s: %d, want %d", method, row.name, network, res.Status, row.want)
				}
			}
		}
	}
	p := b.dial(t, "udp", "127.0.0.2")
	for user, want := range map[string]int{"101": 200, "102": 403} {
		ask := msg{method: "BYE", callID: "phone", toTag: "7", from: "sip:" + user + "@" + domain}
		proof := login(t, p.ask(p.text(ask)), "MD5", user, "secret-"+user, "BYE", "sip:"+domain, 1)
		ask.extra = []string{proof}
		if res := p.ask(p.text(ask)); res.Status != want {
			t.Errorf("BYE of %s from a new network: %d, want %d", user, res.Status, want)
		}
	}
}

// TestATrunkThatIsNotKnownYetIsNotRefused: after a start the names of trunks are
// still being looked up. What their hosts send meanwhile comes again, and is
// not answered before it can be.
func TestATrunkThatIsNotKnownYetIsNotRefused(t *testing.T) {
	b := newBed(t, nil)
	b.unseen.Store(true)
	b.set(func() {
		b.known["line 7"] = edge.Identity{Trunk: "carrier", Source: netip.MustParseAddrPort("127.0.0.9:5060")}
	})
	host, stream := b.dial(t, "udp", "127.0.0.3"), b.dial(t, "tcp", "127.0.0.3")
	call := inviteFrom("sip:1@carrier.example", "sip:025550101@"+domain)
	bye := msg{method: "BYE", callID: "line", toTag: "7"}
	for _, r := range []msg{call, bye} {
		host.send(host.text(r))
		if res := host.ask(host.text(msg{method: "OPTIONS"})); res.CSeqMethod != "OPTIONS" {
			t.Errorf("%s is answered %d", r.method, res.Status)
		}
	}
	proven := inviteFrom("sip:1@carrier.example", "sip:102@"+domain)
	proven.extra = []string{login(t, host.ask(host.text(msg{method: "REGISTER"})), "MD5", "101", "secret-101", "INVITE", "sip:102@"+domain, 1)}
	for what, got := range map[string]struct {
		res  *gate.Message
		want int
	}{
		"a phone's call":              {host.ask(host.text(inviteFrom("sip:101@"+domain, "sip:102@"+domain))), 401},
		"a proof":                     {host.ask(host.text(proven)), 403},
		"a call over a connection":    {stream.ask(stream.text(call)), 401},
		"a BYE over a connection":     {stream.ask(stream.text(bye)), 403},
		"a registration":              {host.ask(host.text(msg{method: "REGISTER"})), 401},
		"a BYE that belongs to none":  {host.ask(host.text(msg{method: "BYE", toTag: "7"})), 481},
		"a BYE outside of any dialog": {host.ask(host.text(msg{method: "BYE"})), 481},
	} {
		if got.res.Status != got.want {
			t.Errorf("%s is answered %d, want %d", what, got.res.Status, got.want)
		}
	}
	b.trunk("127.0.0.3")
	b.unseen.Store(false)
	if res := host.ask(host.text(call)); res.Status != 486 {
		t.Errorf("a call that comes again is answered %d", res.Status)
	}
	if res := host.ask(host.text(bye)); res.Status != 200 {
		t.Errorf("a BYE that comes again is answered %d", res.Status)
	}
}

// TestTheAnswerToAnEarlierReINVITE: a 2xx to what another process has sent is
// acknowledged if it comes from the peer of the dialog, and only a few times.
func TestTheAnswerToAnEarlierReINVITE(t *testing.T) {
	b := newBed(t, nil)
	b.set(func() {
		b.known["call here"] = edge.Identity{Extension: "101", Source: netip.MustParseAddrPort("127.0.0.1:9")}
	})
	answer := func(p *peer, status, call, tag, method string) {
		p.send("SIP/2.0 " + status + "\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKofanotherprocess\r\n" +
			"From: <sip:102@" + domain + ">;tag=" + tag + "\r\nTo: <sip:101@" + domain + ">;tag=there\r\n" +
			"Call-ID: " + call + "\r\nCSeq: 7 " + method + "\r\nContent-Length: 0\r\n\r\n")
	}
	stranger, phone := b.dial(t, "udp", "127.0.0.2"), b.dial(t, "udp", "127.0.0.1")
	answer(stranger, "200 OK", "call", "here", "INVITE")
	answer(phone, "200 OK", "call", "elsewhere", "INVITE")
	answer(phone, "200 OK", "call", "here", "UPDATE")
	answer(phone, "180 Ringing", "call", "here", "INVITE")
	for range 1000 {
		answer(phone, "200 OK", "call", "here", "INVITE")
	}
	// Both have been read when what they sent next is answered.
	for _, p := range []*peer{stranger, phone} {
		p.ask(p.text(msg{method: "OPTIONS"}))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.acknowledged); n == 0 || n > 200 {
		t.Fatalf("%d ACKs for 1,000 answers", n)
	}
	if got := b.acknowledged[0]; got != "call here there 7" {
		t.Errorf("acknowledged %s", got)
	}
}

// TestAProofIsForOneRequest: who hears a phone's proof cannot put it into a
// request of their own, not even beside the phone behind the same NAT.
func TestAProofIsForOneRequest(t *testing.T) {
	b := newBed(t, nil)
	p, thief := b.dial(t, "udp", "127.0.0.1"), b.dial(t, "udp", "127.0.0.1")
	proof := login(t, p.ask(p.text(msg{method: "REGISTER"})), "SHA-256", "101", "secret-101", "REGISTER", "sip:"+domain, 1)
	r := msg{method: "REGISTER", callID: "r", branch: "z9hG4bKr", seq: 7, extra: []string{p.contact("101"), proof}}
	if res := p.ask(p.text(r)); res.Status != 200 {
		t.Fatalf("REGISTER: %q", res.Text())
	}
	r.seq, r.extra[0] = 8, thief.contact("101")
	if res := thief.ask(thief.text(r)); res.Status != 401 || len(b.reg.Contacts("101")) != 1 {
		t.Errorf("the proof in another REGISTER: %q", res.Text())
	}
	invite := inviteFrom("sip:101@"+domain, "sip:102@"+domain)
	proof = login(t, p.ask(p.text(invite)), "MD5", "101", "secret-101", "INVITE", invite.uri, 1)
	other := inviteFrom("sip:101@"+domain, "sip:0060123456789@"+domain, proof)
	if res := thief.ask(thief.text(other)); res.Status != 403 || len(b.seen()) != 0 {
		t.Errorf("the proof for another number: %q", res.Text())
	}
	proof = login(t, p.ask(p.text(invite)), "MD5", "101", "secret-101", "INVITE", invite.uri+";user=phone", 1)
	invite.branch, invite.callID, invite.extra = "z9hG4bKi", "i", append(invite.extra, proof)
	if res := p.ask(p.text(invite)); res.Status != 486 {
		t.Fatalf("INVITE: %q", res.Text())
	}
	invite.branch = "z9hG4bKj"
	if res := thief.ask(thief.text(invite)); res.Status != 401 || len(b.seen()) != 1 {
		t.Errorf("the proof in another INVITE: %q", res.Text())
	}
}

// TestADialogHasAMeasure: a phone in a call cannot take every transaction with
// requests in it; its BYE and other calls are served.
func TestADialogHasAMeasure(t *testing.T) {
	noon := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	b := newBed(t, func(c *edge.Config) { c.Now = func() time.Time { return noon } })
	at := netip.MustParseAddrPort("127.0.0.1:5060")
	b.set(func() {
		b.known["a 7"], b.known["b 7"] = edge.Identity{Extension: "101", Source: at}, edge.Identity{Extension: "101", Source: at}
		b.known["line 7"] = edge.Identity{Trunk: "carrier", Source: at}
	})
	p := b.dial(t, "udp", "127.0.0.1")
	count := func(call string) map[int]int {
		got := map[int]int{}
		for range 150 {
			got[p.ask(p.text(msg{method: "INFO", callID: call, toTag: "7"})).Status]++
		}
		return got
	}
	if got := count("a"); got[200] != 100 || got[503] != 50 {
		t.Errorf("in one dialog: %v", got)
	}
	if got := count("line"); got[200] != 150 {
		t.Errorf("of a trunk: %v", got)
	}
	for call, method := range map[string]string{"a": "BYE", "b": "INFO"} {
		if res := p.ask(p.text(msg{method: method, callID: call, toTag: "7"})); res.Status != 200 {
			t.Errorf("%s after it: %d", method, res.Status)
		}
	}
}

// TestAPhoneThatStartsAnewFindsRoom: what its earlier connections left behind
// does not shut it out.
func TestAPhoneThatStartsAnewFindsRoom(t *testing.T) {
	b := newBed(t, nil)
	for range 5 { // two contacts are permitted
		p := b.dial(t, "tcp", "127.0.0.1")
		if res := p.register("MD5", "101", "secret-101"); res.Status != 200 {
			t.Fatalf("register: %q", res.Text())
		}
		_ = p.conn.Close() // as in a power cut
		waitFor(t, "the connection to end", func() bool { return b.Counters().Streams.Load() == 0 })
	}
	one, two := b.dial(t, "tcp", "127.0.0.1"), b.dial(t, "tcp", "127.0.0.1")
	for _, p := range []*peer{one, two} {
		if res := p.register("MD5", "101", "secret-101"); res.Status != 200 {
			t.Fatalf("register: %q", res.Text())
		}
	}
	if res := b.dial(t, "tcp", "127.0.0.1").register("MD5", "101", "secret-101"); res.Status != 403 {
		t.Errorf("a third phone: %q", res.Text())
	}
}

// TestACANCELComesFromTheCaller: another host of the carrier may send it,
// nobody else.
func TestACANCELComesFromTheCaller(t *testing.T) {
	b := newBed(t, nil)
	b.trunk("127.0.0.1")
	b.trunk("127.0.0.3")
	b.set(func() { b.trunks[netip.MustParseAddr("127.0.0.4")] = "other" })
	b.serve(func(req *sip.Request, tx *txn.Server) {
		_ = tx.Respond(sip.NewResponseFromRequest(req, 180, "Ringing", nil))
	})
	p := b.dial(t, "udp", "127.0.0.1")
	r := inviteFrom("sip:0215990000@carrier.example", "sip:101@"+domain)
	r.branch, r.callID, r.seq = "z9hG4bKtaken", "taken", 1
	text := p.text(r)
	if res := p.ask(text); res.Status != 180 {
		t.Fatalf("INVITE: %q", res.Text())
	}
	cancel := strings.ReplaceAll(text, "INVITE", "CANCEL")
	for from, want := range map[string]int{"127.0.0.2": 481, "127.0.0.4": 481} {
		if res := b.dial(t, "udp", from).ask(cancel); res.Status != want {
			t.Errorf("CANCEL from %s: %d, want %d", from, res.Status, want)
		}
	}
	if res := b.dial(t, "udp", "127.0.0.3").ask(cancel); res.Status != 200 {
		t.Errorf("CANCEL from the carrier's second host: %d", res.Status)
	}
	if res := p.receive(); res.Status != 487 {
		t.Errorf("the INVITE is answered %d", res.Status)
	}
}
