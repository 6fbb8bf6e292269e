package kernel

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/nodeguard"
)

// namespace runs the rest of the test in a network of its own, with nothing
// but loopback, and returns its file. The thread is not used again.
func namespace(t *testing.T) *os.File {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a network name space can be made by root alone")
	}
	runtime.LockOSThread() // never unlocked: the runtime ends the thread with the test
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	up(t)
	return file
}

// up brings loopback up, as `ip link set lo up` does.
func up(t *testing.T) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(fd) }()
	if err := setUp(fd, "lo"); err != nil {
		t.Fatal(err)
	}
}

// wire sends datagrams from any source to one port and says which arrive.
type wire struct {
	t  *testing.T
	to *net.UDPConn
}

func listen(t *testing.T, at string) *wire {
	t.Helper()
	a := netip.MustParseAddr(at)
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &wire{t: t, to: conn}
}

func (w *wire) port() uint16 {
	return uint16(w.to.LocalAddr().(*net.UDPAddr).Port)
}

// arrives sends from a source and reports whether it is received; a datagram
// of nobody in particular, sent after it, ends the wait.
func (w *wire) arrives(source string) bool {
	w.t.Helper()
	w.send(source, "first")
	w.send("127.0.0.1", "last")
	got := false
	buf := make([]byte, 16)
	if err := w.to.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	for {
		n, err := w.to.Read(buf)
		if err != nil {
			w.t.Fatal(err)
		}
		if string(buf[:n]) == "last" {
			return got
		}
		got = true
	}
}

func (w *wire) send(source, text string) {
	w.t.Helper()
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(source)}}
	conn, err := d.DialContext(w.t.Context(), "udp", w.to.LocalAddr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write([]byte(text)) // what the kernel drops may be told
}

// TestTheKernelDrops: what a banned source sends to the port of its ban is
// dropped, to others not; it ends by itself, when it is lifted, and with us.
func TestTheKernelDrops(t *testing.T) {
	ns := namespace(t)
	f, err := Open(int(ns.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	sip, other := listen(t, "127.0.0.1"), listen(t, "127.0.0.1")
	bad, port := netip.MustParseAddr("127.0.0.66"), sip.port()
	if !sip.arrives("127.0.0.66") {
		t.Fatal("nothing is banned and nothing arrives")
	}
	entry := nodeguard.Entry{Source: bad, Port: port}
	if err := f.Add(entry, time.Hour); err != nil {
		t.Fatal(err)
	}
	if sip.arrives("127.0.0.66") || !sip.arrives("127.0.0.67") || !other.arrives("127.0.0.66") {
		t.Error("not exactly the banned source is dropped on its way to that port")
	}
	list, err := f.Banned()
	if err != nil || !slices.Equal(list, []nodeguard.Entry{entry}) {
		t.Errorf("%v are banned (%v)", list, err)
	}
	if err := f.Remove([]nodeguard.Entry{entry, {Source: netip.MustParseAddr("127.0.0.99"), Port: 1}}); err != nil {
		t.Error(err)
	}
	if !sip.arrives("127.0.0.66") {
		t.Error("a ban that was lifted still holds")
	}
	if err := f.Add(entry, time.Second); err != nil {
		t.Fatal(err)
	}
	limit := time.After(20 * time.Second)
	for !sip.arrives("127.0.0.66") { // until it ends by itself
		select {
		case <-limit:
			t.Fatal("a ban of a second does not end")
		default:
		}
	}
	six := nodeguard.Entry{Source: netip.MustParseAddr("2001:db8:1:2::"), Port: port}
	if err := f.Add(six, time.Hour); err != nil {
		t.Fatal(err)
	}
	if list, err = f.Banned(); err != nil || !slices.Contains(list, six) {
		t.Errorf("%v are banned (%v)", list, err)
	}
	// A helper that starts anew begins with nobody.
	again, err := Open(int(ns.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if list, err = again.Banned(); err != nil || len(list) != 0 {
		t.Errorf("%v are banned after a start (%v)", list, err)
	}
	if err := again.Add(entry, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if !sip.arrives("127.0.0.66") {
		t.Error("the helper has gone and its ban stays")
	}
}
