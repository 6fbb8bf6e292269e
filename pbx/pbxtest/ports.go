package pbxtest

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
)

// Port pools lie below the kernel's ephemeral ports, so that sockets that ask
// for any port do not get in their way.
const (
	lowestPool  = 10_000
	highestPool = 32_000
)

// FreePorts returns n UDP and TCP ports on 127.0.0.1, each with its successor
// free a moment ago (programs listen there unasked, for TLS or RTCP), all below
// the kernel's ephemeral ones. Programs that cannot listen on port 0 need it;
// nothing keeps others from taking the ports meanwhile.
func FreePorts(tb testing.TB, n int) []int {
	tb.Helper()
	var ports []int
	for len(ports) < n {
		if p := FreeRange(tb, 2); !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	return ports
}

// FreeRange returns the first, even one of n consecutive ports below the
// kernel's ephemeral ones that were all free a moment ago on 127.0.0.1, over
// UDP and TCP. As with FreePorts, nothing keeps others from taking them.
func FreeRange(tb testing.TB, n int) int {
	tb.Helper()
	for range 1000 {
		from := lowestPool + rand.IntN(highestPool-lowestPool-n)&^1
		if rangeFree(from, n) {
			return from
		}
	}
	tb.Fatalf("no %d consecutive free ports on 127.0.0.1", n)
	return 0
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
