package rtpio

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
)

// planeRole is the environment variable that makes the test binary the process
// that is measured.
const planeRole = "DIPCAST_PLANE_ROLE"

// The roles of that process.
const (
	roleBare       = "bare"       // reads from one socket, writes to the next
	roleRelay      = "relay"      // ports of the same law
	roleTranscoded = "transcoded" // ports of both laws
)

// What the benchmark and the process say to each other, a JSON line each: the
// phones' addresses; then the ports; then nothing to begin and to end, each
// answered with the use so far.
type (
	phones struct{ Peers []netip.AddrPort }
	ports  struct{ Ports []netip.AddrPort }
	use    struct {
		CPU time.Duration
		RSS int64 // bytes
	}
)

// planeHelper is the process that is measured.
func planeHelper(r io.Reader, w io.Writer) int {
	in, out := json.NewDecoder(r), json.NewEncoder(w)
	pool, err := NewPool(Config{Bind: []netip.Addr{loopback4}})
	if err != nil {
		return 1
	}
	defer pool.Close()
	before := usage()
	var ask phones
	if err := in.Decode(&ask); err != nil {
		return 1
	}
	open := pool.openPlane
	if os.Getenv(planeRole) == roleBare {
		open = forwarder
	}
	addrs, err := open(ask.Peers, os.Getenv(planeRole) == roleTranscoded)
	if err != nil || out.Encode(ports{addrs}) != nil {
		return 1
	}
	for {
		var next struct{}
		if err := in.Decode(&next); err != nil {
			return 0
		}
		now := usage()
		now.RSS -= before.RSS
		if out.Encode(now) != nil {
			return 1
		}
	}
}

func usage() (u use) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err == nil {
		u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		var size, resident int64
		if _, err := fmt.Sscan(string(b), &size, &resident); err == nil {
			u.RSS = resident * int64(os.Getpagesize())
		}
	}
	return u
}

// openPlane opens a port for each phone; each two neighbours talk.
func (p *Pool) openPlane(peers []netip.AddrPort, transcoded bool) (addrs []netip.AddrPort, err error) {
	var opened []media.Port
	for i, peer := range peers {
		port, err := p.Allocate(peer.Addr(), media.Notices{})
		if err != nil {
			return nil, err
		}
		law := codec.ALaw
		if transcoded && i%2 == 1 {
			law = codec.ULaw
		}
		port.Apply(media.Stream{Remote: peer, Codec: law.Codec()})
		opened, addrs = append(opened, port), append(addrs, port.Local())
	}
	for i, port := range opened {
		port.Hear(opened[i^1])
	}
	return addrs, nil
}

// forwarder is the least that a relay of the same kind can do. Its goroutines
// end with the process.
func forwarder(peers []netip.AddrPort, _ bool) (addrs []netip.AddrPort, err error) {
	conns := make([]*net.UDPConn, len(peers))
	for i := range conns {
		if conns[i], err = (&family{network: "udp4", bind: loopback4}).listen(0); err != nil {
			return nil, err
		}
		addrs = append(addrs, addr(conns[i]))
	}
	for i, c := range conns {
		go func() {
			b, to, out := make([]byte, bufferSize), peers[i^1], conns[i^1]
			for {
				n, _, err := c.ReadFromUDPAddrPort(b)
				if err != nil {
					return
				}
				_, _ = out.WriteToUDPAddrPort(b[:n], to)
			}
		}()
	}
	return addrs, nil
}

// load is a set of phones in the process of the benchmark.
type load struct {
	b        *testing.B
	conns    []*net.UDPConn
	to       []netip.AddrPort
	sent     uint64
	received atomic.Uint64
	readers  sync.WaitGroup
}

func newLoad(b *testing.B, legs int) *load {
	l := &load{b: b}
	for range legs {
		c, err := (&family{network: "udp4", bind: loopback4}).listen(0)
		if err != nil {
			b.Fatal(err)
		}
		l.conns = append(l.conns, c)
		l.readers.Go(func() {
			buf := make([]byte, bufferSize)
			for {
				n, _, err := c.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				if !isControl(buf[:n]) { // a neighbour's reports come to the next port
					l.received.Add(1)
				}
			}
		})
	}
	return l
}

func (l *load) close() {
	for _, c := range l.conns {
		c.Close()
	}
	l.readers.Wait()
}

// run sends 50 packets a second from each phone, spread over time as real
// phones are.
func (l *load) run(d time.Duration, transcoded bool, packets []header) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	begin, b := time.Now(), make([]byte, headerSize+codec.FrameSamples)
	perSecond := 50 * len(l.conns)
	for n := 0; ; {
		due := int(time.Since(begin) * time.Duration(perSecond) / time.Second)
		for ; n < due; n++ {
			i := n % len(l.conns)
			h := &packets[i]
			if transcoded && i%2 == 1 {
				h.payloadType = codec.PayloadPCMU
			}
			h.put(b)
			h.seq++
			h.timestamp += codec.FrameSamples
			if _, err := l.conns[i].WriteToUDPAddrPort(b, l.to[i]); err != nil {
				l.b.Fatal(err)
			}
			l.sent++
		}
		if time.Since(begin) >= d {
			return
		}
		<-tick.C
	}
}

// wait gives the last packets some time to come.
func (l *load) wait(d time.Duration) {
	tick, end := time.NewTicker(time.Millisecond), time.After(d)
	defer tick.Stop()
	for l.received.Load() < l.sent {
		select {
		case <-tick.C:
		case <-end:
			return
		}
	}
}

// plane is one measurement.
type plane struct {
	perCall float64 // ms of CPU per call-second
	packets float64 // relayed per CPU-second
	lost    float64 // share of the packets
	memory  float64 // KiB per call
}

func measure(b *testing.B, role string, calls int, d time.Duration) plane {
	b.Helper()
	l := newLoad(b, 2*calls)
	defer l.close()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), planeRole+"="+role)
	cmd.Stderr = os.Stderr
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err1 != nil || err2 != nil || cmd.Start() != nil {
		b.Fatalf("the process to be measured does not start: %v %v", err1, err2)
	}
	defer func() { stdin.Close(); _ = cmd.Wait() }()
	out, in := json.NewEncoder(stdin), json.NewDecoder(bufio.NewReader(stdout))
	talk := func(say, hear any) {
		b.Helper()
		if err := out.Encode(say); err != nil {
			b.Fatal(err)
		}
		if err := in.Decode(hear); err != nil {
			b.Fatal(err)
		}
	}
	var ask phones
	for _, c := range l.conns {
		ask.Peers = append(ask.Peers, addr(c))
	}
	var opened ports
	talk(ask, &opened)
	l.to = opened.Ports
	packets := make([]header, 2*calls)
	for i := range packets {
		packets[i] = header{payloadType: codec.PayloadPCMA, ssrc: uint32(i + 1)}
	}
	transcoded := role == roleTranscoded
	l.run(300*time.Millisecond, transcoded, packets)
	var begin, end use
	talk(struct{}{}, &begin)
	sent := l.sent
	l.run(d, transcoded, packets)
	talk(struct{}{}, &end)
	l.wait(time.Second)
	cpu := (end.CPU - begin.CPU).Seconds()
	return plane{
		perCall: cpu * 1000 / float64(calls) / d.Seconds(),
		packets: float64(l.sent-sent) / cpu,
		lost:    1 - float64(l.received.Load())/float64(l.sent),
		memory:  float64(end.RSS) / 1024 / float64(calls),
	}
}

// median measures each role in turn, so that other work on the machine troubles
// all of them alike, and returns the middle one by CPU of each.
func median(b *testing.B, calls int, roles ...string) []plane {
	b.Helper()
	const rounds, d = 3, time.Second
	all := make([][]plane, len(roles))
	for range rounds {
		for i, role := range roles {
			all[i] = append(all[i], measure(b, role, calls, d))
		}
	}
	middle := make([]plane, len(roles))
	for i := range all {
		slices.SortFunc(all[i], func(x, y plane) int { return cmp.Compare(x.perCall, y.perCall) })
		middle[i] = all[i][rounds/2]
	}
	return middle
}

// BenchmarkPlane measures the media plane as a process of its own, beside a
// bare forwarder in the same run: CPU of the kernel included, the phones not.
func BenchmarkPlane(b *testing.B) {
	for _, calls := range []int{50, 200} {
		b.Run(fmt.Sprintf("calls=%d", calls), func(b *testing.B) {
			var bare, relay, transcoded plane
			for b.Loop() {
				m := median(b, calls, roleBare, roleRelay, roleTranscoded)
				bare, relay, transcoded = m[0], m[1], m[2]
			}
			b.ReportMetric(relay.perCall, "ms-cpu/call-s")
			b.ReportMetric(transcoded.perCall, "ms-cpu/call-s-transcoded")
			b.ReportMetric(bare.perCall, "ms-cpu/call-s-bare")
			b.ReportMetric(relay.perCall/bare.perCall, "x-bare")
			b.ReportMetric(relay.packets, "packets/cpu-s")
			b.ReportMetric(100*relay.lost, "%lost")
			b.ReportMetric(relay.memory, "KiB/call")
			b.ReportMetric(0, "ns/op")
		})
	}
}
