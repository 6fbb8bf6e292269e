package keeper

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestKilledChildLosesNoDatagram: what is sent while nobody lives is answered
// by the next child.
func TestKilledChildLosesNoDatagram(t *testing.T) {
	k := start(t)
	pid := k.ask("hello")
	for round := range 6 {
		// Stopped, it cannot take what is about to wait for the next one.
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		k.waitFor("it is stopped", func() bool { state, _ := process(pid); return state == "T" })
		const packets = 20
		for i := range packets {
			if _, err := fmt.Fprint(k.conn, "packet ", i); err != nil {
				t.Fatal(err)
			}
		}
		c, err := net.Dial("tcp4", k.at.String()) // the kernel accepts
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		next := 0
		for i := range packets {
			if next = k.answer(patience); next == 0 || next == pid {
				t.Fatalf("round %d: packet %d of %d is answered by %d, killed was %d", round, i, packets, next, pid)
			}
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || strings.TrimSpace(line) != fmt.Sprint(next) {
			t.Fatalf("round %d: over TCP: %q %v, want %d", round, line, err, next)
		}
		c.Close()
		pid = next
	}
}

func TestParentPassesTheEndOn(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		k := start(t)
		k.ask("hello")
		if err := k.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		if code := k.end(); code != 0 {
			t.Errorf("%v: exit code %d", s, code)
		}
		if !bindable(t, k) {
			t.Errorf("%v: the port is not free", s)
		}
	}
}

// bindable reports whether both ports are free.
func bindable(t *testing.T, k *kept) bool {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(k.at))
	if err != nil {
		return false
	}
	c.Close()
	l, err := net.Listen("tcp4", k.at.String())
	if err != nil {
		return false
	}
	l.Close()
	return true
}

func TestWrongStartEndsTheParent(t *testing.T) {
	k := &kept{t: t, file: filepath.Join(t.TempDir(), "none")}
	k.run()
	if code := k.end(); code != 3 {
		t.Errorf("exit code %d", code)
	}
	if lines := strings.Split(strings.TrimSpace(k.log.String()), "\n"); len(lines) != 1 || !strings.Contains(lines[0], "no address") {
		t.Errorf("it says %q", k.log.String())
	}
}

func TestDeathIsFollowedByANewChild(t *testing.T) {
	k := start(t)
	pid := k.ask("hello")
	for _, how := range []string{"exit", "panic"} {
		if _, err := k.conn.Write([]byte(how)); err != nil {
			t.Fatal(err)
		}
		next := 0 // the one that dies may answer with its last breath
		k.waitFor(how+": another process answers", func() bool { next = k.ask("hello"); return next != pid })
		pid = next
	}
	for _, want := range []string{`cause="exit code 5"`, `cause="exit code 2"`, "as it was told"} {
		if !strings.Contains(k.log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

func TestGarbageDoesNotHarmTheParent(t *testing.T) {
	k := start(t)
	pid := k.ask("garbage")
	for range 3 {
		if got := k.ask("garbage"); got != pid {
			t.Fatalf("after garbage %d answers, not %d", got, pid)
		}
	}
	syscall.Kill(pid, syscall.SIGKILL)
	k.waitFor("another process answers", func() bool { return k.ask("hello") != pid })
}

func TestNewChildBySignal(t *testing.T) {
	k := start(t)
	pid := k.ask("hello")
	if err := k.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	k.waitFor("another process answers", func() bool { next := k.ask("hello"); return next != pid })
	if strings.Contains(k.log.String(), "has died") {
		t.Error("a planned restart counts as a death")
	}
	if err := k.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := k.end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestUnwantedSocketsAreClosed: the document of the next child may have other
// ports.
func TestUnwantedSocketsAreClosed(t *testing.T) {
	k := start(t)
	pid := k.ask("hello")
	old := &kept{at: k.at}
	k.at = free(t)
	k.write(k.at)
	syscall.Kill(pid, syscall.SIGKILL)
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(k.at))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	k.conn = conn
	k.ask("hello")
	k.waitFor("the old ports are free", func() bool { return bindable(t, old) })
}

func TestDropFreesThePort(t *testing.T) {
	k := start(t)
	k.ask("drop")
	k.waitFor("the port is free", func() bool {
		l, err := net.Listen("tcp4", k.at.String())
		if err != nil {
			return false
		}
		l.Close()
		return true
	})
}

// TestChildDiesWithItsParent: nobody would hold its sockets, and the next start
// wants its ports.
func TestChildDiesWithItsParent(t *testing.T) {
	k := start(t)
	k.ask("hello")
	if err := k.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	k.cmd.Wait()
	k.waitFor("the ports are free", func() bool { return bindable(t, k) })
}

func TestParentBuriesOrphans(t *testing.T) {
	k := start(t)
	pid := k.ask("hello")
	for range 5 {
		k.ask("orphan")
	}
	k.waitFor("only the child is left", func() bool {
		children := childrenOf(t, k.cmd.Process.Pid)
		return len(children) == 1 && children[0] == pid
	})
}

func childrenOf(t *testing.T, parent int) (list []int) {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if _, above := process(pid); above == parent {
			list = append(list, pid)
		}
	}
	return list
}

// process reads state and parent from proc(5); 0: there is no such process.
func process(pid int) (state string, parent int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil {
		fmt.Sscan(string(text[bytes.LastIndexByte(text, ')')+1:]), &state, &parent)
	}
	return state, parent
}
