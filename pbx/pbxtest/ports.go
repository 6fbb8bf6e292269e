package pbxtest

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Port pools lie below the kernel's ephemeral ports, so that sockets that ask
// for any port do not get in their way.
const (
	lowestPool  = 10_000
	highestPool = 32_000
)

// PortLedger is the file, in the folder for temporary files, that reserved
// ports are locked in. Whoever has reserved ports holds it open.
const PortLedger = "dipcast-test-ports"

// FreePorts returns n UDP and TCP ports on 127.0.0.1, each with its successor
// free and reserved too (programs listen there unasked, for TLS or RTCP), as
// FreeRange does. Programs that cannot listen on port 0 need it.
func FreePorts(tb testing.TB, n int) []int {
	tb.Helper()
	ports := make([]int, n)
	for i := range ports {
		ports[i] = FreeRange(tb, 2)
	}
	return ports
}

// FreeRange returns the first, even one of n consecutive ports below the
// kernel's ephemeral ones that are all free on 127.0.0.1, over UDP and TCP.
// No other call of it, in this or another test program of this machine, gets
// one of them until the test ends.
func FreeRange(tb testing.TB, n int) int {
	tb.Helper()
	ledger, err := os.OpenFile(filepath.Join(os.TempDir(), PortLedger), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	for range 1000 {
		from := lowestPool + rand.IntN(highestPool-lowestPool-n)&^1
		if !reserve(ledger, from, n) {
			continue
		}
		if rangeFree(from, n) {
			tb.Cleanup(func() { _ = ledger.Close() }) // which ends the reservation
			return from
		}
		release(ledger, from, n)
	}
	_ = ledger.Close()
	tb.Fatalf("no %d consecutive free ports on 127.0.0.1", n)
	return 0
}

// reserve locks a byte of the ledger for each port. The lock belongs to the
// open file: it also keeps out other calls of this process, and ends with it.
func reserve(ledger *os.File, from, n int) bool {
	return lock(ledger, unix.F_WRLCK, from, n) == nil
}

func release(ledger *os.File, from, n int) { _ = lock(ledger, unix.F_UNLCK, from, n) }

func lock(ledger *os.File, kind int16, from, n int) error {
	span := unix.Flock_t{Type: kind, Start: int64(from), Len: int64(n)}
	return unix.FcntlFlock(ledger.Fd(), unix.F_OFD_SETLK, &span)
}

func rangeFree(from, n int) bool {
	for port := from; port < from+n; port++ {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
		u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return false
		}
		_ = u.Close()
		t, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		if err != nil {
			return false
		}
		_ = t.Close()
	}
	return true
}
