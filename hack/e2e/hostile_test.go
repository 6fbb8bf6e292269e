package e2e

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
)

// processLog writes warnings and errors where the parent reads them.
func processLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// unharmed proves that the process has neither stumbled nor kept anything of
// what was thrown at it.
func (p *process) unharmed(goroutines int) {
	p.t.Helper()
	eventually(p.t, "the goroutines to end", func() bool { return p.goroutines() <= goroutines+4 })
	if strings.Contains(p.log.String(), "panic") {
		p.t.Errorf("a message made the PBX stumble:\n%.4000s", p.log)
	}
}

// tortures are the messages of RFC 4475.
func tortures(t *testing.T) map[string][]byte {
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
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(filepath.Base(path), ".dat")] = data
	}
	return out
}

// refusals are the answers that RFC 4475 asks for to what must be refused.
var refusals = map[string]int{
	"badaspec": 400, "badinv01": 400, "clerr": 400, "escruri": 400, "insuf": 400, "ltgtruri": 400, "lwsruri": 400,
	"lwsstart": 400, "mcl01": 400, "mismatch01": 400, "multi01": 400, "ncl": 400, "quotbal": 400, "regbadct": 400,
	"scalar02": 400, "trws": 400, "badvers": 505, "bext01": 420, "novelsc": 416, "unkscm": 416, "zeromf": 483,
}

// source is the n-th address of the loopback network that is nobody's.
func source(n int) net.IP { return net.IPv4(127, byte(32+n>>16), byte(n>>8), byte(n)) }

// TestTortureDuringACall throws the messages of RFC 4475 at the whole PBX over
// UDP and TCP, whole, cut and with flipped bits, each from an address of its
// own so that no limit saves the parser, while two people talk.
func TestTortureDuringACall(t *testing.T) {
	p := startProcess(t)
	c := p.conversation()
	before := p.goroutines()
	n := 0
	for name, data := range tortures(t) {
		n++
		if want := refusals[name]; want != 0 {
			if got := p.answerTo(data, source(n)); got != want {
				t.Errorf("%s is answered with %d, want %d", name, got, want)
			}
		}
		for i := 1; i < 20; i++ {
			flipped := append([]byte(nil), data...)
			flipped[len(flipped)*i/20] ^= 1 << (i % 8)
			for _, network := range []string{"udp", "tcp"} {
				n++
				p.throw(network, source(n), data, data[:len(data)*i/20], flipped)
			}
		}
	}
	for name, bomb := range bombs() {
		for _, network := range []string{"udp", "tcp"} {
			n++
			p.throw(network, source(n), []byte(bomb))
		}
		s := p.stranger("udp", attacker)
		if res := s.ask(request{method: "OPTIONS"}); res.Status != 200 {
			t.Errorf("after %s OPTIONS is answered %d", name, res.Status)
		}
	}
	c.goesOn(t)
	p.newCalls(c)
	p.unharmed(before + 8) // the new calls' own are ending
	p.end()
}

// answerTo sends a packet whose Via leads elsewhere: rport is added to its
// topmost Via so that the answer comes back here.
func (p *process) answerTo(data []byte, from net.IP) int {
	p.t.Helper()
	data = regexp.MustCompile(`\r\n[ \t]+`).ReplaceAll(data, []byte(" "))
	text := regexp.MustCompile(`(?i)((?:via|v)[ \t]*:[^\r]*?)(;|,|\r)`).ReplaceAllString(string(data), "$1;rport$2")
	s := p.stranger("udp", from.String())
	defer s.conn.Close()
	s.send(text)
	return s.receive().Status
}

// throw sends pieces over one socket and does not wait for anything.
func (p *process) throw(network string, from net.IP, pieces ...[]byte) {
	p.t.Helper()
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: from}}
	if network == "tcp" {
		d.LocalAddr = &net.TCPAddr{IP: from}
	}
	conn, err := d.DialContext(p.t.Context(), network, p.sip)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	for _, piece := range pieces {
		_, _ = conn.Write(piece) // the PBX may have closed the connection
	}
}

// bombs are messages that try to cost more than they are worth.
func bombs() map[string]string {
	head := "INVITE sip:101@acme.pbx.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.66:5060;branch=z9hG4bKbomb;rport\r\n" +
		"From: <sip:1@x.example>;tag=1\r\nTo: <sip:101@acme.pbx.example.com>\r\nCall-ID: bomb\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
	const tail = "Content-Length: 0\r\n\r\n"
	return map[string]string{
		"many headers":           head + strings.Repeat("X: y\r\n", 9000) + tail,
		"many Vias":              head + strings.Repeat("Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n", 1200) + tail,
		"one list of many":       head + "Via: " + strings.Repeat("SIP/2.0/UDP h,", 4000) + "SIP/2.0/UDP h\r\n" + tail,
		"a long header":          head + "Subject: " + strings.Repeat("a", 60000) + "\r\n" + tail,
		"a long folded header":   head + "Subject: " + strings.Repeat("a\r\n ", 15000) + "a\r\n" + tail,
		"many quotes":            head + "Contact: " + strings.Repeat(`"\"`, 15000) + "\r\n" + tail,
		"many routes":            head + strings.Repeat("Route: <sip:h;lr>,<sip:h;lr>\r\n", 1500) + tail,
		"a huge Content-Length":  head + "Content-Length: 99999999999999999999\r\n\r\nx",
		"a wrong Content-Length": head + "Content-Length: 1000000000\r\n\r\nx",
		"many authorizations":    head + strings.Repeat(`Authorization: Digest username="101", realm="acme.pbx.example.com", nonce="n", uri="u", response="0"`+"\r\n", 500) + tail,
		"no end":                 head + strings.Repeat("X-Endless: y\r\n", 3000),
		"nothing but lines":      strings.Repeat("\r\n", 30000),
		"zeros":                  strings.Repeat("\x00", 60000),
	}
}

// colleaguesTalk proves that phones that register now get a call through, and
// that the sound goes through as well.
func (p *process) colleaguesTalk(transport string) {
	p.t.Helper()
	over := func(c *phone.Config) { c.Transport = transport }
	second, third := p.desk("102", over), p.desk("103", over)
	call, err := second.Dial(within(p.t), "103", phone.DialOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	p.talkAndHangUp(call, third)
	for _, phone := range []*phone.Phone{second, third} {
		if err := phone.Unregister(within(p.t)); err != nil {
			p.t.Error(err)
		}
		phone.Close()
	}
}

// newCalls proves that new calls of all kinds get through.
func (p *process) newCalls(c *conversation) {
	p.t.Helper()
	p.colleaguesTalk("UDP")
	p.talkAndHangUp(p.callIn("025550101"), c.phone)
}

func (p *process) talkAndHangUp(call *phone.Call, at *phone.Phone) {
	p.t.Helper()
	call.Play(tone.Sine(880, loud))
	ringing := rings(p.t, at)
	answer(p.t, ringing)
	ringing.Play(tone.Sine(1320, loud))
	hears(p.t, call, "the new caller", 1320)
	hears(p.t, ringing, "the new callee", 880)
	if err := call.Hangup(within(p.t)); err != nil {
		p.t.Error(err)
	}
	if _, err := ringing.WaitEnded(within(p.t)); err != nil {
		p.t.Error(err)
	}
}

// flooder sends datagrams from any address of the loopback network through one
// socket (IP_PKTINFO), as fast as it can.
type flooder struct {
	conn      *net.UDPConn
	to        netip.AddrPort
	sent      int
	oob, buf  []byte
	gently    atomic.Bool   // no more than the PBX takes
	everybody chan struct{} // closed when every address has sent
	stop      chan struct{}
	wg        sync.WaitGroup
}

func newFlooder(t *testing.T, to netip.AddrPort) *flooder {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadBuffer(1); err != nil { // the answers are not read
		t.Fatal(err)
	}
	oob := make([]byte, syscall.CmsgSpace(syscall.SizeofInet4Pktinfo))
	h := (*syscall.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = syscall.IPPROTO_IP, syscall.IP_PKTINFO
	h.SetLen(syscall.CmsgLen(syscall.SizeofInet4Pktinfo))
	f := &flooder{conn: conn, to: to, oob: oob, everybody: make(chan struct{}), stop: make(chan struct{})}
	t.Cleanup(f.end)
	return f
}

// start floods until end: once from every address, then from a few.
func (f *flooder) start() {
	f.wg.Go(func() {
		for n := 0; ; n++ {
			if n < floodSources {
				f.send(source(n), n)
			} else {
				f.send(source(n%64), n%3) // REGISTER, INVITE, REGISTER with a guess
			}
			if n == floodSources {
				close(f.everybody)
			}
			if n%16 == 0 && !f.goOn() {
				return
			}
		}
	})
}

// goOn waits for room at the PBX if the flood is to be gentle; false at the end.
func (f *flooder) goOn() bool {
	const half = 100 << 10 // of the kernel's usual receive buffer
	for f.gently.Load() && queued(f.to) > half {
		select {
		case <-f.stop:
			return false
		default:
			runtime.Gosched()
		}
	}
	select {
	case <-f.stop:
		return false
	default:
		return true
	}
}

// queued returns how many bytes wait in the receive queue of a UDP socket.
func queued(of netip.AddrPort) int64 {
	table, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		return 0
	}
	a := of.Addr().As4()
	local := fmt.Sprintf("%02X%02X%02X%02X:%04X", a[3], a[2], a[1], a[0], of.Port())
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) < 5 || f[1] != local {
			continue
		}
		_, rx, _ := strings.Cut(f[4], ":")
		n, err := strconv.ParseInt(rx, 16, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return 0
}

// end stops the flood.
func (f *flooder) end() {
	select {
	case <-f.stop:
	default:
		close(f.stop)
	}
	f.wg.Wait()
	_ = f.conn.Close()
}

// send sends one request of a stranger with that address. A full queue drops
// it, as networks do.
func (f *flooder) send(from net.IP, kind int) {
	info := (*syscall.Inet4Pktinfo)(unsafe.Pointer(&f.oob[syscall.CmsgLen(0)]))
	copy(info.Spec_dst[:], from.To4())
	f.sent++
	f.buf = request4flood(f.buf[:0], from, f.sent, kind)
	if _, _, err := f.conn.WriteMsgUDPAddrPort(f.buf, f.oob, f.to); err != nil {
		f.sent--
	}
}

// request4flood writes what a stranger sends who has no password: one of eight
// kinds.
func request4flood(b []byte, from net.IP, n, kind int) []byte {
	method, credentials := "REGISTER", ""
	switch kind % 8 {
	case 1, 4:
		method = "INVITE"
	case 2:
		credentials = "Authorization: Digest username=\"101\", realm=\"acme.pbx.example.com\", nonce=\"" + strconv.Itoa(n) +
			"\", uri=\"sip:acme.pbx.example.com\", response=\"00112233445566778899aabbccddeeff\"\r\n"
	case 3:
		method = "OPTIONS"
	case 5:
		method = "SUBSCRIBE"
	case 6:
		method = "BYE"
	case 7:
		return fmt.Appendf(b, "GARBAGE %d from %s\r\n\r\n", n, from)
	}
	return fmt.Appendf(b, "%s sip:102@acme.pbx.example.com SIP/2.0\r\nVia: SIP/2.0/UDP %s:5060;branch=z9hG4bKf%d;rport\r\n"+
		"From: <sip:%d@acme.pbx.example.com>;tag=f%d\r\nTo: <sip:102@acme.pbx.example.com>\r\nCall-ID: flood-%d\r\n"+
		"CSeq: 1 %s\r\nMax-Forwards: 70\r\nContact: <sip:x@%s:5060>\r\n%sContent-Length: 0\r\n\r\n",
		method, from, n, 100+n%900, n, n, method, from, credentials)
}

// floodSources is how many addresses the flood comes from, at least.
const floodSources = 200_000

// memoryBound is what a flood may cost.
const memoryBound = 200 << 20

// floodTime is how long the flood lasts.
const floodTime = time.Minute

// TestFloodDuringACall floods the PBX, a process of its own, from 200,000
// addresses and then with unauthenticated REGISTERs and INVITEs from a few, as
// fast as the machine can, with hundreds of TCP connections that never finish
// a message beside. Memory stays bounded, the call goes on without a packet
// lost, and phones that register meanwhile, and the trunk, get calls through.
func TestFloodDuringACall(t *testing.T) {
	p := startProcess(t)
	c := p.conversation()
	goroutines, heap := p.goroutines(), p.heap()
	rss, _ := p.rss()

	f := newFlooder(t, netip.MustParseAddrPort(p.sip))
	f.start()
	hanging := p.hangingConnections(400)
	<-f.everybody
	timer := time.NewTimer(floodTime)
	defer timer.Stop()
	var heapMost int64
	rounds := 0
	for again := true; again && !t.Failed(); rounds++ {
		// More comes than the kernel's queue takes, so datagrams of phones are
		// lost with those of the flood; connections are not touched by that.
		p.colleaguesTalk("TCP")
		c.goesOn(t)
		heapMost = max(heapMost, p.heap())
		select {
		case <-timer.C:
			again = false
		default:
		}
	}
	// As much as the PBX can take, and no more: all of its time goes into the
	// flood, and phones and trunk get through all the same.
	f.gently.Store(true)
	p.newCalls(c)
	heapMost = max(heapMost, p.heap())
	f.end()
	for _, conn := range hanging {
		conn.Close()
	}
	c.goesOn(t)
	_, most := p.rss()
	taken := metric(t, p.admin, "dipcast_sip_messages_total")
	t.Logf("%d datagrams sent and %.0f taken, %d rounds of calls; heap %d -> at most %d MiB, resident %d -> at most %d MiB", f.sent, taken,
		rounds, heap>>20, heapMost>>20, rss>>20, most>>20)
	if taken < floodSources/10 {
		t.Errorf("only %.0f messages came through to the PBX: that was no flood", taken)
	}
	if heapMost-heap > memoryBound {
		t.Errorf("the heap grew by %d MiB", (heapMost-heap)>>20)
	}
	if most-rss > memoryBound {
		t.Errorf("the process grew by %d MiB", (most-rss)>>20)
	}
	for who, call := range map[string]*phone.Call{"the caller": c.caller, "the desk": c.desk} {
		if s := call.Stats(); s.Lost > 0 {
			t.Errorf("%s misses %d packets of %d", who, s.Lost, s.Received)
		}
	}
	p.unharmed(goroutines + 8)
	p.end()
}

// hangingConnections opens TCP connections that begin a message and go silent.
func (p *process) hangingConnections(n int) []net.Conn {
	p.t.Helper()
	conns := make([]net.Conn, 0, n)
	for i := range n {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: source(1000 + i%50)}}
		conn, err := d.DialContext(p.t.Context(), "tcp", p.sip)
		if err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { conn.Close() })
		_, _ = conn.Write([]byte("INVITE sip:101@acme.pbx.example.com SIP/2.0\r\nContent-Length: 60000\r\nX: ")) // may be refused
		conns = append(conns, conn)
	}
	return conns
}
