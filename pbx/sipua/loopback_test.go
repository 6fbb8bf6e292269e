package sipua

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/media"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// trunkPeer is a carrier on loopback that speaks by hand-written text.
type trunkPeer struct {
	t    *testing.T
	conn *net.UDPConn
	pbx  netip.AddrPort
}

// expect returns the next message that starts with the text; OPTIONS, which
// ask for signs of life, and repetitions of other messages are passed over.
func (p *trunkPeer) expect(start string) string {
	p.t.Helper()
	buf := make([]byte, 65536)
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	for {
		n, err := p.conn.Read(buf)
		if err != nil {
			p.t.Fatalf("%q did not come: %v", start, err)
		}
		text := string(buf[:n])
		if strings.HasPrefix(text, "OPTIONS ") {
			p.answer(text, "200 OK", "")
			continue
		}
		if strings.HasPrefix(text, start) {
			return text
		}
	}
}

func (p *trunkPeer) send(text, body string) {
	p.t.Helper()
	if body != "" {
		text += "Content-Type: application/sdp\r\n"
	}
	text += fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	if _, err := p.conn.WriteToUDPAddrPort([]byte(text), p.pbx); err != nil {
		p.t.Fatal(err)
	}
}

func headerOf(text, name string) string {
	for line := range strings.SplitSeq(text, "\r\n") {
		if k, v, ok := strings.Cut(line, ": "); ok && strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// answer sends a response to a request of ours.
func (p *trunkPeer) answer(req, status, body string) {
	p.t.Helper()
	to := headerOf(req, "To")
	if !strings.Contains(to, "tag=") {
		to += ";tag=carrier"
	}
	p.send("SIP/2.0 "+status+"\r\nVia: "+headerOf(req, "Via")+"\r\nFrom: "+headerOf(req, "From")+"\r\nTo: "+to+
		"\r\nCall-ID: "+headerOf(req, "Call-ID")+"\r\nCSeq: "+headerOf(req, "CSeq")+"\r\nContact: <sip:carrier@"+p.conn.LocalAddr().String()+">\r\n", body)
}

// request sends a request of the carrier; to is the To header's value.
func (p *trunkPeer) request(method, to string, seq int, body string) {
	p.t.Helper()
	p.send(fmt.Sprintf("%s sip:025550101@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bK%s%d\r\nMax-Forwards: 20\r\n"+
		"From: <sip:01012345678@carrier.example>;tag=c\r\nTo: %s\r\nCall-ID: from-carrier\r\nCSeq: %d %s\r\nContact: <sip:carrier@%s>\r\n",
		method, p.pbx, p.conn.LocalAddr(), method, seq, to, seq, method, p.conn.LocalAddr()), body)
}

func (p *trunkPeer) sdp(direction string) string {
	return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 8\r\na=" + direction + "\r\n"
}

// quietPort is a media end without sockets.
type quietPort struct{ media.Port }

func (quietPort) Local() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:40000") }
func (quietPort) Apply(media.Stream)    {}
func (quietPort) Hold()                 {}
func (quietPort) Save() media.PortState { return media.PortState{} }
func (quietPort) Quality() pbx.Quality  { return pbx.Quality{} }
func (quietPort) Close()                {}

type quietMedia struct{}

func (quietMedia) Allocate(netip.Addr, media.Notices) (media.Port, error) { return quietPort{}, nil }

func (quietMedia) Restore(media.PortState, media.Notices) (media.Port, error) {
	return quietPort{}, nil
}

func (quietMedia) Room() media.Room { return nil }

// taleTeller takes every call and writes down what it is told.
type taleTeller struct {
	leg   chan leg.Leg
	tales chan string
}

func (r taleTeller) Receive(_ context.Context, in leg.Incoming) (leg.Listener, *leg.Refusal) {
	r.tales <- fmt.Sprintf("call from %s over %s to %s", in.From.Number, in.From.Trunk, in.Dialled)
	r.leg <- in.Leg
	return r, nil
}
func (r taleTeller) LegRinging(pbx.LegID)           { r.tales <- "ringing" }
func (r taleTeller) LegProgress(pbx.LegID)          { r.tales <- "progress" }
func (r taleTeller) LegAnswered(pbx.LegID)          { r.tales <- "answered" }
func (r taleTeller) LegHeld(_ pbx.LegID, h bool)    { r.tales <- fmt.Sprintf("held %v", h) }
func (r taleTeller) LegDigit(pbx.LegID, rune, bool) { r.tales <- "digit" }
func (r taleTeller) LegSilent(pbx.LegID)            { r.tales <- "silent" }
func (r taleTeller) LegPlayed(pbx.LegID)            { r.tales <- "played" }
func (r taleTeller) LegMoved(pbx.LegID, string)     { r.tales <- "moved" }
func (r taleTeller) LegOver(_ pbx.LegID, c pbx.Cause, _ pbx.Quality) {
	r.tales <- "over " + c.Text
}

func (r taleTeller) told(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-r.tales:
		if got != want {
			t.Fatalf("told %q, want %q", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("not told %q", want)
	}
}

func TestTrunkCallsOnLoopback(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peer := &trunkPeer{t: t, conn: conn}
	r := taleTeller{leg: make(chan leg.Leg, 1), tales: make(chan string, 64)}
	loopback := netip.MustParseAddr("127.0.0.1")
	agent, err := New(Config{
		Advertise: []netip.Addr{loopback}, Bind: []netip.Addr{loopback}, Media: quietMedia{}, Receiver: r,
		Document: &conf.Document{
			Tenant: conf.Tenant{Domain: "acme.example.com"}, Media: conf.Media{Codecs: []string{"PCMA"}},
			Limits: conf.Limits{RegistrationsMaximum: 1, ConcurrentCalls: 1},
			Trunks: []conf.Trunk{{
				Name: "carrier", CallerID: conf.CallerID{Default: "025550100"},
				Hosts: []conf.TrunkHost{{Host: "127.0.0.1", Port: conn.LocalAddr().(*net.UDPAddr).Port, Transport: "UDP"}},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	peer.pbx = agent.SIPAddr("UDP")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx) }()
	peer.answer(peer.firstOptions(), "200 OK", "")

	// Inbound, held and resumed.
	to := "<sip:025550101@acme.example.com>"
	peer.request("INVITE", to, 1, peer.sdp("sendrecv"))
	r.told(t, "call from 01012345678 over carrier to 025550101")
	(<-r.leg).Answer()
	to = headerOf(peer.expect("SIP/2.0 200"), "To")
	peer.request("ACK", to, 1, "")
	r.told(t, "answered")
	peer.request("INVITE", to, 2, peer.sdp("sendonly"))
	if ok := peer.expect("SIP/2.0 200"); !strings.Contains(ok, "a=recvonly") {
		t.Errorf("answer to hold is\n%s", ok)
	}
	r.told(t, "held true")
	peer.request("ACK", to, 2, "")
	peer.request("BYE", to, 3, "")
	peer.expect("SIP/2.0 200")
	r.told(t, "over hung up")

	// Outbound with early media, ended by us.
	l := agent.Dial(leg.Dial{Leg: "out", Target: leg.Target{Trunk: "carrier", Number: "01012345678"}}, r)
	inv := peer.expect("INVITE sip:01012345678@127.0.0.1")
	peer.answer(inv, "183 Progress", peer.sdp("sendrecv"))
	r.told(t, "progress")
	peer.answer(inv, "200 OK", peer.sdp("sendrecv"))
	peer.expect("ACK ")
	r.told(t, "answered")
	l.End(pbx.Cause{Text: "done"})
	r.told(t, "over done")
	peer.answer(peer.expect("BYE "), "200 OK", "")

	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := agent.Legs(); n != 0 {
		t.Errorf("%d legs are left", n)
	}
}

// firstOptions waits until the PBX has asked the trunk for a sign of life: from
// then on it knows the carrier's address.
func (p *trunkPeer) firstOptions() string {
	p.t.Helper()
	buf := make([]byte, 65536)
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	n, err := p.conn.Read(buf)
	if err != nil || !strings.HasPrefix(string(buf[:n]), "OPTIONS ") {
		p.t.Fatalf("no OPTIONS came: %v\n%s", err, buf[:n])
	}
	return string(buf[:n])
}

// slowNames is a name server that answers when it is told to.
type slowNames struct{ now chan struct{} }

func (s slowNames) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, errors.New("no such record")
}

func (s slowNames) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	select {
	case <-s.now:
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestACallThatWaitsAtTheStartIsNotRefused: a carrier calls while the PBX is
// away, and its name is still being looked up when the PBX is back.
func TestACallThatWaitsAtTheStartIsNotRefused(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peer, names := &trunkPeer{t: t, conn: conn}, slowNames{make(chan struct{})}
	r := taleTeller{leg: make(chan leg.Leg, 1), tales: make(chan string, 64)}
	loopback := netip.MustParseAddr("127.0.0.1")
	agent, err := New(Config{
		Advertise: []netip.Addr{loopback}, Bind: []netip.Addr{loopback}, Media: quietMedia{}, Receiver: r, Resolver: names,
		Document: &conf.Document{
			Tenant: conf.Tenant{Domain: "acme.example.com"}, Media: conf.Media{Codecs: []string{"PCMA"}},
			Limits: conf.Limits{RegistrationsMaximum: 1, ConcurrentCalls: 1},
			Trunks: []conf.Trunk{{
				Name:  "carrier",
				Hosts: []conf.TrunkHost{{Host: "carrier.example", Port: conn.LocalAddr().(*net.UDPAddr).Port, Transport: "UDP"}},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	peer.pbx = agent.SIPAddr("UDP")
	to := "<sip:025550101@acme.example.com>"
	peer.request("INVITE", to, 1, peer.sdp("sendrecv"))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx) }()
	peer.request("OPTIONS", to, 2, "")
	if got := peer.expect("SIP/2.0 "); !strings.HasPrefix(got, "SIP/2.0 200") {
		t.Errorf("the first answer is\n%s", got)
	}
	close(names.now)
	peer.answer(peer.firstOptions(), "200 OK", "")
	resolved := time.NewTicker(time.Millisecond)
	defer resolved.Stop()
	for agent.Trunks().Unseen() {
		<-resolved.C
	}
	peer.request("INVITE", to, 1, peer.sdp("sendrecv"))
	r.told(t, "call from 01012345678 over carrier to 025550101")
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
