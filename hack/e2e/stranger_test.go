package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
	"github.com/dipcast/dipcast/pbx/sipua/digest"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// stranger speaks raw SIP to the PBX from one address of the loopback network,
// so that a test can say what no phone says.
type stranger struct {
	t      *testing.T
	conn   net.Conn
	tcp    *bufio.Reader // nil over UDP
	domain string
	seq    int
}

// stranger opens a socket from that address.
func (r *rig) stranger(network, from string) *stranger {
	r.t.Helper()
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
	if network == "tcp" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := d.DialContext(r.t.Context(), network, r.sip)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	s := &stranger{t: r.t, conn: conn, domain: r.doc.Tenant.Domain}
	if network == "tcp" {
		s.tcp = bufio.NewReader(conn)
	}
	return s
}

func (s *stranger) local() string { return s.conn.LocalAddr().String() }

// request is what a stranger says; empty fields get sensible values.
type request struct {
	method, uri     string
	from, to        string // whole header values, with their tags
	callID, branch  string
	sentBy          string // host:port in the Via
	seq             int
	extra           []string // further header lines
	body            string
	withoutMaxHops  bool
	contentLengthIs string // in place of the true one
}

func (s *stranger) text(q request) string {
	s.seq++
	set := func(v *string, otherwise string) {
		if *v == "" {
			*v = otherwise
		}
	}
	_, port, _ := net.SplitHostPort(s.local())
	set(&q.uri, "sip:"+s.domain)
	set(&q.from, "<sip:101@"+s.domain+">;tag=from"+port)
	set(&q.to, "<sip:101@"+s.domain+">")
	set(&q.callID, fmt.Sprintf("call-%s-%d", port, s.seq))
	set(&q.branch, fmt.Sprintf("z9hG4bK-%s-%d", port, s.seq))
	set(&q.sentBy, s.local())
	set(&q.contentLengthIs, strconv.Itoa(len(q.body)))
	if q.seq == 0 {
		q.seq = s.seq
	}
	transport := "UDP"
	if s.tcp != nil {
		transport = "TCP"
	}
	lines := []string{
		q.method + " " + q.uri + " SIP/2.0",
		"Via: SIP/2.0/" + transport + " " + q.sentBy + ";branch=" + q.branch + ";rport",
		"From: " + q.from,
		"To: " + q.to,
		"Call-ID: " + q.callID,
		"CSeq: " + strconv.Itoa(q.seq) + " " + q.method,
	}
	if !q.withoutMaxHops {
		lines = append(lines, "Max-Forwards: 70")
	}
	lines = append(lines, q.extra...)
	return strings.Join(append(lines, "Content-Length: "+q.contentLengthIs, "", q.body), "\r\n")
}

func (s *stranger) send(text string) {
	s.t.Helper()
	if _, err := s.conn.Write([]byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// receive returns the next message, whatever it is.
func (s *stranger) receive() *gate.Message {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	var text []byte
	if s.tcp == nil {
		buf := make([]byte, 65536)
		n, err := s.conn.Read(buf)
		if err != nil {
			s.t.Fatalf("%s got no message: %v", s.local(), err)
		}
		text = buf[:n]
	}
	for s.tcp != nil && !strings.HasSuffix(string(text), "\r\n\r\n") { // what we ask for has no body
		line, err := s.tcp.ReadString('\n')
		if err != nil {
			s.t.Fatalf("%s got no message: %v", s.local(), err)
		}
		text = append(text, line...)
	}
	m := gate.Scan(text)
	if m == nil {
		s.t.Fatalf("%s got what is no SIP: %q", s.local(), text)
	}
	return m
}

// until returns the next message that is wanted and passes over the others.
func (s *stranger) until(want func(*gate.Message) bool) *gate.Message {
	s.t.Helper()
	for {
		if m := s.receive(); want(m) {
			return m
		}
	}
}

// ask sends a request and returns its final answer.
func (s *stranger) ask(q request) *gate.Message {
	s.t.Helper()
	s.send(s.text(q))
	return s.until(func(m *gate.Message) bool { return m.Status >= 200 && m.CSeqMethod == q.method })
}

// proof answers the challenge in res.
func (s *stranger) proof(res *gate.Message, user, secret, method, uri string) string {
	s.t.Helper()
	for _, v := range res.Values("www-authenticate") {
		if c, ok := digest.ParseChallenge(v); ok && c.Algorithm == "MD5" {
			return "Authorization: " + digest.Answer(c, user, secret, method, uri, "cnonce", 1)
		}
	}
	s.t.Fatalf("no challenge in %q", res.Text())
	return ""
}

// login asks, answers the challenge and asks again.
func (s *stranger) login(q request, user, secret string) *gate.Message {
	s.t.Helper()
	if q.uri == "" {
		q.uri = "sip:" + s.domain
	}
	res := s.ask(q)
	if res.Status != 401 {
		return res
	}
	q.extra = append(q.extra[:len(q.extra):len(q.extra)], s.proof(res, user, secret, q.method, q.uri))
	return s.ask(q)
}

// registration is a REGISTER of the stranger as a phone of that user.
func (s *stranger) registration(user string) request {
	aor := "<sip:" + user + "@" + s.domain + ">"
	return request{method: "REGISTER", from: aor + ";tag=r", to: aor, extra: []string{"Contact: <sip:" + user + "@" + s.local() + ">"}}
}

// answers a request of the PBX.
func (s *stranger) reply(to *gate.Message, status int, reason string, headers ...gate.Header) {
	s.t.Helper()
	pbx := netip.MustParseAddrPort(s.conn.RemoteAddr().String())
	s.send(string((&gate.Reply{Status: status, Reason: reason, Headers: headers, Tag: "stranger"}).Bytes(to, pbx)))
}

// offer is a session description that a stranger sends.
func (s *stranger) offer() string {
	host, _, _ := net.SplitHostPort(s.local())
	return strings.Join([]string{
		"v=0", "o=- 1 1 IN IP4 " + host, "s=-", "c=IN IP4 " + host, "t=0 0", "m=audio 40000 RTP/AVP 8", "",
	}, "\r\n")
}

// plain takes out of an answer what must differ between two equal ones.
func plain(m *gate.Message) string {
	s := regexp.MustCompile(`nonce="[^"]*"`).ReplaceAllString(m.Text(), `nonce=""`)
	s = regexp.MustCompile(`(tag=|branch=|Call-ID: |CSeq: |rport=)[^;\s]+`).ReplaceAllString(s, "$1")
	return regexp.MustCompile(`sip:\w+@`).ReplaceAllString(s, "sip:user@")
}

// conversation is a call from the outside that goes on while others attack.
type conversation struct {
	phone        *phone.Phone // of extension 101
	caller, desk *phone.Call
}

// conversation connects an outside caller (440 Hz) with 101 (660 Hz).
func (r *rig) conversation() *conversation {
	r.t.Helper()
	c := &conversation{phone: r.desk("101")}
	c.caller = r.callIn("025550101")
	c.caller.Play(tone.Sine(440, loud))
	c.desk = rings(r.t, c.phone)
	if err := c.caller.WaitRinging(within(r.t)); err != nil {
		r.t.Fatal(err)
	}
	answer(r.t, c.desk)
	c.desk.Play(tone.Sine(660, loud))
	c.goesOn(r.t)
	return c
}

// goesOn proves that both still hear each other.
func (c *conversation) goesOn(t *testing.T) {
	t.Helper()
	hears(t, c.caller, "the caller", 660)
	hears(t, c.desk, "the desk", 440)
}

// eventually polls what another program changes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, tick := within(t), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
