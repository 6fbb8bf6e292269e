package keeper

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// parentOf is a parent of a shell in this process.
func parentOf(script string, log *bytes.Buffer, signals <-chan os.Signal) *parent {
	return &parent{
		path: "/bin/sh", argv: []string{"sh", "-c", script}, log: slog.New(slog.NewTextHandler(log, nil)),
		store: newStore(8), signals: signals, now: time.Now,
	}
}

func TestExitCodes(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "exit 1": 1} {
		var log bytes.Buffer
		if code, err := parentOf(script, &log, nil).run(); code != want || err != nil || log.Len() > 0 {
			t.Errorf("%s: code %d, %v\n%s", script, code, err, &log)
		}
	}
}

func TestGivesUpWithTheCodeOfTheChild(t *testing.T) {
	var log bytes.Buffer
	p := parentOf("kill -9 $$", &log, nil)
	p.policy.row = tries - 1
	if code, err := p.run(); code != 128+9 || err != nil || log.Len() > 0 {
		t.Errorf("code %d, %v\n%s", code, err, &log)
	}
}

// TestEndInAPause: the end is asked for while no child runs.
func TestEndInAPause(t *testing.T) {
	signals := make(chan os.Signal, 1)
	p := parentOf("", &bytes.Buffer{}, signals)
	if !p.rest(0) {
		t.Error("no next start after the pause")
	}
	signals <- syscall.SIGTERM
	if p.rest(time.Hour) {
		t.Error("a next start although the end was asked for")
	}
}

func TestNoProgramIsAnError(t *testing.T) {
	p := parentOf("", &bytes.Buffer{}, nil)
	p.path = "/nonexistent/program"
	if _, err := p.run(); err == nil || !strings.Contains(err.Error(), "/nonexistent/program") {
		t.Errorf("error %v", err)
	}
}

// TestHandedBack is about the child's side: what a parent holds arrives whole,
// once, and many at a time.
func TestHandedBack(t *testing.T) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pair[1])
	p := parentOf("", &bytes.Buffer{}, nil)
	p.store = newStore(1000)
	defer p.store.close()
	p.policy = policy{row: 2, restarts: 9}
	const names = 400
	for i := range names {
		if err := p.store.put(message{name: fmt.Sprint("rtp/", i), files: files(t, 2)}); err != nil {
			t.Fatal(err)
		}
	}
	c := &child{fd: pair[0], done: make(chan struct{})}
	go p.serve(c)
	k, err := newChild(pair[1], p.log)
	if err != nil {
		t.Fatal(err)
	}
	if k.Restarts() != 9 || k.Crashes() != 2 {
		t.Errorf("%d restarts, %d crashes", k.Restarts(), k.Crashes())
	}
	taken := k.Take("rtp/0")
	if len(taken) != 2 || len(k.Take("rtp/0")) != 0 || k.Take("rtp/none") != nil {
		t.Errorf("taken %d", len(taken))
	}
	for _, f := range taken {
		f.Close()
	}
	udp, err := ListenUDP(t.Context(), k, "sip", netip.AddrPortFrom(free(t).Addr(), free(t).Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	k.Ready()
	k.Keep("rtp/both", udp, FD(taker(t, udp)))
	k.HandOver()
	k.Drop("rtp/both")
	k.Keep("late", udp)
	syscall.Close(pair[1])
	<-c.done
	if got := strings.Join(p.store.all(), " "); got != "rtp/0 rtp/both "+Name("sip", udp.LocalAddr()) {
		t.Errorf("held is %s", got)
	}
	if c.ready.IsZero() || p.store.files != 5 {
		t.Errorf("ready %v, %d descriptors", c.ready, p.store.files)
	}
	syscall.Close(pair[0])
}

// TestReleaseFreesTheAddresses before it returns: another program waits for them.
func TestReleaseFreesTheAddresses(t *testing.T) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := parentOf("", &bytes.Buffer{}, nil)
	p.store = newStore(10)
	c := &child{fd: pair[0], done: make(chan struct{})}
	go p.serve(c)
	k, err := newChild(pair[1], p.log)
	if err != nil {
		t.Fatal(err)
	}
	at := free(t)
	udp, err := ListenUDP(t.Context(), k, "sip", at)
	if err != nil {
		t.Fatal(err)
	}
	if err := udp.Close(); err != nil {
		t.Fatal(err)
	}
	if other, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at)); err == nil {
		other.Close()
		t.Fatal("the parent holds nothing")
	}
	k.Release()
	other, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	syscall.Close(pair[1])
	<-c.done
	syscall.Close(pair[0])
}

// taker is a bare descriptor of the socket.
func taker(t *testing.T, c *net.UDPConn) int {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	if err := raw.Control(func(own uintptr) { fd = int(own) }); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestKeepRefusesNamesThatAreNone(t *testing.T) {
	for _, name := range []string{"", "a b", strings.Repeat("n", MaxName+1)} {
		var log bytes.Buffer
		k := Alone()
		k.log = slog.New(slog.NewTextHandler(&log, nil))
		k.Keep(name, FD(2))
		if !strings.Contains(log.String(), "is lost if the process dies") {
			t.Errorf("%q is kept", name)
		}
	}
}

func TestAloneKeepsNothing(t *testing.T) {
	for _, k := range []Keeper{None{}, Alone()} {
		k.Keep("a", FD(2))
		k.Drop("a")
		k.HandOver()
		k.Release()
		if k.Take("a") != nil {
			t.Errorf("%T keeps", k)
		}
	}
	Alone().Ready()
}

// A port that another process gives back in a moment is waited for.
func TestPortsOfADyingProcessAreWaitedFor(t *testing.T) {
	held, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(held.LocalAddr().String())
	tries, tried := 0, make(chan struct{})
	go func() {
		<-tried
		_ = held.Close()
	}()
	c, err := patiently(t.Context(), at, func() (*net.UDPConn, error) {
		if tries++; tries == 2 {
			close(tried)
		}
		return net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
