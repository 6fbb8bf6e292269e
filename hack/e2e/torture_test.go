package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/phone"
	"github.com/dipcast/dipcast/pbx/sipua/digest"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// tortureEnv is how long the torture lasts; without it tortureTime.
const tortureEnv = "TORTURE"

const tortureTime = 20 * time.Second

// What goes on while everybody attacks, and how much of it may be lost.
const (
	goodCalls = 50
	goodLoss  = 0.001
)

// What the attackers send, per second.
const (
	floodRate   = 3000 // requests of strangers, half of them from as many addresses as there are
	floodFew    = 32   // addresses of the other half
	guessRate   = 30   // logins with a wrong password, each answering a challenge
	sprayRate   = 3000 // RTP and RTCP of strangers to the ports of the good calls
	connectRate = 20   // connections that say nothing, or little, slowly
	halfRate    = 20   // TLS handshakes that are never finished
	slowRate    = 4    // WebSockets whose message never ends
	trickleRate = 2    // bytes that each of the slow ones sends
)

// TestTorture keeps 50 recorded calls up, each with its own tones, while
// strangers flood the PBX, a process of its own, on all of its ports. The
// calls lose less than one packet in a thousand, everybody hears the right
// one, memory stays bounded, and new calls still get through.
func TestTorture(t *testing.T) {
	last := tortureTime
	if text := os.Getenv(tortureEnv); text != "" {
		var err error
		if last, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s=%q: %v: say how long, such as 10m", tortureEnv, text, err)
		}
	}
	ca, ports := pbxtest.NewAuthority(t), pbxtest.FreePorts(t, 2)
	p := startProcess(t, func(d *conf.Document) {
		d.Limits.ConcurrentCalls = 2 * goodCalls
		d.Recording.Mode = "All"
		d.Trunks[0].MaxCalls = 0
		d.Extensions[0].NoAnswer = conf.Forward{}
		d.Bot = nil // the cards are the subject of other tests
		cert, key, _ := ca.Issue(t, d.Tenant.Domain)
		d.SIPTLS = &conf.SIPTLS{Certificate: cert, PrivateKey: conf.Secret(key)}
		d.Network.Ports.SIPS, d.Network.Ports.WSS = ports[0], ports[1]
	})
	calls := p.goodCalls(goodCalls)
	before, _ := p.rss()
	goroutines := p.goroutines()
	marks := lostOf(calls)

	a := p.attack(calls, ca.Pool)
	timer := time.NewTimer(last)
	defer timer.Stop()
	rounds := 0
	for again := true; again && !t.Failed(); rounds++ {
		calls[rounds%len(calls)].goesOn(t)
		select {
		case <-timer.C:
			again = false
		default:
		}
	}
	a.end()
	for _, c := range calls {
		c.goesOn(t)
	}
	received, lost := 0.0, 0.0
	for i, now := range lostOf(calls) {
		received += float64(now.received - marks[i].received)
		lost += float64(now.lost) - float64(marks[i].lost)
	}
	_, most := p.rss()
	m := func(name string) float64 { return metric(t, p.admin, name) }
	t.Logf("%s: %s sent; %.0f SIP messages taken, %.0f limited, %.0f banned, %.0f garbage, %.0f connections turned away, %.0f handshakes failed",
		last, a, m("dipcast_sip_messages_total"), m("dipcast_sip_limited_total"), m("dipcast_sip_banned_total"), m("dipcast_sip_garbage_total"),
		m("dipcast_sip_connections_turned_total"), m("dipcast_sip_handshakes_failed_total"))
	t.Logf("%d recorded calls: %.0f packets, %.0f lost (%.4f %%), %d looks at what is heard; resident %d -> at most %d MiB",
		goodCalls, received, lost, 100*lost/received, rounds+goodCalls, before>>20, most>>20)
	if lost > goodLoss*received {
		t.Errorf("%.0f of %.0f packets were lost", lost, received)
	}
	if most-before > memoryBound {
		t.Errorf("the process grew by %d MiB", (most-before)>>20)
	}
	p.colleaguesTalk("TCP")
	p.desk("103", func(c *phone.Config) { // the room for handshakes is not taken
		c.Transport, c.Roots, c.Server = "TLS", ca.Pool, fmt.Sprintf("127.0.0.1:%d", ports[0])
	})
	p.unharmed(goroutines + 8)
	for _, c := range calls {
		if err := c.caller.Hangup(within(t)); err != nil {
			t.Error(err)
		}
	}
	p.end()
	onDisk(t, filepath.Join(p.dir, "recordings"), int64(last/time.Second))
}

// onDisk proves that every call was recorded for so many seconds at least:
// two sides of 8,000 octets each.
func onDisk(t *testing.T, dir string, seconds int64) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".wav" {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() >= seconds*2*8000 {
			files++
		}
		return err
	})
	if err != nil || files < goodCalls {
		t.Errorf("%d recordings have %d s or more (%v), want %d", files, seconds, err, goodCalls)
	}
}

// counted is how a call's audio stood.
type counted struct{ received, lost uint64 }

func lostOf(calls []*talk) (list []counted) {
	for _, c := range calls {
		for _, side := range []*phone.Call{c.caller, c.desk} {
			s := side.Stats()
			list = append(list, counted{s.Received, s.Lost})
		}
	}
	return list
}

// talk is one call between an outside caller and 101, with tones of its own.
type talk struct {
	caller, desk *phone.Call
	says, hears  float64 // of the caller, in Hz
}

func (c *talk) goesOn(t *testing.T) {
	t.Helper()
	hears(t, c.caller, "a caller", c.hears)
	hears(t, c.desk, "the desk", c.says)
}

// goodCalls connects that many outside callers with 101. Neighbours have
// other tones: what leaks from one into another would be heard.
func (p *process) goodCalls(n int) (list []*talk) {
	p.t.Helper()
	at := p.desk("101")
	for i := range n {
		c := &talk{says: 400 + 90*float64(i%7), hears: 1200 + 110*float64(i%7)}
		c.caller = p.callIn("025550101")
		c.caller.Play(tone.Sine(c.says, loud))
		c.desk = rings(p.t, at)
		answer(p.t, c.desk)
		c.desk.Play(tone.Sine(c.hears, loud))
		list = append(list, c)
	}
	for _, c := range list {
		c.goesOn(p.t)
	}
	return list
}

// attack is everything that strangers do at once, at bounded rates.
type attack struct {
	p     *process
	flood *flooder
	trust *x509.CertPool // of the PBX's certificate
	rtp   []netip.AddrPort
	stop  chan struct{}
	wg    sync.WaitGroup

	mu                      sync.Mutex
	requests, guesses, rtps int
	conns                   []net.Conn
	opened, halves, slow    int
}

// attack begins against the ports of the process and of its calls.
func (p *process) attack(calls []*talk, trust *x509.CertPool) *attack {
	p.t.Helper()
	a := &attack{p: p, trust: trust, flood: newFlooder(p.t, netip.MustParseAddrPort(p.sip)), stop: make(chan struct{})}
	for _, c := range calls {
		found := regexp.MustCompile(`m=audio (\d+)`).FindStringSubmatch(c.desk.InviteBody())
		if found == nil {
			p.t.Fatalf("no port in %q", c.desk.InviteBody())
		}
		rtp := netip.MustParseAddrPort("127.0.0.1:" + found[1])
		a.rtp = append(a.rtp, rtp, netip.AddrPortFrom(rtp.Addr(), rtp.Port()+1))
	}
	spray := p.udp(attacker)
	guess := p.udp("127.0.0.67")
	a.at(floodRate, func(n int) {
		from := source(n % floodSources)
		if n%2 == 1 { // half of it from so few that each is over its measure
			from = source(n % floodFew)
		}
		a.flood.send(from, n/2)
		a.count(&a.requests)
	})
	a.at(sprayRate, func(n int) { a.spray(spray, n) })
	a.at(guessRate, func(n int) { a.guess(guess, n) })
	a.at(connectRate, a.connect)
	a.at(halfRate, a.halfOpen)
	a.at(slowRate, a.slowWebSocket)
	a.at(trickleRate, func(int) { a.trickle() })
	p.t.Cleanup(a.end)
	return a
}

// at runs f so often a second, in steps of a hundredth, until the end.
func (a *attack) at(rate int, f func(n int)) {
	const steps = 100
	a.wg.Go(func() {
		tick := time.NewTicker(time.Second / steps)
		defer tick.Stop()
		for n, owed := 0, 0; ; {
			select {
			case <-a.stop:
				return
			case <-tick.C:
			}
			for owed += rate; owed >= steps; owed -= steps {
				f(n)
				n++
			}
		}
	})
}

func (a *attack) count(n *int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*n++
}

// udp opens a socket at an address of the loopback network.
func (p *process) udp(from string) *net.UDPConn {
	p.t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// spray sends what looks like the audio of a call to one port after another.
func (a *attack) spray(conn *net.UDPConn, n int) {
	packet := make([]byte, 12+160)
	packet[0], packet[1], packet[2], packet[3], packet[8] = 0x80, 8, byte(n>>8), byte(n), byte(n>>3)
	_, _ = conn.WriteToUDPAddrPort(packet, a.rtp[n%len(a.rtp)]) // a full queue drops it
	a.count(&a.rtps)
}

// guess asks for a challenge, or answers the last one wrongly.
func (a *attack) guess(conn *net.UDPConn, n int) {
	to := netip.MustParseAddrPort(a.p.sip)
	if n%2 == 0 {
		_, _ = conn.WriteToUDPAddrPort(request4flood(nil, net.IPv4(127, 0, 0, 67), n, 0), to)
		return
	}
	buf := make([]byte, 4096)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	size, _, err := conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		return // banned by now, or late
	}
	m := gate.Scan(buf[:size])
	if m == nil {
		return
	}
	for _, v := range m.Values("www-authenticate") {
		if c, ok := digest.ParseChallenge(v); ok {
			proof := "Authorization: " + digest.Answer(c, "101", "guess", "REGISTER", "sip:102@acme.pbx.example.com", "c", 1) + "\r\n"
			text := string(request4flood(nil, net.IPv4(127, 0, 0, 67), n, 0))
			_, _ = conn.WriteToUDPAddrPort([]byte(text[:len(text)-len("Content-Length: 0\r\n\r\n")]+proof+"Content-Length: 0\r\n\r\n"), to)
			a.count(&a.guesses)
			return
		}
	}
}

// connect opens one more connection, to SIP or HTTP, which says nothing or
// only begins to speak.
func (a *attack) connect(n int) {
	to := a.p.sip
	begins := "INVITE sip:101@acme.pbx.example.com SIP/2.0\r\nX: "
	if n%2 == 1 {
		to, begins = a.p.http, "GET / HTTP/1.1\r\nHost: h\r\nX: "
	}
	conn := a.dial(n, to)
	if conn == nil {
		return
	}
	if n%4 < 2 {
		_, _ = io.WriteString(conn, begins) // may be closed already
	}
	a.hold(conn, &a.opened)
}

// dial connects from one of a hundred addresses; nil: the PBX has enough of us.
func (a *attack) dial(n int, to string) net.Conn {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: source(2000 + n%100)}, Timeout: time.Second}
	conn, err := d.DialContext(a.p.t.Context(), "tcp", to)
	if err != nil {
		return nil
	}
	return conn
}

// halfOpen begins a TLS handshake that is never finished: nothing is said, or a
// record of which one byte comes at a time.
func (a *attack) halfOpen(n int) {
	port := a.p.doc.Network.Ports.SIPS
	if n%2 == 1 {
		port = a.p.doc.Network.Ports.WSS
	}
	conn := a.dial(n, fmt.Sprintf("127.0.0.1:%d", port))
	if conn == nil {
		return
	}
	if n%4 < 2 {
		_, _ = io.WriteString(conn, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") // may be closed already
	}
	a.hold(conn, &a.halves)
}

// slowWebSocket makes both handshakes and begins a message of which one byte
// comes at a time.
func (a *attack) slowWebSocket(n int) {
	host := fmt.Sprintf("127.0.0.1:%d", a.p.doc.Network.Ports.WSS)
	raw := a.dial(n, host)
	if raw == nil {
		return
	}
	conn := tls.Client(raw, &tls.Config{RootCAs: a.trust, ServerName: a.p.doc.Tenant.Domain})
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	d := ws.Dialer{Protocols: []string{"sip"}}
	if _, _, err := d.Upgrade(conn, &url.URL{Scheme: "wss", Host: host, Path: "/"}); err != nil {
		_ = raw.Close() // its measure is full
		return
	}
	_ = conn.SetDeadline(time.Time{})
	_ = ws.WriteHeader(conn, ws.Header{Fin: true, OpCode: ws.OpText, Masked: true, Length: 60000}) // may be closed already
	a.hold(conn, &a.slow)
}

// hold keeps a connection, on which a byte trickles from then on.
func (a *attack) hold(conn net.Conn, count *int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*count++
	a.conns = append(a.conns, conn)
	if len(a.conns) > 1500 { // this machine has only so many
		_ = a.conns[0].Close()
		a.conns = a.conns[1:]
	}
}

// trickle sends one more byte on each connection.
func (a *attack) trickle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, conn := range a.conns {
		_, _ = conn.Write([]byte("y")) // may be closed already
	}
}

// end stops all of it.
func (a *attack) end() {
	select {
	case <-a.stop:
		return
	default:
	}
	close(a.stop)
	a.wg.Wait()
	for _, conn := range a.conns {
		_ = conn.Close()
	}
}

func (a *attack) String() string {
	return fmt.Sprintf("%d requests, %d wrong logins, %d RTP packets, %d connections, %d halves of TLS handshakes, %d slow WebSockets",
		a.requests, a.guesses, a.rtps, a.opened, a.halves, a.slow)
}
