package nodeguard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told is what the kernel is told.
type told struct{ what chan string }

func (k told) Add(e Entry, d time.Duration) error {
	k.what <- fmt.Sprintf("add %s:%d for %s", e.Source, e.Port, d.Round(10*time.Second))
	return nil
}

func (k told) Remove(list []Entry) error {
	k.what <- fmt.Sprintf("remove %d", len(list))
	return nil
}

// serve runs a helper for that user until the test ends.
func serve(t *testing.T, user uint32) (socket string, k told, stop func()) {
	t.Helper()
	k = told{make(chan string, 16)}
	socket = "@dipcast-test-" + strings.ReplaceAll(t.Name(), "/", "-") + fmt.Sprint(os.Getpid())
	s, err := Listen(Options{Socket: socket, User: user, Policy: NewPolicy(Private(), all), Kernel: k, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return socket, k, stop
}

func (k told) next(t *testing.T) string {
	t.Helper()
	select {
	case s := <-k.what:
		return s
	case <-time.After(20 * time.Second):
		t.Fatal("the kernel is told nothing")
		return ""
	}
}

func client(t *testing.T, socket string, owner uint32, who func() (uint16, []netip.Prefix)) *Client {
	t.Helper()
	c := newClient(socket, owner, who, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestABanGoesToTheKernel(t *testing.T) {
	me := uint32(os.Getuid())
	socket, k, stop := serve(t, me)
	var trunk atomic.Pointer[string]
	net1, net2 := "203.0.113.0/24", "192.0.2.0/24"
	trunk.Store(&net1)
	c := client(t, socket, me, func() (uint16, []netip.Prefix) { return 5060, prefixes(*trunk.Load()) })
	c.Ban(netip.MustParseAddr("203.0.113.1"), time.Minute) // its own trunk
	c.Ban(netip.MustParseAddr("10.0.0.1"), time.Minute)    // an office
	c.Ban(netip.MustParseAddr("192.0.2.1"), time.Minute)
	if got := k.next(t); got != "add 192.0.2.1:5060 for 1m0s" {
		t.Errorf("the kernel is told %q", got)
	}
	trunk.Store(&net2)                                  // the document has a new trunk
	c.Ban(netip.MustParseAddr("10.0.0.1"), time.Minute) // whatever is told next says so, too
	if got := k.next(t); got != "remove 1" {
		t.Errorf("the kernel is told %q", got)
	}
	stop() // the client's goroutine ends with the test, whatever the helper does
}

// TestOnlyPBXsAreHeard: another user's wishes are not even read, and a PBX
// does not tell one who is not the helper.
func TestOnlyPBXsAreHeard(t *testing.T) {
	me := uint32(os.Getuid())
	socket, k, _ := serve(t, me+1)
	conn, err := net.DialUnix(network, nil, &net.UnixAddr{Name: socket, Net: network})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write([]byte(`{"port":5060}`)) // may be closed already
	if n, err := conn.Read(make([]byte, 1)); n != 0 {
		t.Errorf("a stranger is served: %d %v", n, err)
	}
	if got := len(k.what); got != 0 {
		t.Errorf("the kernel was told %d things", got)
	}
	c := newClient(socket, me+1, func() (uint16, []netip.Prefix) { return 5060, nil }, slog.New(slog.DiscardHandler))
	if conn, err := c.dial(t.Context()); err == nil {
		_ = conn.Close()
		t.Error("a PBX believes a helper that belongs to somebody else")
	}
}

// TestTheNextProcessOfAPBXIsServed: while the one before it is still there it is
// turned away, so that it comes again.
func TestTheNextProcessOfAPBXIsServed(t *testing.T) {
	socket, k, _ := serve(t, uint32(os.Getuid()))
	dial := func() *net.UnixConn {
		conn, err := net.DialUnix(network, nil, &net.UnixAddr{Name: socket, Net: network})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if err := send(conn, []byte(`{"port":5060}`)); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	before := dial()
	if err := send(before, []byte(`{"ban":"192.0.2.1","seconds":60}`)); err != nil {
		t.Fatal(err)
	}
	if got := k.next(t); got != "add 192.0.2.1:5060 for 1m0s" {
		t.Errorf("the kernel is told %q", got)
	}
	if n, err := dial().Read(make([]byte, 1)); n != 0 || err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the next one is not turned away: %d %v", n, err)
	}
	_ = before.Close()
	for deadline := time.After(20 * time.Second); ; {
		next := dial()
		_ = send(next, []byte(`{"ban":"192.0.2.2","seconds":60}`)) // it may be closed already
		select {
		case got := <-k.what:
			if got != "add 192.0.2.2:5060 for 1m0s" {
				t.Errorf("the kernel is told %q", got)
			}
			return
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatal("the next process is not served")
		}
	}
}

// FuzzWish: whatever a PBX says, the helper neither falls nor bans whom it
// must not.
func FuzzWish(f *testing.F) {
	for _, s := range []string{
		`{"port":5060,"protect":["203.0.113.0/24"]}`, `{"ban":"192.0.2.1","seconds":300}`, `{"ban":"::ffff:10.0.0.1","seconds":99999999999}`,
		`{"ban":"fe80::1%x","seconds":-1}`, `{"protect":["0.0.0.0/0"]}`, `{`, `null`,
	} {
		f.Add([]byte(s), []byte(`{"ban":"203.0.113.9","seconds":1}`))
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		s := &Server{o: Options{Policy: NewPolicy(Private(), all), Kernel: checked{t}, Log: slog.New(slog.DiscardHandler)}}
		hello(t, s.o.Policy, 1, 5060, nil)
		hello(t, s.o.Policy, 2, 5070, prefixes("203.0.113.0/24"))
		for _, b := range [][]byte{one, two} {
			if m, err := read(b); err == nil {
				_ = s.take(1, m) // what is refused is refused
			}
		}
	})
}

// checked is a kernel that knows who must not be banned.
type checked struct{ t *testing.T }

func (k checked) Add(e Entry, d time.Duration) error {
	if d < time.Second || d > maxBan || touches(append(Private(), prefixes("203.0.113.0/24")...), e.Source) || e.Source.IsUnspecified() {
		k.t.Fatalf("%v is banned for %v", e, d)
	}
	return nil
}

func (k checked) Remove([]Entry) error { return nil }
