package keeper

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// asProgram makes this test binary be a program under a keeper: it listens at
// the address in this variable's file.
const asProgram = "DIPCAST_TEST_AS_KEPT"

const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if file := os.Getenv(asProgram); file != "" {
		// As process 1 the parent gets the orphans.
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			panic(err)
		}
		os.Exit(Main(os.Stderr, func(k *Child) int { return program(k, file) }))
	}
	goleak.VerifyTestMain(m)
}

// program answers each datagram with its process ID, and does what it says.
func program(k *Child, file string) int {
	ctx, stop := Context(context.Background(), context.Canceled, context.Canceled)
	defer stop()
	text, err := os.ReadFile(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, "no address:", err)
		return 3
	}
	at := netip.MustParseAddrPort(strings.TrimSpace(string(text)))
	udp, err := ListenUDP(ctx, k, "sip", at)
	if err != nil {
		panic(err)
	}
	tcp, err := ListenTCP(ctx, k, "sip", at)
	if err != nil {
		panic(err)
	}
	k.Ready()
	go serve(k, udp, tcp)
	<-ctx.Done()
	return 0
}

func serve(k *Child, udp *net.UDPConn, tcp net.Listener) {
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, os.Getpid())
			_ = c.Close()
		}
	}()
	buf := make([]byte, 100)
	for {
		n, from, err := udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			panic(err)
		}
		switch said := string(buf[:n]); said {
		case "exit":
			os.Exit(5)
		case "panic":
			panic("as it was told")
		case "garbage":
			garbage(k)
		case "drop":
			k.Drop(Name("sip", tcp.Addr()))
			_ = tcp.Close()
		case "orphan":
			if err := exec.Command("sh", "-c", "sh -c : & exit 0").Run(); err != nil {
				panic(err)
			}
		}
		if _, err := udp.WriteToUDPAddrPort([]byte(strconv.Itoa(os.Getpid())), from); err != nil {
			panic(err)
		}
	}
}

// garbage is what a child that has lost its mind may send.
func garbage(k *Child) {
	many := make([]int, MaxFiles+4)
	for i := range many {
		many[i] = 2
	}
	for _, f := range []func() error{
		func() error { return send(k.fd, 'x', "unknown") },
		func() error { return send(k.fd, verbKeep, strings.Repeat("n", MaxName+100), 2) },
		func() error { return send(k.fd, verbKeep, "", 2) },
		func() error { return send(k.fd, verbKeep, "many", many...) },
		func() error { return send(k.fd, verbEnd, "", 2, 2) },
		func() error { return send(k.fd, verbReady, "") },
		func() error { return syscall.Sendmsg(k.fd, []byte{0}, syscall.UnixRights(2), nil, 0) },
		func() error { return syscall.Sendmsg(k.fd, bytes.Repeat([]byte("1k"), 5000), nil, nil, 0) },
	} {
		if err := f(); err != nil {
			panic(err)
		}
	}
}

// kept is the program, run by a test.
type kept struct {
	t    *testing.T
	cmd  *exec.Cmd
	file string
	at   netip.AddrPort
	log  output
	conn *net.UDPConn
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// free is an address that nobody has.
func free(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return netip.MustParseAddrPort(c.LocalAddr().String())
}

func start(t *testing.T) *kept {
	t.Helper()
	k := &kept{t: t, file: filepath.Join(t.TempDir(), "address"), at: free(t)}
	k.write(k.at)
	k.run()
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(k.at))
	if err != nil {
		t.Fatal(err)
	}
	k.conn = conn
	t.Cleanup(func() { conn.Close() })
	return k
}

func (k *kept) write(at netip.AddrPort) {
	if err := os.WriteFile(k.file, []byte(at.String()), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kept) run() {
	k.cmd = exec.Command(os.Args[0])
	k.cmd.Env = append(os.Environ(), asProgram+"="+k.file)
	k.cmd.Stdout, k.cmd.Stderr = &k.log, &k.log
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() {
		k.cmd.Process.Kill()
		k.cmd.Wait()
		if k.t.Failed() {
			k.t.Log(k.log.String())
		}
	})
}

// ask sends until somebody answers: before the first answer nobody may listen.
func (k *kept) ask(what string) (pid int) {
	k.t.Helper()
	k.waitFor("it answers to "+what, func() bool {
		if _, err := k.conn.Write([]byte(what)); err != nil {
			return false
		}
		pid = k.answer(100 * time.Millisecond)
		return pid != 0
	})
	return pid
}

// answer reads one; 0: none in time.
func (k *kept) answer(within time.Duration) int {
	buf := make([]byte, 100)
	k.conn.SetReadDeadline(time.Now().Add(within))
	n, err := k.conn.Read(buf)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(string(buf[:n]))
	return pid
}

func (k *kept) waitFor(what string, holds func() bool) {
	k.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-limit.C:
			k.t.Fatalf("it does not come to pass that %s", what)
		case <-again.C:
		}
	}
}

// end waits for the parent and returns its exit code.
func (k *kept) end() int {
	k.t.Helper()
	if err := k.cmd.Wait(); err != nil && k.cmd.ProcessState == nil {
		k.t.Fatal(err)
	}
	return k.cmd.ProcessState.ExitCode()
}
