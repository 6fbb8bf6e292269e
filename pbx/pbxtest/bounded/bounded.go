// Package bounded proves in fuzz tests that what the network sends costs no
// more memory than it is worth.
package bounded

import (
	"runtime/metrics"
	"testing"
)

// What a reader may allocate: a fixed part, which also hides that the runtime
// counts small objects by the page, and so much for each byte of the input.
const (
	fixed   = 1 << 20
	perByte = 256
)

// Run runs f and fails the test if f allocates more than an input of that many
// bytes is worth. What other goroutines allocate meanwhile counts, too.
func Run(tb testing.TB, input int, f func()) {
	tb.Helper()
	before := allocated()
	f()
	if n := allocated() - before; n > fixed+perByte*uint64(input) {
		tb.Fatalf("%d bytes of input made the reader allocate %d", input, n)
	}
}

func allocated() uint64 {
	s := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s[:])
	return s[0].Value.Uint64()
}
