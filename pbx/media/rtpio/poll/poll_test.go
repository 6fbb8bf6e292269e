package poll

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

func TestAddr(t *testing.T) {
	for _, text := range []string{"192.0.2.1:5004", "0.0.0.0:0", "[2001:db8::1]:65535", "[::1]:1", "[fe80::1%3]:4000"} {
		want := netip.MustParseAddrPort(text)
		a := AddrOf(want)
		if got := a.AddrPort(); got != want {
			t.Errorf("%v became %v", want, got)
		}
	}
	mapped := AddrOf(netip.MustParseAddrPort("[::ffff:192.0.2.1]:5004"))
	if got := mapped.AddrPort(); got != netip.MustParseAddrPort("192.0.2.1:5004") {
		t.Errorf("a mapped address became %v", got)
	}
	none := AddrOf(netip.AddrPort{})
	if got := none.AddrPort(); got.IsValid() {
		t.Errorf("none became %v", got)
	}
}

// packet is what a reader was given.
type packet struct {
	b    []byte
	from netip.AddrPort
}

type reader chan packet

func (r reader) Read(b []byte, from netip.AddrPort, _ int64) { r <- packet{bytes.Clone(b), from} }

func (r reader) next(t *testing.T) packet {
	t.Helper()
	select {
	case p := <-r:
		return p
	case <-time.After(patience):
		t.Fatal("no packet came")
		return packet{}
	}
}

func newPoller(t testing.TB) *Poller {
	t.Helper()
	start := time.Now()
	p, err := New(Config{Clock: func() int64 { return int64(time.Since(start)) }, Size: 2048})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func listen(t testing.TB, at netip.AddrPort) *Socket {
	t.Helper()
	s, err := Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPacketsAreHandedOver(t *testing.T) {
	for _, at := range []netip.AddrPort{loopback, netip.MustParseAddrPort("[::1]:0")} {
		p := newPoller(t)
		a, b := listen(t, at), listen(t, at)
		defer a.Close()
		got := make(reader, 100)
		if err := p.Add(b, got); err != nil {
			t.Fatal(err)
		}
		to := AddrOf(b.Local())
		for i := range 100 { // more than a nap gathers, on one socket
			if err := a.Send([]byte{byte(i)}, &to); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 {
			if r := got.next(t); r.from != a.Local() || !bytes.Equal(r.b, []byte{byte(i)}) {
				t.Fatalf("packet %d: %v from %v, want from %v", i, r.b, r.from, a.Local())
			}
		}
		gone := make(chan error)
		p.Do(func() {
			p.Remove(b)
			gone <- b.Close()
		})
		if err := <-gone; err != nil {
			t.Fatal(err)
		}
	}
}

// looks writes down at which look of the poller the packets of a socket came.
type looks struct {
	at  []int64
	all int
	end chan<- struct{}
}

func (l *looks) Read(_ []byte, _ netip.AddrPort, now int64) {
	if l.at = append(l.at, now); len(l.at) == l.all {
		l.end <- struct{}{}
	}
}

// TestFloodIsReadInBursts: a socket that is behind is not read packet by packet
// with a nap after each, and yet another one has its turn at each look.
func TestFloodIsReadInBursts(t *testing.T) {
	var ticks int64
	p, err := New(Config{Clock: func() int64 { ticks++; return ticks * int64(Nap) }, Size: 2048})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	from, flooded, other := listen(t, loopback), listen(t, loopback), listen(t, loopback)
	for _, s := range []*Socket{from, flooded, other} {
		defer s.Close()
	}
	end := make(chan struct{}, 2)
	flood, call := looks{all: 100, end: end}, looks{all: 3, end: end}
	free := make(chan struct{})
	p.Do(func() { <-free }) // nothing is read until all is there
	if err := errors.Join(p.Add(flooded, &flood), p.Add(other, &call)); err != nil {
		t.Fatal(err)
	}
	a, b := AddrOf(flooded.Local()), AddrOf(other.Local())
	for i := range flood.all {
		if err := from.Send([]byte{1}, &a); err != nil {
			t.Fatal(err)
		}
		if i < call.all {
			if err := from.Send([]byte{2}, &b); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(free)
	<-end
	<-end
	if n := len(slices.Compact(slices.Clone(flood.at))); n > 1+100/burst+1 {
		t.Errorf("%d looks for 100 packets that wait, want bursts of %d", n, burst)
	}
	if last := call.at[2]; last > flood.at[1+2*burst] {
		t.Errorf("the other socket had its third packet read at %d, after %d of the flood", last, 1+2*burst)
	}
}

// TestRemovedSocketIsSilent holds a copy of the descriptor, as a parent process
// does: closing alone would leave it in the epoll set.
func TestRemovedSocketIsSilent(t *testing.T) {
	p := newPoller(t)
	a, b, c := listen(t, loopback), listen(t, loopback), listen(t, loopback)
	defer a.Close()
	defer c.Close()
	copied, err := b.File()
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	got := make(reader, 10)
	for _, s := range []*Socket{b, c} {
		if err := p.Add(s, got); err != nil {
			t.Fatal(err)
		}
	}
	to := AddrOf(b.Local())
	removed := make(chan error)
	p.Do(func() { p.Remove(b); removed <- b.Close() })
	<-removed
	if err := a.Send([]byte("late"), &to); err != nil {
		t.Fatal(err)
	}
	other := AddrOf(c.Local())
	if err := a.Send([]byte("other"), &other); err != nil {
		t.Fatal(err)
	}
	if r := got.next(t); string(r.b) != "other" {
		t.Errorf("got %q of a removed socket", r.b)
	}
	again, err := Adopt(copied) // what came meanwhile waits for the next owner
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	next := newPoller(t)
	if err := next.Add(again, got); err != nil {
		t.Fatal(err)
	}
	if r := got.next(t); string(r.b) != "late" || again.Local().Port() != to.AddrPort().Port() {
		t.Errorf("got %q", r.b)
	}
	next.Close()
	p.Close()
	p.Close()
	if p.Do(func() {}) {
		t.Error("an ended poller took a task")
	}
}

func TestAdoptRefusesOtherThings(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	stream, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	plain, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for _, f := range []*os.File{stream, plain} {
		if s, err := Adopt(f); err == nil {
			s.Close()
			t.Errorf("%s was adopted", f.Name())
		}
	}
}

func TestListenOnWhatIsTaken(t *testing.T) {
	a := listen(t, loopback)
	defer a.Close()
	if s, err := Listen(a.Local()); err == nil {
		s.Close()
		t.Error("a port was opened twice")
	}
}

func TestMeter(t *testing.T) {
	var m Meter
	at := func(d time.Duration) int64 { return int64(10*time.Second + d) }
	m.Note(at(0), 5)
	m.Note(at(1), 3)
	m.Note(at(time.Second), 2)
	for _, want := range []struct {
		at  time.Duration
		max time.Duration
	}{{time.Second, 5}, {2 * time.Second, 2}, {3 * time.Second, 0}} {
		if got := m.Max(at(want.at)); got != want.max {
			t.Errorf("after %v: %v, want %v", want.at, got, want.max)
		}
	}
	m.Note(at(9*time.Second), 1)
	if got := m.Max(at(9 * time.Second)); got != 1 {
		t.Errorf("after a pause: %v, want 1", got)
	}
}

// echo sends each packet back.
type echo struct {
	s     *Socket
	count atomic.Int64
}

func (e *echo) Read(b []byte, from netip.AddrPort, _ int64) {
	e.count.Add(1)
	to := AddrOf(from)
	_ = e.s.Send(b, &to)
}

// TestASocketChangesItsReader without a gap: what came before goes to the old
// one, what comes after to the new one.
func TestASocketChangesItsReader(t *testing.T) {
	a, b, p := listen(t, loopback), listen(t, loopback), newPoller(t)
	defer a.Close()
	defer b.Close()
	to := AddrOf(b.Local())
	first, second := make(reader, 1), make(reader, 1)
	for _, r := range []reader{first, second, first} {
		if err := p.Add(b, r); err != nil {
			t.Fatal(err)
		}
		if err := a.Send([]byte("x"), &to); err != nil {
			t.Fatal(err)
		}
		r.next(t)
	}
	done := make(chan struct{})
	p.Do(func() { p.Remove(b); close(done) })
	<-done
}

func TestPacketCostsNoAllocation(t *testing.T) {
	a, b := listen(t, loopback), listen(t, loopback)
	defer a.Close()
	defer b.Close()
	to, p, e := AddrOf(b.Local()), newPoller(t), &echo{s: b}
	var r Reader = e
	b.reader.Store(&r)
	p.put(b.fd, b)
	buf, in := make([]byte, 200), newInbox(2048)
	n := testing.AllocsPerRun(200, func() {
		if err := a.Send(buf[:172], &to); err != nil {
			t.Fatal(err)
		}
		for size := -1; size < 0; {
			size = b.receive(in)
		}
		e.Read(buf[:172], in.from.AddrPort(), 0)
		for size := -1; size < 0; {
			size = a.receive(in)
		}
	})
	if n != 0 || e.count.Load() != 201 {
		t.Errorf("%v allocations per packet, %d packets", n, e.count.Load())
	}
}
