//go:build !race

package srtp

import (
	"encoding/binary"
	"strings"
	"testing"
)

// The race detector has pools forget what they were given, and the ciphers use
// pools.
func TestNothingIsAllocated(t *testing.T) {
	for _, suite := range []string{AES80, GCM} {
		s, o := pair(t, suite)
		b, seq := packet(0, strings.Repeat("x", 160)), uint16(0)
		n := testing.AllocsPerRun(200, func() {
			seq++
			binary.BigEndian.PutUint16(b[2:], seq)
			sealed, err := s.RTP(b)
			if err == nil {
				_, err = o.RTP(sealed)
			}
			if err != nil {
				t.Fatal(err)
			}
		})
		if n > 0 {
			t.Errorf("%s: %v allocations for a packet", suite, n)
		}
	}
}
