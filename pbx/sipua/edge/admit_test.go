package edge_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
)

// plain takes out of an answer what must differ between two equal ones.
func plain(m *gate.Message) string {
	s := regexp.MustCompile(`nonce="[^"]*"`).ReplaceAllString(m.Text(), `nonce=""`)
	s = regexp.MustCompile(`tag=[0-9a-z]+`).ReplaceAllString(s, "tag=")
	s = regexp.MustCompile(`(branch=|Call-ID: |CSeq: )\S+`).ReplaceAllString(s, "$1")
	return regexp.MustCompile(`sip:\w+@`).ReplaceAllString(s, "sip:user@")
}

// TestNobodyLearnsWhoExists: a wrong password, an unknown user and a replayed
// nonce get the same bytes.
func TestNobodyLearnsWhoExists(t *testing.T) {
	b := newBed(t, nil)
	p := b.dial(t, "udp", "127.0.0.1")
	first := p.ask(p.text(msg{method: "REGISTER"}))
	unknown := p.ask(p.text(msg{method: "REGISTER", from: "sip:999@" + domain}))
	if plain(first) != plain(unknown) {
		t.Errorf("challenges differ:\n%s\n%s", plain(first), plain(unknown))
	}
	wrong := p.register("MD5", "101", "guess")
	nobody := p.register("MD5", "999", "guess")
	if wrong.Status != 401 || plain(wrong) != plain(nobody) {
		t.Errorf("refusals differ:\n%s\n%s", plain(wrong), plain(nobody))
	}
	if plain(wrong) != plain(first) {
		t.Errorf("a refusal is not the first challenge again:\n%s\n%s", plain(wrong), plain(first))
	}
	proof := login(t, p.ask(p.text(msg{method: "REGISTER"})), "MD5", "101", "secret-101", "REGISTER", "sip:"+domain, 1)
	r := msg{method: "REGISTER", extra: []string{p.contact("101"), proof}}
	if res := p.ask(p.text(r)); res.Status != 200 {
		t.Fatalf("the right password: %q", res.Text())
	}
	replay := p.ask(p.text(r))
	if plain(replay) != plain(wrong) {
		t.Errorf("a replayed nonce is answered otherwise:\n%s\n%s", plain(replay), plain(wrong))
	}
}

func TestRetransmissionGetsTheSameAnswer(t *testing.T) {
	b := newBed(t, nil)
	p := b.dial(t, "udp", "127.0.0.1")
	proof := login(t, p.ask(p.text(msg{method: "REGISTER"})), "SHA-256", "101", "secret-101", "REGISTER", "sip:"+domain, 1)
	text := p.text(msg{method: "REGISTER", extra: []string{p.contact("101"), proof}})
	one := p.ask(text)
	two := p.ask(text)
	if one.Status != 200 || one.To.Tag == "" || one.To.Tag != two.To.Tag || two.Status != 200 || len(b.reg.Contacts("101")) != 1 {
		t.Errorf("answers:\n%s\n%s", one.Text(), two.Text())
	}
}

func TestRegisterFeatures(t *testing.T) {
	b := newBed(t, nil)
	p := b.dial(t, "tcp", "127.0.0.1")
	for _, row := range []struct {
		name   string
		extra  []string
		status int
		header string
		want   string
	}{
		{"too brief", []string{"Expires: 5"}, 423, "min-expires", "60"},
		{"path", []string{"Path: <sip:edge.example;lr>", "Supported: path"}, 200, "path", "<sip:edge.example;lr>"},
		{"outbound", []string{`Contact: <sip:101@h.example>;+sip.instance="<urn:uuid:1>";reg-id=1`, "Supported: outbound"}, 200, "require", "outbound"},
		{"unsupported", []string{"Require: gruu"}, 420, "unsupported", "gruu"},
		{"star with more", []string{"Contact: *", "Expires: 0"}, 400, "", ""},
		{"bad q", []string{"Contact: <sip:a@b>;q=7"}, 400, "", ""},
		{"tel contact", []string{"Contact: <tel:101>"}, 400, "", ""},
	} {
		res := p.register("MD5", "101", "secret-101", row.extra...)
		if res.Status != row.status || (row.header != "" && res.Get(row.header) != row.want) {
			t.Errorf("%s: %q", row.name, res.Text())
		}
	}
	r := msg{method: "REGISTER", callID: "star", extra: []string{"Contact: *", "Expires: 0"}}
	r.extra = append(r.extra, login(t, p.ask(p.text(msg{method: "REGISTER"})), "MD5", "101", "secret-101", "REGISTER", "sip:"+domain, 1))
	if res := p.ask(p.text(r)); res.Status != 200 || len(b.reg.Contacts("101")) != 0 {
		t.Errorf("star: %q, bindings %+v", res.Text(), b.reg.Contacts("101"))
	}
}

// TestTheLastPlacesAreForHelp: who sends datagrams with the address of a trunk
// fills the table for half a minute, and a phone can call for help all the same.
func TestTheLastPlacesAreForHelp(t *testing.T) {
	b := newBed(t, func(c *edge.Config) { c.Transactions = 32 })
	b.trunk("127.0.0.3")
	trunk, phone := b.dial(t, "udp", "127.0.0.3"), b.dial(t, "udp", "127.0.0.1")
	taken := 0
	for range 40 {
		if trunk.ask(trunk.text(inviteFrom("sip:1@carrier.example", "sip:119@"+domain))).Status == 486 {
			taken++ // refused by the bed; the transaction waits for its ACK
		}
	}
	if taken != 30 {
		t.Errorf("a trunk takes %d places of 32", taken)
	}
	call := func(to string) int {
		r := inviteFrom("sip:101@"+domain, to)
		r.extra = append(r.extra, login(t, phone.ask(phone.text(r)), "MD5", "101", "secret-101", "INVITE", to, 1))
		return phone.ask(phone.text(r)).Status
	}
	if got := call("sip:102@" + domain); got != 503 {
		t.Errorf("an ordinary call is answered %d", got)
	}
	for i := range 3 {
		if got, want := call("sip:119@"+domain), map[bool]int{true: 486, false: 503}[i < 2]; got != want {
			t.Errorf("call %d for help is answered %d, want %d", i, got, want)
		}
	}
}

// TestACallBegunAnewHasItsRank: a call of an earlier process finds room like any
// other, and who takes it up learns if there is none.
func TestACallBegunAnewHasItsRank(t *testing.T) {
	b := newBed(t, func(c *edge.Config) { c.Transactions = 32 })
	b.trunk("127.0.0.3")
	trunk, phone := b.dial(t, "udp", "127.0.0.3"), b.dial(t, "udp", "127.0.0.1")
	for range 40 {
		trunk.ask(trunk.text(inviteFrom("sip:1@carrier.example", "sip:102@"+domain)))
	}
	id := edge.Identity{Extension: "101", Source: netip.MustParseAddrPort(phone.conn.LocalAddr().String()), Transport: "UDP"}
	ready := make(chan struct{})
	close(ready)
	for _, tc := range []struct {
		text string
		ok   bool
		want int
	}{
		{phone.text(inviteFrom("sip:101@"+domain, "sip:102@"+domain)), false, 503},
		{phone.text(inviteFrom("sip:101@"+domain, "sip:119@"+domain)), true, 486},
	} {
		if err := b.Again(tc.text, id, ready); (err == nil) != tc.ok {
			t.Errorf("%v", err)
		}
		if got := phone.receive(); got.Status != tc.want {
			t.Errorf("the caller is answered %d, want %d", got.Status, tc.want)
		}
	}
	if err := b.Again("INVITE", id, ready); err == nil {
		t.Error("what cannot be read was taken up")
	}
}

func TestBanOfUserAndSource(t *testing.T) {
	b := newBed(t, func(c *edge.Config) { c.Gate.Bans = gate.BanLimits{Failures: 5} })
	p := b.dial(t, "udp", "127.0.0.1")
	source := netip.MustParseAddr("127.0.0.1")
	// Failures without a nonce of ours prove nothing: anybody can forge them.
	for range 20 {
		p.ask(p.text(msg{method: "REGISTER", extra: []string{
			`Authorization: Digest username="101", realm="` + domain + `", nonce="forged", uri="sip:x", response="00"`,
		}}))
	}
	if b.Ban(source, "101") {
		t.Fatal("banned by what anybody can forge")
	}
	for range 4 {
		p.register("MD5", "101", "guess")
	}
	if b.Ban(source, "101") {
		t.Fatal("banned too early")
	}
	p.register("MD5", "101", "guess")
	if !b.Ban(source, "101") || b.Ban(source, "102") || b.Ban(netip.MustParseAddr("127.0.0.2"), "101") {
		t.Fatal("the ban does not reach exactly the user from that source")
	}
	if res := p.register("MD5", "102", "secret-102"); res.Status != 200 {
		t.Errorf("another phone behind the same address: %q", res.Text())
	}
	q := b.dial(t, "udp", "127.0.0.2")
	if res := q.register("MD5", "101", "secret-101"); res.Status != 200 {
		t.Errorf("the same user from elsewhere: %q", res.Text())
	}
}

// TestABannedSourceIsTold: of a source that is shut out as a whole the node's
// helper is told, of one user's ban it is not, and of the trunk never.
func TestABannedSourceIsTold(t *testing.T) {
	told := make(chan netip.Addr, 10)
	b := newBed(t, func(c *edge.Config) {
		c.Gate.Bans = gate.BanLimits{Failures: 3, Users: 5, For: time.Hour}
		c.Banned = func(a netip.Addr, d time.Duration) {
			if d != time.Hour {
				t.Errorf("told of a ban for %s", d)
			}
			told <- a
		}
	})
	b.trunk("127.0.0.3")
	for _, from := range []string{"127.0.0.1", "127.0.0.3"} {
		p := b.dial(t, "udp", from)
		for range 3 {
			p.register("MD5", "101", "guess")
		}
	}
	if len(told) != 0 {
		t.Fatalf("one user's ban shut out %s", <-told)
	}
	for _, from := range []string{"127.0.0.3", "127.0.0.66"} {
		p := b.dial(t, "udp", from)
		for i := range 5 {
			p.register("MD5", fmt.Sprint(500+i), "guess")
		}
	}
	waitFor(t, "the helper is told", func() bool { return len(told) == 1 })
	if a := <-told; a.String() != "127.0.0.66" {
		t.Errorf("told of %s", a)
	}
}

func TestTrunkIsNeverBanned(t *testing.T) {
	b := newBed(t, func(c *edge.Config) { c.Gate.Bans = gate.BanLimits{Failures: 2, Users: 2} })
	b.trunk("127.0.0.3")
	p := b.dial(t, "udp", "127.0.0.3")
	for i := range 20 {
		p.register("MD5", fmt.Sprint(500+i%3), "guess")
	}
	if res := p.ask(p.text(inviteFrom("sip:0215990000@carrier.example", "sip:025550101@"+domain))); res.Status != 486 {
		t.Errorf("a call from the trunk: %q", res.Text())
	}
	if ids := b.seen(); len(ids) != 1 || ids[0].Trunk != "carrier" || ids[0].Extension != "" {
		t.Errorf("identities %+v", ids)
	}
}

func inviteFrom(from, to string, extra ...string) msg {
	return msg{
		method: "INVITE", uri: to, from: from, to: to,
		extra: append([]string{"Contact: <sip:x@127.0.0.1:5999>"}, extra...),
	}
}

func TestInviteAdmission(t *testing.T) {
	const callee = "sip:102@" + domain
	b := newBed(t, nil)
	b.trunk("127.0.0.3")
	phone, trunk := b.dial(t, "udp", "127.0.0.1"), b.dial(t, "udp", "127.0.0.3")
	auth := func(p *peer, user string) string {
		res := p.ask(p.text(inviteFrom("sip:"+user+"@"+domain, callee)))
		if res.Status != 401 {
			t.Fatalf("not challenged: %q", res.Text())
		}
		return login(t, res, "SHA-256", user, "secret-"+user, "INVITE", callee, 1)
	}
	for _, row := range []struct {
		name   string
		p      *peer
		r      msg
		status int
		id     edge.Identity
	}{
		{"stranger", phone, inviteFrom("sip:0215990000@carrier.example", callee), 401, edge.Identity{}},
		{"phone", phone, inviteFrom("sip:101@"+domain, callee, auth(phone, "101")), 486, edge.Identity{Extension: "101"}},
		{"phone as another extension", phone, inviteFrom("sip:103@"+domain, callee, auth(phone, "101")), 403, edge.Identity{}},
		{"phone as an outside number", phone, inviteFrom("sip:025550100@"+domain, callee, auth(phone, "101")), 403, edge.Identity{}},
		{"trunk", trunk, inviteFrom("sip:0215990000@carrier.example", callee), 486, edge.Identity{Trunk: "carrier"}},
		{"trunk as our extension", trunk, inviteFrom("sip:101@"+domain, callee), 401, edge.Identity{}},
		{"phone at the trunk's address", trunk, inviteFrom("sip:101@"+domain, callee, auth(trunk, "101")), 486, edge.Identity{Extension: "101"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := len(b.seen())
			res := row.p.ask(row.p.text(row.r))
			if res.Status != row.status {
				t.Fatalf("answer %q, want %d", res.Text(), row.status)
			}
			ids := b.seen()[before:]
			if (row.status == 486) != (len(ids) == 1) {
				t.Fatalf("identities %+v", ids)
			}
			if len(ids) == 1 && (ids[0].Extension != row.id.Extension || ids[0].Trunk != row.id.Trunk) {
				t.Errorf("identity %+v, want %+v", ids[0], row.id)
			}
		})
	}
}

func TestOtherMethods(t *testing.T) {
	b := newBed(t, nil)
	p := b.dial(t, "udp", "127.0.0.1")
	if res := p.ask(p.text(msg{method: "OPTIONS"})); res.Status != 200 || res.Get("server") != "" || !strings.Contains(res.Get("allow"), "INVITE") {
		t.Errorf("OPTIONS: %q", res.Text())
	}
	for method, want := range map[string]int{"MESSAGE": 405, "SUBSCRIBE": 489, "PUBLISH": 489, "REFER": 405} {
		res := p.ask(p.text(msg{method: method, body: "uname -a"}))
		if res.Status != 401 {
			t.Errorf("%s from a stranger: %q", method, res.Text())
			continue
		}
		proof := login(t, res, "MD5", "101", "secret-101", method, "sip:"+domain, 1)
		if res = p.ask(p.text(msg{method: method, extra: []string{proof}})); res.Status != want {
			t.Errorf("%s from a phone: %q, want %d", method, res.Text(), want)
		}
	}
	for _, method := range []string{"BYE", "UPDATE", "PRACK", "INFO", "NOTIFY", "CANCEL"} {
		if res := p.ask(p.text(msg{method: method})); res.Status != 481 {
			t.Errorf("%s to nothing: %q", method, res.Text())
		}
		if res := p.ask(p.text(msg{method: method, toTag: "guess"})); res.Status != 481 {
			t.Errorf("%s in a guessed dialog: %q", method, res.Text())
		}
	}
	p.send(p.text(msg{method: "ACK", toTag: "guess"})) // no answer: the next one is to OPTIONS
	b.set(func() {
		b.known["call 7"] = edge.Identity{Extension: "101", Source: netip.MustParseAddrPort("127.0.0.1:5060")}
	})
	if res := p.ask(p.text(msg{method: "BYE", callID: "call", toTag: "7"})); res.Status != 200 || res.CSeqMethod != "BYE" {
		t.Errorf("BYE in a live dialog: %q", res.Text())
	}
}

func TestCancel(t *testing.T) {
	b := newBed(t, nil)
	b.trunk("127.0.0.1")
	cancelled := make(chan struct{})
	b.serve(func(req *sip.Request, tx *txn.Server) {
		tx.Listen(txn.User{Cancelled: func(*sip.Request) { close(cancelled) }})
		_ = tx.Respond(sip.NewResponseFromRequest(req, 180, "Ringing", nil))
	})
	p := b.dial(t, "udp", "127.0.0.1")
	r := inviteFrom("sip:0215990000@carrier.example", "sip:101@"+domain)
	r.branch, r.callID, r.seq = "z9hG4bKcancel", "cancel", 1
	text := p.text(r)
	if res := p.ask(text); res.Status != 180 {
		t.Fatalf("INVITE: %q", res.Text())
	}
	if res := p.ask(text); res.Status != 180 {
		t.Fatalf("its retransmission: %q", res.Text())
	}
	c := r
	c.method = "CANCEL"
	got := map[int]bool{p.ask(p.text(c)).Status: true}
	final := p.receive()
	got[final.Status] = true
	<-cancelled
	if !got[200] || !got[487] {
		t.Fatalf("after CANCEL: %v", got)
	}
	ack := r
	ack.method, ack.toTag = "ACK", "x"
	p.send(p.text(ack))
	waitFor(t, "the ACK to reach the transaction", func() bool {
		server, _ := b.Transactions()
		return server == 0
	})
	if len(b.seen()) != 1 {
		t.Errorf("the INVITE was served %d times", len(b.seen()))
	}
}

// waitFor polls what other goroutines change.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestOverloadKeepsRoomForTrunksAndEmergencies(t *testing.T) {
	b := newBed(t, func(c *edge.Config) { c.Transactions = 4 })
	b.trunk("127.0.0.3")
	b.serve(func(req *sip.Request, tx *txn.Server) {
		_ = tx.Respond(sip.NewResponseFromRequest(req, 180, "Ringing", nil))
	})
	call := func(p *peer, to string) *gate.Message {
		r := inviteFrom("sip:101@"+domain, to)
		res := p.ask(p.text(r))
		r.extra = append(r.extra, login(t, res, "MD5", "101", "secret-101", "INVITE", to, 1))
		return p.ask(p.text(r))
	}
	phone, trunk := b.dial(t, "udp", "127.0.0.1"), b.dial(t, "udp", "127.0.0.3")
	for i := range 3 {
		if res := call(phone, "sip:102@"+domain); res.Status != 180 {
			t.Fatalf("call %d: %q", i, res.Text())
		}
	}
	if res := call(phone, "sip:102@"+domain); res.Status != 503 || res.Get("retry-after") == "" {
		t.Fatalf("a call too many: %q", res.Text())
	}
	if res := call(phone, "sip:119@"+domain); res.Status != 180 {
		t.Fatalf("an emergency call: %q", res.Text())
	}
	if res := trunk.ask(trunk.text(inviteFrom("sip:1@carrier.example", "sip:101@"+domain))); res.Status != 503 {
		t.Fatalf("above the very limit: %q", res.Text())
	}
	if res := phone.register("MD5", "101", "secret-101"); res.Status != 200 {
		t.Fatalf("a registration under overload: %q", res.Text())
	}
}

func TestDrain(t *testing.T) {
	b := newBed(t, nil)
	b.trunk("127.0.0.3")
	b.serve(func(req *sip.Request, tx *txn.Server) {
		_ = tx.Respond(sip.NewResponseFromRequest(req, 180, "Ringing", nil))
	})
	b.Drain()
	trunk, phone := b.dial(t, "udp", "127.0.0.3"), b.dial(t, "udp", "127.0.0.1")
	if res := trunk.ask(trunk.text(inviteFrom("sip:1@carrier.example", "sip:101@"+domain))); res.Status != 503 || res.Get("retry-after") == "" {
		t.Errorf("a call: %q", res.Text())
	}
	if res := trunk.ask(trunk.text(msg{method: "OPTIONS"})); res.Status != 503 {
		t.Errorf("OPTIONS: %q", res.Text())
	}
	if res := phone.register("MD5", "101", "secret-101"); res.Status != 200 {
		t.Errorf("a registration: %q", res.Text())
	}
	// Emergency calls are let out until the very end.
	emergency := func(cseq uint32) int {
		r := inviteFrom("sip:101@"+domain, "sip:119@"+domain)
		res := phone.ask(phone.text(r))
		if res.Status != 401 && res.Status != 407 {
			return res.Status
		}
		r.extra = append(r.extra, login(t, res, "MD5", "101", "secret-101", "INVITE", "sip:119@"+domain, cseq))
		return phone.ask(phone.text(r)).Status
	}
	if status := emergency(1); status != 180 {
		t.Errorf("an emergency call while draining: %d", status)
	}
	b.Resume()
	if res := trunk.ask(trunk.text(inviteFrom("sip:1@carrier.example", "sip:101@"+domain))); res.Status != 180 {
		t.Errorf("a call after the drain: %q", res.Text())
	}
	if res := trunk.ask(trunk.text(msg{method: "OPTIONS"})); res.Status != 200 {
		t.Errorf("OPTIONS after the drain: %q", res.Text())
	}
	b.End()
	if status := emergency(2); status != 503 {
		t.Errorf("an emergency call at the end: %d", status)
	}
}

// TestCallsWaitForTheNextProcess: while another process takes over, a call that
// comes over UDP is not answered, so that its sender asks the next one.
func TestCallsWaitForTheNextProcess(t *testing.T) {
	b := newBed(t, nil)
	b.trunk("127.0.0.3")
	b.serve(func(*sip.Request, *txn.Server) { t.Error("a call begins") })
	b.Leave()
	trunk, stream := b.dial(t, "udp", "127.0.0.3"), b.dial(t, "tcp", "127.0.0.3")
	trunk.send(trunk.text(inviteFrom("sip:1@carrier.example", "sip:101@"+domain)))
	// What is answered after it proves that the call was seen.
	if res := trunk.ask(trunk.text(msg{method: "OPTIONS"})); res.Status != 200 || !strings.Contains(res.Get("cseq"), "OPTIONS") {
		t.Errorf("the carrier is answered %q", res.Text())
	}
	if res := stream.ask(stream.text(inviteFrom("sip:1@carrier.example", "sip:101@"+domain))); res.Status != 503 {
		t.Errorf("over a connection that ends: %q", res.Text())
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	b := newBed(t, func(c *edge.Config) { c.Gate.Streams = gate.StreamLimits{PerSource: 3, Total: 5} })
	proven := b.dial(t, "tcp", "127.0.0.1")
	if res := proven.register("MD5", "101", "secret-101"); res.Status != 200 {
		t.Fatalf("register: %q", res.Text())
	}
	for range 20 {
		b.dial(t, "tcp", "127.0.0.1")
	}
	waitFor(t, "the surplus to be closed", func() bool { return b.Counters().Turned.Load() == 17 })
	if n := b.Counters().Streams.Load(); n != 4 {
		t.Errorf("%d connections are open, want one proven and three others", n)
	}
	other := b.dial(t, "tcp", "127.0.0.2")
	if res := other.ask(other.text(msg{method: "OPTIONS"})); res.Status != 200 {
		t.Errorf("another source: %q", res.Text())
	}
	proven.send("\r\n\r\n")
	buf := make([]byte, 2)
	if _, err := proven.tcp.Read(buf); err != nil || string(buf) != "\r\n" {
		t.Errorf("keep-alive: %q %v", buf, err)
	}
}

func TestBindingGoesWithItsConnection(t *testing.T) {
	b := newBed(t, nil)
	p := b.dial(t, "tcp", "127.0.0.1")
	if res := p.register("MD5", "101", "secret-101", "Contact: <sip:101@10.1.2.3:5060;transport=tcp>"); res.Status != 200 {
		t.Fatalf("register: %q", res.Text())
	}
	if n := len(b.reg.Contacts("101")); n != 2 {
		t.Fatalf("%d bindings", n)
	}
	p.conn.Close()
	waitFor(t, "the unreachable binding to go", func() bool { return len(b.reg.Contacts("101")) == 1 })
	if c := b.reg.Contacts("101")[0]; strings.Contains(c.URI, "10.1.2.3") {
		t.Errorf("the wrong binding stayed: %+v", c)
	}
}

// TestTorture sends the messages of RFC 4475 over UDP and TCP, whole, cut and
// with flipped bits, and then asks whether anybody is still there.
func TestTorture(t *testing.T) {
	bad := map[string]int{
		"badaspec": 400, "badinv01": 400, "badvers": 505, "bext01": 420, "clerr": 400, "escruri": 400, "insuf": 400,
		"ltgtruri": 400, "lwsruri": 400, "lwsstart": 400, "mcl01": 400, "mismatch01": 400, "mismatch02": 400,
		"multi01": 400, "ncl": 400, "novelsc": 416, "quotbal": 400, "regbadct": 400, "scalar02": 400, "trws": 400,
		"unkscm": 416, "zeromf": 483,
		"dblreq": 401, "esc01": 401, "escnull": 401, "longreq": 401, "lwsdisp": 200, "semiuri": 200, "transports": 200,
		"wsinv": 481, "mpart01": 401, "intmeth": 501, "esc02": 501, "inv2543": 401, "regaut01": 401, "cparam01": 401, "cparam02": 401, "regescrt": 401,
	}
	files := torture(t)
	b := newBed(t, func(c *edge.Config) { c.Gate.Burst, c.Gate.Rate = 1e9, 1e9 })
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			m := gate.Scan(data)
			if want := bad[name]; want != 0 {
				if got := answerTo(t, b, data); got != want {
					t.Errorf("answered with %d, want %d", got, want)
				}
			} else if m != nil && !m.IsRequest() {
				strays := b.Counters().Strays.Load()
				b.dial(t, "udp", "127.0.0.1").send(string(data))
				waitFor(t, "the stray to be counted", func() bool { return b.Counters().Strays.Load() > strays })
			}
			for _, network := range []string{"udp", "tcp"} {
				mangle(t, b, network, data)
			}
		})
	}
	p := b.dial(t, "udp", "127.0.0.1")
	if res := p.ask(p.text(msg{method: "OPTIONS"})); res.Status != 200 {
		t.Errorf("afterwards: %q", res.Text())
	}
	if n := b.Counters().PanicsHeld.Load(); n != 0 {
		t.Errorf("%d messages panicked", n)
	}
}

func torture(t *testing.T) map[string][]byte {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/emiago/sipgo").Output()
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "sip/testdata/torture/*/*.dat"))
	if err != nil || len(paths) < 50 {
		t.Fatalf("%d messages, %v", len(paths), err)
	}
	out := make(map[string][]byte)
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(p), ".dat")] = data
	}
	return out
}

// answerTo sends a packet whose Via leads elsewhere: rport is added to its
// topmost Via so that the answer comes back here.
func answerTo(t *testing.T, b *bed, data []byte) int {
	t.Helper()
	data = regexp.MustCompile(`\r\n[ \t]+`).ReplaceAll(data, []byte(" "))
	text := regexp.MustCompile(`(?i)((?:via|v)[ \t]*:[^\r]*?)(;|,|\r)`).ReplaceAllString(string(data), "$1;rport$2")
	p := b.dial(t, "udp", "127.0.0.1")
	p.send(text)
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 65536)
	n, err := p.conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	m := gate.Scan(buf[:n]) // the answer repeats what was wrong with the request
	if m == nil || m.IsRequest() {
		t.Fatalf("no response: %q", buf[:n])
	}
	return m.Status
}

// mangle sends what is left of a message after cuts and flipped bits.
func mangle(t *testing.T, b *bed, network string, data []byte) {
	t.Helper()
	local := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9)}
	for i := 1; i < 20; i++ {
		cut := data[:len(data)*i/20]
		flipped := append([]byte(nil), data...)
		flipped[len(flipped)*i/20] ^= 1 << (i % 8)
		var conn net.Conn
		var err error
		if network == "udp" {
			conn, err = net.DialUDP("udp", local, net.UDPAddrFromAddrPort(b.addr))
		} else {
			conn, err = net.Dial("tcp", b.addr.String())
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, piece := range [][]byte{cut, flipped} {
			_, _ = conn.Write(piece) // the PBX may have closed the connection
		}
		conn.Close()
	}
}

// TestFloodOfStrangers sends REGISTERs and INVITEs without credentials from
// many addresses at full speed: no transaction begins, and a phone is served
// meanwhile.
func TestFloodOfStrangers(t *testing.T) {
	b := newBed(t, nil)
	phone := b.dial(t, "tcp", "127.0.0.1")
	for i := range 200 {
		p := b.dial(t, "udp", fmt.Sprintf("127.0.1.%d", i+1))
		for range 100 {
			p.send(p.text(msg{method: "REGISTER"}))
			p.send(p.text(inviteFrom("sip:101@"+domain, "sip:102@"+domain)))
		}
		p.conn.Close()
		if i%50 == 0 {
			if res := phone.register("MD5", "101", "secret-101"); res.Status != 200 {
				t.Fatalf("a phone during the flood: %q", res.Text())
			}
		}
	}
	if s, c := b.Transactions(); s != 0 || c != 0 || len(b.seen()) != 0 {
		t.Errorf("%d server and %d client transactions, %d calls", s, c, len(b.seen()))
	}
}
