package gate

import (
	"bytes"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
)

func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func seeds(f *testing.F) {
	f.Helper()
	for _, s := range []string{
		options, strings.Replace(options, "From:", "Via: SIP/2.0/TCP [::1]:5060;branch=z9hG4bKy, SIP/2.0/UDP h\r\nFrom:", 1),
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKours\r\n\r\n", "\r\n\r\n", "INVITE sip:a@b SIP/2.0\r\n",
		strings.Replace(options, "Length: 0", "Length: 5", 1) + "hello",
		strings.Replace(options, "To: <sip:pbx.example>", "To: \"a\\\"b\" <sip:%00@h>;x=\"y;z\"", 1),
	} {
		f.Add([]byte(s))
	}
}

// FuzzScan: no packet makes the scanner or the checks panic, and the answer to
// whatever was scanned is itself SIP.
func FuzzScan(f *testing.F) {
	seeds(f)
	source := netip.MustParseAddrPort("192.0.2.1:5060")
	f.Fuzz(func(t *testing.T, data []byte) {
		m := Scan(data)
		if m == nil {
			return
		}
		_ = testRules().check(m)
		if !m.IsRequest() || m.Fault != "" {
			return
		}
		answer := Scan((&Reply{Status: 200, Reason: "OK", Tag: "t"}).Bytes(m, source))
		if answer == nil || answer.Status != 200 || answer.CallID != m.CallID || answer.CSeq != m.CSeq {
			t.Fatalf("answer to %q is %+v", data, answer)
		}
		if got := len(answer.Values("via")); got != len(m.Values("via")) {
			t.Fatalf("%d Via fields became %d", len(m.Values("via")), got)
		}
	})
}

// FuzzFramer: the pieces cut from a stream never exceed the limits, and the
// framer always comes to an end.
func FuzzFramer(f *testing.F) {
	seeds(f)
	limits := StreamLimits{Header: 2048, Body: 512}.withDefaults()
	f.Fuzz(func(t *testing.T, data []byte) {
		cut := newFramer(bytes.NewReader(data), limits)
		for range len(data) + 2 {
			m, err := cut.next(func() error { return nil })
			if len(m) > 2048+4096+512 {
				t.Fatalf("a message of %d bytes", len(m))
			}
			if err != nil && err != errPing { //nolint:errorlint // the framer's own value
				return
			}
		}
		t.Fatal("the framer does not end")
	})
}

// FuzzGate: whatever comes, the gate neither panics nor answers an ACK.
func FuzzGate(f *testing.F) {
	seeds(f)
	g := testGate(&sink{})
	flow := &Flow{Transport: "TCP", Remote: netip.MustParseAddrPort("203.0.113.9:5060"), stream: nil}
	f.Fuzz(func(t *testing.T, data []byte) {
		if m := Scan(data); m == nil || m.IsRequest() && testRules().check(m) != nil {
			return // would be answered through a socket
		}
		g.message(data, flow)
		if g.Counters.PanicsHeld.Load() > 0 {
			t.Fatalf("panic on %q", data)
		}
	})
}
