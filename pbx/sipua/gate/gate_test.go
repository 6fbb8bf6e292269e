package gate

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options is a sane request that the tables vary.
const options = "OPTIONS sip:pbx.example SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx\r\n" +
	"From: <sip:a@b.example>;tag=1\r\n" +
	"To: <sip:pbx.example>\r\n" +
	"Call-ID: c1\r\n" +
	"CSeq: 1 OPTIONS\r\n" +
	"Max-Forwards: 70\r\n" +
	"Content-Length: 0\r\n\r\n"

func testRules() *rules {
	return &rules{
		methods: []string{"INVITE", "OPTIONS"}, extensions: []string{"timer"},
		ours: func(b string) bool { return b == "z9hG4bKours" },
	}
}

func TestCheck(t *testing.T) {
	swap := func(from, to string) string { return strings.Replace(options, from, to, 1) }
	for _, row := range []struct {
		name, text string
		status     int // 0 = sane, -1 = no SIP at all
	}{
		{"sane", options, 0},
		{"compact names", strings.NewReplacer("Via:", "v:", "From:", "f:", "To:", "t:", "Call-ID:", "i:", "Content-Length:", "l:").Replace(options), 0},
		{"folded header", swap("Max-Forwards: 70", "Max-Forwards:\r\n  70"), 0},
		{"odd spacing in Via", swap("SIP/2.0/UDP 192.0.2.1:5070;branch", "SIP / 2.0 / UDP  192.0.2.1 : 5070 ; branch"), 0},
		{"garbage", "hello world", -1},
		{"empty", "", -1},
		{"http", "GET / HTTP/1.1\r\n\r\n", -1},
		{"version", swap("SIP/2.0\r\n", "SIP/7.0\r\n"), 505},
		{"no Via", swap("Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx\r\n", ""), 400},
		{"no Call-ID", swap("Call-ID: c1\r\n", ""), 400},
		{"two From", swap("From:", "From: <sip:x@y.example>\r\nFrom:"), 400},
		{"CSeq of another method", swap("1 OPTIONS", "1 INVITE"), 400},
		{"CSeq too large", swap("1 OPTIONS", "2147483648 OPTIONS"), 400},
		{"length negative", swap("Length: 0", "Length: -1"), 400},
		{"length too large", swap("Length: 0", "Length: 9"), 400},
		{"length overflows", swap("Length: 0", "Length: 99999999999999999999"), 400},
		{"two lengths", swap("Content-Length: 0", "Content-Length: 0\r\nContent-Length: 1"), 400},
		{"no end", strings.TrimSuffix(options, "\r\n"), 400},
		{"angle brackets in URI", swap("sip:pbx.example", "<sip:pbx.example>"), 400},
		{"spaces in first line", swap("OPTIONS sip", "OPTIONS  sip"), 400},
		{"trailing space", swap("SIP/2.0\r\n", "SIP/2.0 \r\n"), 400},
		{"unbalanced quotes", swap("To: <sip:pbx.example>", `To: "Mr <sip:pbx.example>`), 400},
		{"header without colon", swap("Call-ID", "Broken\r\nCall-ID"), 400},
		{"second Via malformed", swap("From:", "Via: nonsense\r\nFrom:"), 400},
		{"forwards not a number", swap("Forwards: 70", "Forwards: x"), 400},
		{"forwards too many", swap("Forwards: 70", "Forwards: 256"), 400},
		{"forwards zero", swap("Forwards: 70", "Forwards: 0"), 483},
		{"unknown method", strings.ReplaceAll(options, "OPTIONS", "DANCE"), 501},
		{"unknown scheme", swap("sip:pbx.example SIP", "soap.beep://x SIP"), 416},
		{"no scheme", swap("sip:pbx.example SIP", "pbx.example SIP"), 400},
		{"tel", swap("sip:pbx.example SIP", "tel:101 SIP"), 0},
		{"our own Via", swap("From:", "Via: SIP/2.0/UDP pbx.example;branch=z9hG4bKours\r\nFrom:"), 482},
		{"required and had", swap("Max-", "Require: timer\r\nMax-"), 0},
		{"required and not had", swap("Max-", "Require: timer, nothing\r\nMax-"), 420},
		{"too many headers", swap("Max-", strings.Repeat("X: y\r\n", maxHeaders)+"Max-"), 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := Scan([]byte(row.text))
			if (m == nil) != (row.status == -1) {
				t.Fatalf("scanned: %v", m)
			}
			if m == nil {
				return
			}
			status := 0
			if r := testRules().check(m); r != nil {
				status = r.status
			}
			if status != row.status {
				t.Errorf("status %d, want %d (fault %q)", status, row.status, m.Fault)
			}
		})
	}
}

func TestParseAddr(t *testing.T) {
	for _, row := range []struct {
		in, display, uri, tag string
		ok                    bool
	}{
		{`<sip:a@b>;tag=1`, "", "sip:a@b", "1", true},
		{`"A \"B\" <c>" <sip:a@b>;tag=1`, `A "B" <c>`, "sip:a@b", "1", true},
		{`Kim <sip:a@b;transport=tcp>`, "Kim", "sip:a@b;transport=tcp", "", true},
		{`sip:a@b;tag=x`, "", "sip:a@b", "x", true},
		{`sip:a@b?x=y`, "", "", "", false},
		{`"open <sip:a@b>`, "", "", "", false},
		{`<sip:a@b`, "", "", "", false},
		{`<sip:a@b> junk`, "", "", "", false},
		{`<>`, "", "", "", false},
		{`<sip:a@b>;=1`, "", "", "", false},
	} {
		a, ok := ParseAddr(row.in)
		if ok != row.ok || (ok && (a.Display != row.display || a.URI != row.uri || a.Tag != row.tag)) {
			t.Errorf("%s: %+v %v", row.in, a, ok)
		}
	}
}

func TestParseURI(t *testing.T) {
	for _, row := range []struct {
		in, user, host string
		port           int
		ok             bool
	}{
		{"sip:101@pbx.example", "101", "pbx.example", 0, true},
		{"sips:101:pw@[2001:db8::1]:5061;x=y", "101", "2001:db8::1", 5061, true},
		{"SIP:pbx.example:5060", "", "pbx.example", 5060, true},
		{"sip:%31%301@h?a=b", "101", "h", 0, true},
		{"sip:user;par=u%40x@h", "user;par=u@x", "h", 0, true},
		{"tel:+82-2-555;phone-context=x", "+82-2-555", "", 0, true},
		{"sip:@h", "", "", 0, false},
		{"sip:h:99999", "", "", 0, false},
		{"sip:[::1", "", "", 0, false},
		{"sip:%zz@h", "", "", 0, false},
		{"mailto:x@y", "", "", 0, false},
		{"", "", "", 0, false},
	} {
		u, ok := ParseURI(row.in)
		if ok != row.ok || (ok && (u.User != row.user || u.Host != row.host || u.Port != row.port)) {
			t.Errorf("%s: %+v %v", row.in, u, ok)
		}
	}
}

func TestReply(t *testing.T) {
	m := Scan([]byte(strings.Replace(options, ";branch", ";rport;branch", 1)))
	source := netip.MustParseAddrPort("198.51.100.7:6000")
	got := string((&Reply{Status: 200, Reason: "OK", Tag: "tt"}).Bytes(m, source))
	want := "SIP/2.0 200 OK\r\n" +
		"Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKx;received=198.51.100.7;rport=6000\r\n" +
		"From: <sip:a@b.example>;tag=1\r\n" +
		"To: <sip:pbx.example>;tag=tt\r\n" +
		"Call-ID: c1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if a := m.Via.ReplyAddr(source); a != source {
		t.Errorf("with rport the answer goes to %s", a)
	}
	if a := Scan([]byte(options)).Via.ReplyAddr(source); a.String() != "198.51.100.7:5070" {
		t.Errorf("without rport the answer goes to %s", a)
	}
}

func TestFramer(t *testing.T) {
	body := strings.Replace(options, "Length: 0\r\n\r\n", "Length: 3\r\n\r\nabc", 1)
	in := "\r\n" + options + body + "\r\n\r\n" + options
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(in), "bytes": iotest.OneByteReader(strings.NewReader(in)),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFramer(r, StreamLimits{}.withDefaults())
			for i, want := range []string{options, body, "", options} {
				got, err := f.next(func() error { return nil })
				if want == "" {
					if !errors.Is(err, errPing) {
						t.Fatalf("message %d: %v, want a ping", i, err)
					}
					continue
				}
				if err != nil || string(got) != want {
					t.Fatalf("message %d: %q %v", i, got, err)
				}
			}
			if _, err := f.next(func() error { return nil }); !errors.Is(err, io.EOF) {
				t.Fatalf("at the end: %v", err)
			}
		})
	}
}

func TestFramerBounds(t *testing.T) {
	limits := StreamLimits{Header: 1000, Body: 100}.withDefaults()
	for name, in := range map[string]string{
		"endless line":    strings.Repeat("a", 10000),
		"endless headers": strings.Repeat("A: b\r\n", 1000),
		"large body":      strings.Replace(options, "Length: 0", "Length: 101", 1),
		"bad length":      strings.Replace(options, "Length: 0", "Length: x", 1),
	} {
		f := newFramer(strings.NewReader(in), limits)
		if got, err := f.next(func() error { return nil }); !errors.Is(err, errFrame) || len(got) > 1000+4096 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestBucketsBoundSourcesAndForgetThem(t *testing.T) {
	b := newBuckets(10, 3, bucketSets)
	now := time.Unix(1000, 0)
	a := netip.MustParseAddr("192.0.2.1")
	for i := range 3 {
		if !b.take(a, now) {
			t.Fatalf("message %d refused", i)
		}
	}
	if b.take(a, now) {
		t.Fatal("the fourth message passed")
	}
	if !b.take(netip.MustParseAddr("192.0.2.2"), now) {
		t.Fatal("another source was refused")
	}
	if now = now.Add(100 * time.Millisecond); !b.take(a, now) || b.take(a, now) {
		t.Fatal("a tenth of a second is worth one message")
	}
	b.give(a, 100, now)
	for range 3 {
		if !b.take(a, now) {
			t.Fatal("given tokens are not there")
		}
	}
	if b.take(a, now) {
		t.Fatal("a source got more than the burst")
	}
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "::1": "::1",
		"2001:db8::1": "2001:db8::", "2001:db8::ffff:1": "2001:db8::", "fe80::1%eth0": "fe80::",
	} {
		if got := Network(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// sink is a handler that counts.
type sink struct {
	requests, responses, strays int
	known                       bool
}

func (s *sink) Known(*Message, *Flow) bool { return s.known }
func (s *sink) Request(*Message, *Flow)    { s.requests++ }
func (s *sink) Response(*Message, *Flow)   { s.responses++ }
func (s *sink) Stray(*Message, *Flow)      { s.strays++ }
func (s *sink) Closed(*Flow)               {}

func testGate(s *sink) *Gate {
	return New(Config{
		Handler: s, Trusted: func(a netip.Addr) bool { return a == netip.MustParseAddr("203.0.113.9") },
		Ours: func(b string) bool { return b == "z9hG4bKours" }, Methods: []string{"OPTIONS"},
		Now: time.Now,
	})
}

// TestFloodOfSources feeds the gate from 200,000 addresses and looks at what
// stays in memory.
func TestFloodOfSources(t *testing.T) {
	s := &sink{}
	g := testGate(s)
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	memory := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := memory()
	for i := range 200_000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 5060)
		g.message([]byte(options), &Flow{Transport: "UDP", Remote: from, udp: conn})
	}
	if s.requests != 200_000 {
		t.Errorf("%d of 200000 quiet sources were heard", s.requests)
	}
	if grown := int64(memory()) - int64(before); grown > 16<<20 {
		t.Errorf("200000 sources left %d bytes", grown)
	}
	runtime.KeepAlive(g)
}

func TestOneSourceIsLimitedAndTrunksAreNot(t *testing.T) {
	s := &sink{}
	g := testGate(s)
	noisy := &Flow{Transport: "UDP", Remote: netip.MustParseAddrPort("192.0.2.1:5060")}
	for range 10_000 {
		g.message([]byte(options), noisy)
	}
	if s.requests < 500 || s.requests > 2000 {
		t.Errorf("%d of 10000 messages passed, want the burst and little more", s.requests)
	}
	if g.Counters.Limited.Load() == 0 {
		t.Error("nothing was counted as limited")
	}
	s.requests = 0
	trunk := &Flow{Transport: "UDP", Remote: netip.MustParseAddrPort("203.0.113.9:5060")}
	for range 10_000 {
		g.message([]byte(options), trunk)
	}
	if s.requests != 10_000 {
		t.Errorf("a trunk was limited to %d", s.requests)
	}
	s.requests, s.known = 0, true
	g.message([]byte(options), noisy)
	if s.requests != 1 {
		t.Error("a request of a live dialog was dropped")
	}
}

func TestResponsesMustBeOurs(t *testing.T) {
	s := &sink{}
	g := testGate(s)
	f := &Flow{Transport: "UDP", Remote: netip.MustParseAddrPort("192.0.2.1:5060")}
	ours := strings.NewReplacer("OPTIONS sip:pbx.example SIP/2.0", "SIP/2.0 200 OK", "z9hG4bKx", "z9hG4bKours").Replace(options)
	g.message([]byte(ours), f)
	if s.responses != 1 {
		t.Fatal("our response did not pass")
	}
	for name, text := range map[string]string{
		"another branch": strings.Replace(ours, "ours", "x", 1),
		"two Vias":       strings.Replace(ours, "From:", "Via: SIP/2.0/UDP h;branch=z9hG4bKy\r\nFrom:", 1),
		"status 999":     strings.Replace(ours, "200", "999", 1),
		"malformed":      strings.Replace(ours, "Call-ID: c1\r\n", "", 1),
	} {
		g.message([]byte(text), f)
		if s.responses != 1 || s.strays != 0 {
			t.Errorf("%s: passed", name)
		}
	}
	// But an earlier process may have sent an INVITE, whose 2xx wants an ACK.
	invite := strings.NewReplacer("ours", "theirs", "CSeq: 1 OPTIONS", "CSeq: 1 INVITE").Replace(ours)
	g.message([]byte(invite), f)
	if s.responses != 1 || s.strays != 1 {
		t.Errorf("%d responses and %d strays, want one of each", s.responses, s.strays)
	}
}

type panics struct{ sink }

func (*panics) Request(*Message, *Flow) { panic("a bug") }

func TestPanicIsHeld(t *testing.T) {
	g := testGate(&sink{})
	g.cfg.Handler = &panics{}
	var log bytes.Buffer
	g.cfg.Log = logTo(&log)
	g.message([]byte(options), &Flow{Transport: "UDP", Remote: netip.MustParseAddrPort("192.0.2.1:5060")})
	if g.Counters.PanicsHeld.Load() != 1 || !strings.Contains(log.String(), "a bug") {
		t.Errorf("held %d, log %q", g.Counters.PanicsHeld.Load(), log.String())
	}
}
