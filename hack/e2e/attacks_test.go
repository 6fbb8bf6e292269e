package e2e

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

// The rows of the list of attacks that touch registration, signalling, RTP,
// tenants and the bot, tried on the whole PBX, most of them while two people
// talk through it.

// attacker is an address that is neither a phone's nor the trunk's.
const attacker = "127.0.0.66"

func TestGuessersLearnNothingAndAreShutOut(t *testing.T) {
	r := newRig(t, setup{})
	c := r.conversation()
	s := r.stranger("udp", attacker)
	first := s.ask(s.registration("101"))
	wrong := s.login(s.registration("101"), "101", "guess")
	nobody := s.login(s.registration("999"), "999", "guess")
	right := s.registration("101")
	right.extra = append(right.extra, s.proof(s.ask(s.registration("101")), "101", passwords["101"], "REGISTER", "sip:"+s.domain))
	if res := s.ask(right); res.Status != 200 {
		t.Fatalf("the right password: %q", res.Text())
	}
	replayed := s.ask(right) // the nonce count does not grow
	for name, res := range map[string]*gate.Message{"an unknown user": nobody, "a replayed nonce": replayed, "the first challenge": first} {
		if res.Status != 401 || plain(res) != plain(wrong) {
			t.Errorf("%s is told from a wrong password:\n%s\n%s", name, plain(res), plain(wrong))
		}
	}

	for range 40 { // guesses until nobody listens any more
		challenge := s.ask(s.registration("102"))
		q := s.registration("102")
		q.extra = append(q.extra, s.proof(challenge, "102", "guess", "REGISTER", "sip:"+s.domain))
		s.send(s.text(q))
	}
	// A banned user gets no answer to what it proves, not even with the right
	// password; what comes next is the answer to OPTIONS.
	q := s.registration("102")
	q.extra = append(q.extra, s.proof(s.until(func(m *gate.Message) bool { return m.Status == 401 }), "102", passwords["102"], "REGISTER", "sip:"+s.domain))
	s.send(s.text(q))
	s.send(s.text(request{method: "OPTIONS"}))
	s.until(func(m *gate.Message) bool {
		if m.Status == 200 && m.CSeqMethod == "REGISTER" {
			t.Errorf("a banned guesser registered: %q", m.Text())
		}
		return m.CSeqMethod == "OPTIONS"
	})
	// The ban is for that user from that address; nothing else of 102 is
	// registered but the phone that registers now.
	r.desk("102")
	if n := metric(t, r.server.AdminAddr(), "dipcast_registrations"); n != 3 {
		t.Errorf("%v registrations, want two of 101 and one of 102", n)
	}
	c.goesOn(t)
}

// TestTheTrunkIsNeverShutOut: whoever guesses passwords from the trunk's
// address, or in its name, cannot cut the company off.
func TestTheTrunkIsNeverShutOut(t *testing.T) {
	r := newRig(t, setup{})
	s := r.stranger("udp", "127.0.0.2")
	for n := range 60 {
		user := strconv.Itoa(500 + n) // as many different users as it takes to ban a source
		if res := s.login(s.registration(user), user, "guess"); res.Status != 401 {
			t.Fatalf("guess %d: %q", n, res.Text())
		}
	}
	r.conversation()
}

// TestACallerIsWhoTheyProvedToBe: a phone that says to be somebody else is
// refused, and what it asserts beside From goes nowhere.
func TestACallerIsWhoTheyProvedToBe(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	second := r.desk("102", func(c *phone.Config) { c.Transport = "TCP" }) // so many lies need room
	for _, from := range []string{"101", "025550100", "119"} {
		c, err := second.Dial(within(t), "101", phone.DialOptions{From: from})
		if err != nil {
			t.Fatal(err)
		}
		if cause, err := c.WaitEnded(within(t)); err != nil || cause.Code != 403 {
			t.Errorf("a call of 102 as %s ends with %d %s (%v), want 403", from, cause.Code, cause.Text, err)
		}
	}
	lies := phone.DialOptions{FromName: "사장 101", Headers: map[string]string{
		"P-Asserted-Identity": `"Boss" <sip:101@` + r.doc.Tenant.Domain + `>`, "P-Preferred-Identity": "<sip:101@" + r.doc.Tenant.Domain + ">",
		"Remote-Party-ID": `"Boss" <sip:101@` + r.doc.Tenant.Domain + `>;party=calling`, "Diversion": "<sip:021112222@lie.example>",
		"History-Info": "<sip:021112222@lie.example>;index=1", "Referred-By": "<sip:101@lie.example>",
	}}
	check := func(c *phone.Call, number string) {
		t.Helper()
		if got := c.State(); got.PeerNumber != number || strings.Contains(got.PeerName, "사장") || strings.Contains(got.PeerName, "Boss") {
			t.Errorf("the called side is shown %q %q, want %s", got.PeerName, got.PeerNumber, number)
		}
		for name := range lies.Headers {
			if v := c.InviteHeader(name); strings.Contains(v, "Boss") || strings.Contains(v, "101@") || strings.Contains(v, "lie.example") {
				t.Errorf("%s of the caller is passed on: %q", name, v)
			}
		}
	}
	inside, err := second.Dial(within(t), "101", lies)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-inside.Done():
		t.Fatalf("102 cannot call: %+v", inside.Cause())
	case c := <-desk.Incoming():
		check(c, "102")
	}
	if err := inside.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	if _, err := second.Dial(within(t), "9021234567", lies); err != nil {
		t.Fatal(err)
	}
	check(rings(t, r.carrier), "025550100")
}

// TestTollFraud: outside callers reach nobody outside, and people only whom
// the policy lets them call; help can always be called.
func TestTollFraud(t *testing.T) {
	r := newRig(t, setup{})
	for _, number := range []string{
		"01055556666", "901055556666", "+821055556666", "9021234567", "0212345678", "0012125550100", "90601234567", "119", "9119",
	} {
		c, err := r.carrier.Dial(within(t), "sip:"+number+"@"+r.sip, phone.DialOptions{From: "01099998888"})
		if err != nil {
			t.Fatal(err)
		}
		if cause, err := c.WaitEnded(within(t)); err != nil || cause.Code != 404 && cause.Code != 403 {
			t.Errorf("a call from the trunk to %s ends with %d %s (%v), want 404", number, cause.Code, cause.Text, err)
		}
	}
	second := r.desk("102")
	refused := func(number string) {
		t.Helper()
		c, err := second.Dial(within(t), number, phone.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if cause, err := c.WaitEnded(within(t)); err != nil || cause.Code != 403 {
			t.Errorf("a call to %s ends with %d %s (%v), want 403", number, cause.Code, cause.Text, err)
		}
	}
	for _, number := range []string{"0601234567", "90601234567", "0012125550100", "90012125550100", "+12125550100"} {
		refused(number)
	}
	suspended := *r.doc
	suspended.Tenant.Suspend, suspended.Generation = true, "suspended"
	if _, err := r.server.Apply(&suspended); err != nil {
		t.Fatal(err)
	}
	refused("9021234567")
	refused("01055556666")
	if n := len(r.carrier.Calls()); n != 0 {
		t.Fatalf("%d calls reached the telephone company", n)
	}
	for _, number := range []string{"119", "9119"} {
		c, err := second.Dial(within(t), number, phone.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		help := rings(t, r.carrier)
		if help.Dialled() != "119" {
			t.Errorf("%s leads to %s", number, help.Dialled())
		}
		if err := c.Hangup(within(t)); err != nil {
			t.Error(err)
		}
		if _, err := help.WaitEnded(within(t)); err != nil {
			t.Error(err)
		}
	}
	r.conversation() // callers still reach a suspended company
}

// TestNoSecretLeaksToACallee: a phone that challenges the PBX in the name of
// every realm there is gets no digest to try passwords on.
func TestNoSecretLeaksToACallee(t *testing.T) {
	r := newRig(t, setup{document: func(d *conf.Document) {
		d.Extensions[2].NoAnswer = conf.Forward{} // 103's calls end with it
		d.Trunks[0].Username, d.Trunks[0].Password, d.Trunks[0].Realm = "acme-line", "trunk-secret", "carrier.example"
	}})
	thief := r.stranger("udp", attacker)
	if res := thief.login(thief.registration("103"), "103", passwords["103"]); res.Status != 200 {
		t.Fatalf("register: %q", res.Text())
	}
	caller := r.desk("102")
	for n, realm := range []string{"carrier.example", r.doc.Tenant.Domain, "127.0.0.2", "asterisk"} {
		status, header := 401, "WWW-Authenticate"
		if n%2 == 1 {
			status, header = 407, "Proxy-Authenticate"
		}
		c, err := caller.Dial(within(t), "103", phone.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var heard []string
		note := func(m *gate.Message) *gate.Message { heard = append(heard, m.Text()); return m }
		invite := note(thief.until(func(m *gate.Message) bool { return m.Method == "INVITE" }))
		thief.reply(invite, status, "Who are you", gate.Header{
			Name: header, Value: `Digest realm="` + realm + `", nonce="n", algorithm=MD5, qop="auth"`,
		})
		note(thief.until(func(m *gate.Message) bool { note(m); return m.Method == "ACK" }))
		if cause, err := c.WaitEnded(within(t)); err != nil || cause.Code == 401 || cause.Code == 407 {
			t.Fatalf("the caller is told %d %s (%v): %+v; %q", cause.Code, cause.Text, err, c.State(), heard)
		}
		// Whatever came until now is all that comes: the answer to OPTIONS is last.
		thief.send(thief.text(request{method: "OPTIONS"}))
		thief.until(func(m *gate.Message) bool { note(m); return m.CSeqMethod == "OPTIONS" })
		for _, text := range heard {
			if strings.Contains(strings.ToLower(text), "authorization:") || strings.Contains(text, "acme-line") {
				t.Errorf("realm %s: the PBX showed credentials:\n%s", realm, text)
			}
		}
	}
}

// TestForgedRequestsDoNotTouchTheCall: who knows a call's Call-ID, or even all of
// the INVITE, and sits elsewhere can neither end it nor change it.
func TestForgedRequestsDoNotTouchTheCall(t *testing.T) {
	r := newRig(t, setup{})
	c := r.conversation()
	for _, network := range []string{"udp", "tcp"} {
		s := r.stranger(network, attacker)
		for _, method := range []string{"BYE", "INVITE", "UPDATE", "INFO", "REFER", "NOTIFY", "PRACK", "CANCEL"} {
			for _, call := range []*phone.Call{c.caller, c.desk} {
				for _, tags := range [][2]string{{"a", "b"}, {"", "guess"}, {tagOf(call.InviteHeader("From")), "guess"}, {"guess", tagOf(call.InviteHeader("From"))}} {
					q := request{
						method: method, callID: call.CallID(), extra: []string{"Contact: <sip:x@" + s.local() + ">"},
						from: "<sip:x@" + attacker + ">;tag=" + tags[0], to: "<sip:y@" + s.domain + ">;tag=" + tags[1],
					}
					switch res := s.ask(q); res.Status {
					case 400, 401, 403, 481:
					default:
						t.Errorf("%s over %s with tags %q is answered %d", method, network, tags, res.Status)
					}
				}
			}
		}
	}
	s := r.stranger("udp", attacker)
	for n := range 300 { // blind guesses
		s.send(s.text(request{
			method: "BYE", callID: c.caller.CallID(),
			from: "<sip:x@" + attacker + ">;tag=" + strconv.Itoa(n), to: "<sip:y@" + s.domain + ">;tag=" + fmt.Sprintf("%032x", n),
		}))
	}
	c.goesOn(t)
	if err := c.desk.Hold(within(t)); err != nil { // the dialog's own numbers were not spoilt
		t.Error(err)
	}
	if err := c.desk.Resume(within(t)); err != nil {
		t.Error(err)
	}
	c.goesOn(t)
}

func tagOf(header string) string {
	_, tag, _ := strings.Cut(header, ";tag=")
	tag, _, _ = strings.Cut(tag, ";")
	return tag
}

// TestForgedCANCEL: even with everything that the INVITE said, its CANCEL must
// come from where it came from.
func TestForgedCANCEL(t *testing.T) {
	r := newRig(t, setup{})
	desk := r.desk("101")
	carrier, forger := r.stranger("udp", "127.0.0.2"), r.stranger("udp", attacker)
	invite := request{
		method: "INVITE", uri: "sip:025550101@" + r.sip, from: "<sip:01099998888@127.0.0.2>;tag=c", to: "<sip:025550101@" + r.sip + ">",
		callID: "to-be-cancelled", branch: "z9hG4bK-1-1", sentBy: carrier.local(), seq: 1,
		extra: []string{"Contact: <sip:c@" + carrier.local() + ">", "Content-Type: application/sdp"}, body: carrier.offer(),
	}
	carrier.send(carrier.text(invite))
	carrier.until(func(m *gate.Message) bool { return m.Status == 100 || m.Status == 180 })
	ringing := rings(t, desk)
	cancel := invite
	cancel.method, cancel.extra, cancel.body = "CANCEL", nil, ""
	if res := forger.ask(cancel); res.Status != 481 {
		t.Errorf("the forged CANCEL is answered %d, want 481", res.Status)
	}
	if s := ringing.State(); s.Ended {
		t.Fatalf("the forged CANCEL ended the call: %+v", s.Cause)
	}
	carrier.send(carrier.text(cancel))
	got := map[int]bool{}
	carrier.until(func(m *gate.Message) bool { got[m.Status] = true; return got[200] && got[487] })
	if _, err := ringing.WaitEnded(within(t)); err != nil {
		t.Errorf("the true CANCEL: %v", err)
	}
	ack := cancel
	ack.method = "ACK"
	carrier.send(carrier.text(ack))
}

// TestForgedBYE: who overhears all of a call's signalling and sits elsewhere
// can neither end it nor lead its audio away, be it the leg of the trunk or
// that of a phone.
func TestForgedBYE(t *testing.T) {
	r := newRig(t, setup{})
	carrier, desk, forger := r.stranger("udp", "127.0.0.2"), r.stranger("udp", "127.0.0.77"), r.stranger("udp", attacker)
	if res := desk.login(desk.registration("101"), "101", passwords["101"]); res.Status != 200 {
		t.Fatalf("register: %q", res.Text())
	}
	dialled := "<sip:025550101@" + r.sip + ">"
	invite := request{
		method: "INVITE", uri: "sip:025550101@" + r.sip, from: "<sip:01099998888@127.0.0.2>;tag=c", to: dialled, callID: "overheard", seq: 1,
		extra: []string{"Contact: <sip:c@" + carrier.local() + ">", "Content-Type: application/sdp"}, body: carrier.offer(),
	}
	carrier.send(carrier.text(invite))
	atDesk := desk.until(func(m *gate.Message) bool { return m.Method == "INVITE" })
	pbx := netip.MustParseAddrPort(r.sip)
	answer := (&gate.Reply{Status: 200, Reason: "OK", Tag: "d", Headers: []gate.Header{
		{Name: "Contact", Value: "<sip:101@" + desk.local() + ">"}, {Name: "Content-Type", Value: "application/sdp"},
	}, Body: desk.offer()}).Bytes(atDesk, pbx)
	desk.send(string(answer))
	desk.until(func(m *gate.Message) bool { return m.Method == "ACK" })
	answered := carrier.until(func(m *gate.Message) bool { return m.Status == 200 && m.CSeqMethod == "INVITE" })
	ack := request{method: "ACK", uri: invite.uri, from: invite.from, to: answered.Get("to"), callID: "overheard", seq: 1}
	carrier.send(carrier.text(ack))

	ofTrunk := request{from: invite.from, to: answered.Get("to"), callID: "overheard", seq: 10}
	ofPhone := request{from: atDesk.Get("to") + ";tag=d", to: atDesk.Get("from"), callID: atDesk.CallID, seq: 10}
	for name, q := range map[string]request{"the trunk's leg": ofTrunk, "the phone's leg": ofPhone} {
		for _, method := range []string{"BYE", "INVITE", "UPDATE", "INFO"} {
			q.method, q.body = method, forger.offer()
			q.extra = []string{"Contact: <sip:x@" + forger.local() + ">", "Content-Type: application/sdp"}
			if res := forger.ask(q); res.Status != 401 && res.Status != 403 {
				t.Errorf("%s of %s from elsewhere is answered %d", method, name, res.Status)
			}
			q.seq++
		}
	}
	// The dialogs are as they were: their owners can end them.
	ofTrunk.method, ofTrunk.seq = "BYE", 2
	if res := carrier.ask(ofTrunk); res.Status != 200 {
		t.Errorf("the trunk's own BYE is answered %d", res.Status)
	}
	desk.reply(desk.until(func(m *gate.Message) bool { return m.Method == "BYE" }), 200, "OK")
}

// TestNothingWithoutProof: every method that does something asks who it is.
func TestNothingWithoutProof(t *testing.T) {
	r := newRig(t, setup{})
	c := r.conversation()
	for _, network := range []string{"udp", "tcp"} {
		s := r.stranger(network, attacker)
		for _, method := range []string{"REGISTER", "INVITE", "MESSAGE", "SUBSCRIBE", "PUBLISH", "REFER"} {
			q := request{
				method: method, uri: "sip:102@" + s.domain, body: "system rm -rf /",
				extra: []string{"Contact: <sip:x@" + s.local() + ">", "Event: presence", "Refer-To: <sip:01055556666@" + s.domain + ">"},
			}
			if res := s.ask(q); res.Status != 401 {
				t.Errorf("%s over %s from a stranger is answered %d", method, network, res.Status)
			}
			if method == "REGISTER" || method == "INVITE" {
				continue
			}
			if res := s.login(q, "101", passwords["101"]); res.Status != 405 && res.Status != 489 {
				t.Errorf("%s over %s from a phone is answered %d", method, network, res.Status)
			}
		}
	}
	c.goesOn(t)
}

// spray is a socket that says a tone to a port of the PBX and counts what
// comes back.
type spray struct {
	conn *net.UDPConn
	got  atomic.Int64
	stop chan struct{}
	wg   sync.WaitGroup
}

func newSpray(t *testing.T, from string, to netip.AddrPort, hz float64) *spray {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)})
	if err != nil {
		t.Fatal(err)
	}
	s := &spray{conn: conn, stop: make(chan struct{})}
	s.wg.Go(func() {
		buf := make([]byte, 2048)
		for {
			if _, _, err := conn.ReadFromUDPAddrPort(buf); err != nil {
				return
			}
			s.got.Add(1)
		}
	})
	s.wg.Go(func() { s.say(to, tone.Sine(hz, loud)) })
	t.Cleanup(s.end)
	return s
}

func (s *spray) say(to netip.AddrPort, src media.Source) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	frame, packet := make([]int16, 160), make([]byte, 12+160)
	packet[0], packet[1] = 0x80, 8
	binary.BigEndian.PutUint32(packet[8:], 0xBADC0DE)
	for n := uint32(0); ; n++ {
		src.Read(frame)
		binary.BigEndian.PutUint16(packet[2:], uint16(n))
		binary.BigEndian.PutUint32(packet[4:], n*160)
		codec.ALaw.Encode(packet[12:], frame)
		_, _ = s.conn.WriteToUDPAddrPort(packet, to)
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
	}
}

func (s *spray) end() {
	select {
	case <-s.stop:
	default:
		close(s.stop)
		_ = s.conn.Close()
	}
	s.wg.Wait()
}

// TestRTPOfOthersIsNotHeard: a tone sent into a live call from foreign
// addresses, one of them the phone's own host, is not heard by anybody, and
// nothing of the call goes there.
func TestRTPOfOthersIsNotHeard(t *testing.T) {
	r := newRig(t, setup{})
	c := r.conversation()
	var sprays []*spray
	for _, call := range []*phone.Call{c.desk} {
		found := regexp.MustCompile(`m=audio (\d+)`).FindStringSubmatch(call.InviteBody())
		if found == nil {
			t.Fatalf("no port in %q", call.InviteBody())
		}
		rtp := netip.MustParseAddrPort("127.0.0.1:" + found[1])
		for _, port := range []netip.AddrPort{rtp, netip.AddrPortFrom(rtp.Addr(), rtp.Port()+1)} {
			sprays = append(sprays, newSpray(t, attacker, port, 1000), newSpray(t, "127.0.0.1", port, 1000), newSpray(t, "127.0.0.2", port, 1000))
		}
	}
	mark := c.caller.Audio().Mark()
	c.goesOn(t)
	c.goesOn(t)
	c.goesOn(t)
	for _, s := range sprays {
		s.end()
		if n := s.got.Load(); n != 0 {
			t.Errorf("%d packets of the call went to %s", n, s.conn.LocalAddr())
		}
	}
	if n := len(c.caller.Audio().HeardSince(mark).Samples()); n < 3*codec.ClockRate/2 {
		t.Errorf("only %d samples were heard during the attack", n)
	}
	if s := c.caller.Stats(); s.Sources != 1 {
		t.Errorf("the caller saw %d sources", s.Sources)
	}
	// The record says that somebody tried: what came to the RTP socket the kernel
	// has refused, but nobody who sprays leaves the RTCP socket out.
	if err := c.caller.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	var refused uint64
	for _, leg := range r.cdr().Legs {
		refused += leg.Quality.Foreign + leg.Quality.Malformed
	}
	if refused < 50 {
		t.Errorf("%d packets were counted as refused, want nearly all of those to RTCP", refused)
	}
}

// other starts the PBX of another company. It shares what could be confused:
// the numbers, the people, the bot's number, the keys that the documents
// carry. Its secrets are its own.
func other(t *testing.T) *rig {
	t.Helper()
	return newRig(t, setup{
		document: func(d *conf.Document) {
			d.Tenant.Namespace, d.Tenant.Name, d.Tenant.Domain = "beta", "beta", "beta.pbx.example.com"
			for i := range d.Extensions {
				d.Extensions[i].Password = "beta-" + d.Extensions[i].Password
			}
			d.Bot.Credentials.BotSecret = "beta-bot-secret"
			d.Web.APIToken = "beta-token-0123456789abcdef0123456789abcdef"
		},
		works: func(c *sim.Config) { c.Bots[0].Secret = "beta-bot-secret" },
	})
}

func TestPhonesOfAnotherTenantAreStrangers(t *testing.T) {
	a, b := newRig(t, setup{}), other(t)
	desk := a.desk("101")
	for name, tc := range map[string]phone.Config{
		"A's password at B":              {Domain: b.doc.Tenant.Domain, Server: b.sip, Password: passwords["101"]},
		"A's password and domain at B":   {Domain: a.doc.Tenant.Domain, Server: b.sip, Password: passwords["101"]},
		"B's password and domain at A":   {Domain: b.doc.Tenant.Domain, Server: a.sip, Password: "beta-" + passwords["101"]},
		"B's password, A's domain, at A": {Domain: a.doc.Tenant.Domain, Server: a.sip, Password: "beta-" + passwords["101"]},
		"A's password, B's domain, at A": {Domain: b.doc.Tenant.Domain, Server: a.sip, Password: passwords["101"]},
	} {
		tc.User = "101"
		p := newPhone(t, tc)
		if err := p.Register(within(t), time.Hour); err == nil {
			t.Errorf("%s: registered", name)
		}
	}
	// Nobody of A is called by calling B, and the other way round.
	b.callIn("025550101")
	c := a.callIn("025550101")
	if got := rings(t, desk); got.State().PeerNumber == "" {
		t.Errorf("the desk rings without a number")
	}
	if n := len(desk.Calls()); n != 1 {
		t.Errorf("%d calls at A's desk, want that of A alone", n)
	}
	if err := c.Hangup(within(t)); err != nil {
		t.Error(err)
	}
}

// browser keeps cookies by company, as a thief of cookies does, and sends the
// ones that it is told to.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport, Timeout: patience}
}

func fetch(t *testing.T, c *http.Client, method, target, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(within(t), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		q.Header[name] = values
	}
	resp, err := c.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

// signIn goes the whole way over NAVER WORKS and returns the session cookie.
func (r *rig) signIn(email string) (*http.Client, *http.Cookie) {
	r.t.Helper()
	c := browser(r.t)
	c.CheckRedirect = func(q *http.Request, _ []*http.Request) error {
		if v := q.URL.Query(); strings.HasSuffix(q.URL.Path, "/authorize") && v.Get("login_hint") == "" {
			v.Set("login_hint", email)
			q.URL.RawQuery = v.Encode()
		}
		return nil
	}
	resp, _ := fetch(r.t, c, http.MethodGet, r.doc.Web.BaseURL+"/sign-in/start?next=/", "", nil)
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/" {
		r.t.Fatalf("the sign-in ended at %s with %d", resp.Request.URL, resp.StatusCode)
	}
	u, err := url.Parse(r.doc.Web.BaseURL)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, k := range c.Jar.Cookies(u) {
		if strings.Contains(k.Name, "session") {
			return c, k
		}
	}
	r.t.Fatalf("no session cookie among %v", c.Jar.Cookies(u))
	return nil, nil
}

func (r *rig) apiToken() string {
	r.t.Helper()
	if t := r.doc.Web.APIToken.Reveal(); t != "" {
		return t
	}
	b, err := os.ReadFile(r.server.APITokenFile())
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestCredentialsOfAnotherTenantOpenNothing(t *testing.T) {
	a, b := newRig(t, setup{}), other(t)
	bearer := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	for _, path := range []string{"/api/v1/cdrs", "/api/v1/calls", "/api/v1/registrations", "/api/v1/cdrs/x"} {
		if resp, _ := fetch(t, browser(t), http.MethodGet, b.doc.Web.BaseURL+path, "", bearer(a.apiToken())); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("A's token at B's %s is answered %d", path, resp.StatusCode)
		}
	}
	if resp, _ := fetch(t, browser(t), http.MethodGet, b.doc.Web.BaseURL+"/api/v1/cdrs", "", bearer(b.apiToken())); resp.StatusCode != http.StatusOK {
		t.Errorf("B's own token is answered %d", resp.StatusCode)
	}

	_, mine := a.signIn(haneul)
	_, theirs := b.signIn(haneul)
	for _, name := range []string{mine.Name, theirs.Name} {
		stranger := browser(t)
		stranger.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for value, want := range map[string]int{mine.Value: 303, theirs.Value: 200} {
			if name == mine.Name {
				want = 303 // B does not even look at a cookie of that name
			}
			resp, _ := fetch(t, stranger, http.MethodGet, b.doc.Web.BaseURL+"/", "", http.Header{"Cookie": {name + "=" + value}})
			if resp.StatusCode != want {
				t.Errorf("cookie %s of A=%v at B is answered %d, want %d", name, value == mine.Value, resp.StatusCode, want)
			}
		}
	}
}

func TestPressesOfAnotherTenantDoNothing(t *testing.T) {
	a, b := newRig(t, setup{}), other(t)
	desk := a.desk("101")
	bDesk := b.desk("101", func(c *phone.Config) { c.Password = "beta-" + c.Password })
	a.callIn("025550101")
	ringing := rings(t, desk)
	card := a.card(haneul, 0)
	press := func(token string) string {
		return `{"type":"message","source":{"userId":"` + sim.UserID(haneul) + `","domainId":40029600},"issuedTime":"` +
			time.Now().UTC().Format("2006-01-02T15:04:05.000Z") + `","content":{"type":"text","text":"x","postback":"` + token + `"}}`
	}

	// A's token pressed at B, rightly signed by B's bot.
	for _, button := range card.Buttons[:4] {
		if err := b.sim.Callback(within(t), b.doc.Bot.BotID, []byte(press(button.Postback))); err != nil {
			t.Fatal(err)
		}
	}
	// A's own endpoint takes no callback that B's secret signed.
	body := press(card.Buttons[2].Postback)
	for name, signature := range map[string]string{
		"B's secret": works.Sign("beta-bot-secret", []byte(body)), "nothing": "",
		"its own secret, another body": works.Sign(a.doc.Bot.Credentials.BotSecret.Reveal(), []byte(body+" ")),
	} {
		resp, _ := fetch(t, browser(t), http.MethodPost, a.doc.Web.BaseURL+"/works/callback", body, http.Header{
			works.HeaderSignature: {signature}, works.HeaderBotID: {strconv.FormatInt(a.doc.Bot.BotID, 10)},
		})
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a callback signed by %s is answered %d", name, resp.StatusCode)
		}
	}
	// Both bots live on and have done nothing: what they say next is the help
	// that was asked for.
	for _, r := range []*rig{a, b} {
		before := len(r.sim.Messages(haneul))
		if err := r.sim.Say(within(t), haneul, r.doc.Bot.BotID, "?"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the bot's help", func() bool { return len(r.sim.Messages(haneul)) > before })
		if got := r.sim.Messages(haneul); len(got) != before+1 || r == b && before != 0 {
			t.Errorf("the bot of %s said %d things", r.doc.Tenant.Name, len(got))
		}
		if n := len(r.carrier.Calls()); n > 1 {
			t.Errorf("%d calls at the carrier of %s", n, r.doc.Tenant.Name)
		}
	}
	if n := len(bDesk.Calls()); n != 0 {
		t.Errorf("%d calls at B's desk", n)
	}
	if s := ringing.State(); s.Ended || s.Answered {
		t.Errorf("A's call did not ring on: %s", s)
	}
	// The same button pressed where it belongs works.
	a.press(haneul, card, toMobile)
	rings(t, a.carrier)
}

// TestHostileNamesAreHarmless: who calls chooses their name; on the card, in
// the console and on the phone it is text and nothing else.
func TestHostileNamesAreHarmless(t *testing.T) {
	r := newRig(t, setup{document: func(d *conf.Document) { d.Web.Administrators = []string{haneul} }})
	desk := r.desk("101")
	visitor, _ := r.signIn(haneul)
	for n, name := range []string{
		`<m userId=\"all\">@all</m> <script>alert(1)</script>`,
		"\u202Egnp.exe\u2066 \u200B\u0007\u001b[2J http://evil.example/x",
		`\"><img src=x onerror=alert(1)> {{7*7}} %s%n`,
		strings.Repeat("가", 300),
		"\xff\xfe\x00broken",
	} {
		carrier := r.stranger("udp", "127.0.0.2")
		call := request{
			method: "INVITE", uri: "sip:025550101@" + r.sip, from: `"` + name + `" <sip:0109999` + fmt.Sprintf("%04d", n) + `@127.0.0.2>;tag=c`,
			to: "<sip:025550101@" + r.sip + ">", callID: fmt.Sprintf("hostile-%d", n), branch: fmt.Sprintf("z9hG4bK-h%d", n), seq: 1,
			extra: []string{"Contact: <sip:c@" + carrier.local() + ">", "Content-Type: application/sdp"}, body: carrier.offer(),
		}
		carrier.send(carrier.text(call))
		if m := carrier.until(func(m *gate.Message) bool { return m.Status >= 180 || m.Status == 100 }); m.Status >= 300 {
			t.Errorf("name %d: the call is refused: %q", n, m.Text())
			continue
		}
		ringing := rings(t, desk)
		card := r.cardWith(haneul, fmt.Sprintf("외부 전화 010-9999-%04d", n))
		harmless(t, "the card", string(card.Raw), control, markup, []string{"http://evil.example"})
		if n == 0 && !strings.Contains(card.Text.Text, `‹m userId="all"›`) {
			t.Errorf("the quoted name came as %q", card.Text.Text)
		}
		harmless(t, "the phone's display", ringing.State().PeerName, control)
		if from := ringing.InviteHeader("From"); strings.Count(strings.ReplaceAll(from, `\"`, ""), `"`)%2 != 0 {
			t.Errorf("the quotes of From are broken: %q", from)
		}
		for _, path := range []string{card.Buttons[len(card.Buttons)-1].URI, r.doc.Web.BaseURL + "/"} {
			resp, page := fetch(t, visitor, http.MethodGet, path, "", nil)
			if resp.StatusCode != http.StatusOK || !strings.Contains(page, fmt.Sprintf("010-9999-%04d", n)) {
				t.Fatalf("%s is answered %d without the call", path, resp.StatusCode)
			}
			harmless(t, "the console", page, control, markup)
			if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") && !strings.Contains(csp, "default-src 'self'") {
				t.Errorf("the console's policy is %q", csp)
			}
		}
		cancel := call
		cancel.method, cancel.extra, cancel.body = "CANCEL", nil, ""
		carrier.send(carrier.text(cancel))
		carrier.until(func(m *gate.Message) bool { return m.Status == 487 })
		cancel.method = "ACK"
		carrier.send(carrier.text(cancel))
		if _, err := ringing.WaitEnded(within(t)); err != nil {
			t.Fatal(err)
		}
	}
}

// control is what no text from outside may carry anywhere: what moves the
// cursor, hides or turns letters round.
var control = []string{"\u202e", "\u2066", "\u200b", "\u0007", "\u001b", "\\u0007", "\\u001b", "\\u202e"}

// markup is what a card or a page must not take for its own.
var markup = []string{"<m ", "\\u003cm ", "<script>", "<img src=x", "</script><"}

func harmless(t *testing.T, where, text string, lists ...[]string) {
	t.Helper()
	for _, list := range lists {
		for _, bad := range list {
			if i := strings.Index(text, bad); i >= 0 {
				t.Errorf("%s shows %q: ...%.120q", where, bad, text[max(0, i-40):])
			}
		}
	}
}
