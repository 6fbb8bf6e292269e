package gate

import (
	"bytes"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/pbxtest/bounded"
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
	for _, s := range tortures(f) {
		f.Add(s)
	}
}

// tortures are the messages of RFC 4475.
func tortures(f *testing.F) (list [][]byte) {
	f.Helper()
	dir, err := exec.CommandContext(f.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/emiago/sipgo").Output()
	if err != nil {
		f.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "sip/testdata/torture/*/*.dat"))
	if err != nil || len(paths) < 50 {
		f.Fatalf("%d messages, %v", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, text)
	}
	return list
}

// FuzzScan: no packet makes the scanner or the checks panic, and the answer to
// whatever was scanned is itself SIP.
func FuzzScan(f *testing.F) {
	seeds(f)
	source := netip.MustParseAddrPort("192.0.2.1:5060")
	f.Fuzz(func(t *testing.T, data []byte) {
		var m *Message
		bounded.Run(t, len(data), func() {
			if m = Scan(data); m != nil {
				_ = testRules().check(m)
			}
		})
		if m == nil {
			return
		}
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
		// However many messages there are, each may be as large as allowed.
		bounded.Run(t, len(data)+len(data)*(2048+512)/20, func() { frames(t, cut, len(data)) })
	})
}

// frames cuts until the end of the stream.
func frames(t *testing.T, cut *framer, size int) {
	t.Helper()
	for range size + 2 {
		m, err := cut.next(func() error { return nil })
		if len(m) > 2048+4096+512 {
			t.Fatalf("a message of %d bytes", len(m))
		}
		if err != nil && err != errPing { //nolint:errorlint // the framer's own value
			return
		}
	}
	t.Fatal("the framer does not end")
}

// FuzzBinding: what is taken for a STUN request is answered by a response that
// belongs to it and is hardly larger.
func FuzzBinding(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x21\x12\xA4\x42transaction!"), true)
	f.Add([]byte("\x00\x01\x00\x04\x21\x12\xA4\x42transaction!\x80\x28\x00\x00"), false)
	f.Add([]byte("\x00\x01\xff\xff\x21\x12\xA4\x42transaction!"), false)
	f.Fuzz(func(t *testing.T, data []byte, v6 bool) {
		from := netip.MustParseAddrPort("192.0.2.1:5060")
		if v6 {
			from = netip.MustParseAddrPort("[2001:db8::1]:5060")
		}
		bounded.Run(t, len(data), func() {
			if !isSTUN(data) {
				return
			}
			answer := bindingAnswer(data, from)
			if isSTUN(answer) || !bytes.Equal(answer[4:stunHeader], data[4:stunHeader]) || len(answer) > stunHeader+24 {
				t.Fatalf("%x is answered by %x", data, answer)
			}
		})
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
		bounded.Run(t, len(data), func() { g.message(data, flow) })
		if g.Counters.PanicsHeld.Load() > 0 {
			t.Fatalf("panic on %q", data)
		}
	})
}
