package websocket

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/dipcast/dipcast/pbx/pbxtest/bounded"
)

// wire is a connection of which all has been said.
type wire struct {
	io.Reader
	said bytes.Buffer
}

func (w *wire) Write(b []byte) (int, error) { return w.said.Write(b) }

const greeting = "GET / HTTP/1.1\r\nHost: pbx.example\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func TestAccept(t *testing.T) {
	for _, tc := range []struct{ name, more, want string }{
		{"a phone", "Sec-WebSocket-Protocol: sip\r\n", "101"},
		{"among others", "Sec-WebSocket-Protocol: msrp, sip\r\n", "101"},
		{"the console", "Sec-WebSocket-Protocol: sip\r\nOrigin: https://pbx.example\r\n", "101"},
		{"another page", "Sec-WebSocket-Protocol: sip\r\nOrigin: https://evil.example\r\n", "403"},
		{"another protocol", "Sec-WebSocket-Protocol: chat\r\n", "400"},
		{"no protocol", "", "400"},
		{"compression is not taken up", "Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Extensions: permessage-deflate\r\n", "101"},
	} {
		w := &wire{Reader: strings.NewReader(greeting + tc.more + "\r\n")}
		err := Accept(w, func(origin string) bool { return origin == "https://pbx.example" })
		if said := w.said.String(); !strings.HasPrefix(said, "HTTP/1.1 "+tc.want) || (err == nil) != (tc.want == "101") {
			t.Errorf("%s: %v, said %q", tc.name, err, said)
		} else if err == nil && (!strings.Contains(said, "Sec-WebSocket-Protocol: sip\r\n") || strings.Contains(said, "Extensions")) {
			t.Errorf("%s: said %q", tc.name, said)
		}
	}
	for name, said := range map[string]string{
		"no end":           greeting,
		"HTTP/1.0":         strings.Replace(greeting, "HTTP/1.1", "HTTP/1.0", 1) + "\r\n",
		"SIP":              "OPTIONS sip:a SIP/2.0\r\n\r\n",
		"headers for ever": greeting + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 100) + "\r\n",
	} {
		if err := Accept(&wire{Reader: strings.NewReader(said)}, func(string) bool { return true }); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// frameOf is one frame of a client.
func frameOf(op ws.OpCode, fin bool, text string) []byte {
	return ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(op, fin, []byte(text))))
}

func TestReader(t *testing.T) {
	all := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, tc := range []struct {
		name string
		in   []byte
		want []string // kind and content of each
	}{
		{"text and binary", all(frameOf(ws.OpText, true, "one"), frameOf(ws.OpBinary, true, "two")), []string{"0 one", "0 two"}},
		{"fragments", all(frameOf(ws.OpText, false, "on"), frameOf(ws.OpContinuation, true, "e")), []string{"0 one"}},
		{"a ping between fragments", all(frameOf(ws.OpText, false, "on"), frameOf(ws.OpPing, true, "?"), frameOf(ws.OpContinuation, true, "e")), []string{"1 ?", "0 one"}},
		{"pong and close", all(frameOf(ws.OpPong, true, ""), frameOf(ws.OpClose, true, "\x03\xe8")), []string{"2 ", "3 \x03\xe8"}},
		{"an empty message", frameOf(ws.OpText, true, ""), []string{"0 "}},
		{"not masked", ws.MustCompileFrame(ws.NewTextFrame([]byte("one"))), nil},
		{"reserved bits", append([]byte{frameOf(ws.OpText, true, "one")[0] | 0x40}, frameOf(ws.OpText, true, "one")[1:]...), nil},
		{"a continuation of nothing", frameOf(ws.OpContinuation, true, "one"), nil},
		{"a message in a message", all(frameOf(ws.OpText, false, "on"), frameOf(ws.OpText, true, "e")), nil},
		{"too large", frameOf(ws.OpText, true, strings.Repeat("x", 101)), nil},
		{"too large in parts", all(frameOf(ws.OpText, false, strings.Repeat("x", 60)), frameOf(ws.OpContinuation, true, strings.Repeat("x", 60))), nil},
		{"empty fragments for ever", bytes.Repeat(frameOf(ws.OpText, false, "")[:6], 1), nil},
		{"cut off", frameOf(ws.OpText, true, "one")[:8], nil},
	} {
		r := NewReader(bytes.NewReader(tc.in), 100)
		var got []string
		for {
			kind, content, err := r.Next(func() error { return nil })
			if err != nil {
				break
			}
			got = append(got, string('0'+rune(kind))+" "+string(content))
		}
		if strings.Join(got, "|") != strings.Join(tc.want, "|") {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// late is a connection whose read deadline has passed.
type late struct{}

func (late) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

func TestQuietIsNoEnd(t *testing.T) {
	r := NewReader(io.MultiReader(late{}), 100)
	if _, _, err := r.Next(func() error { return nil }); !errors.Is(err, ErrQuiet) {
		t.Errorf("nothing came: %v", err)
	}
	r = NewReader(io.MultiReader(bytes.NewReader(frameOf(ws.OpText, true, "one")[:4]), late{}), 100)
	if _, _, err := r.Next(func() error { return nil }); err == nil || errors.Is(err, ErrQuiet) {
		t.Errorf("half a frame came: %v", err)
	}
}

func TestAppend(t *testing.T) {
	for _, content := range []string{"", "one", strings.Repeat("x", 200), strings.Repeat("x", 70000), "\xff"} {
		b := Append([]byte("before"), Message, []byte(content))
		f, err := ws.ReadFrame(bytes.NewReader(b[len("before"):]))
		if err != nil || string(f.Payload) != content || !f.Header.Fin || f.Header.Masked {
			t.Errorf("%d octets: %+v %v", len(content), f.Header, err)
		}
		if text := f.Header.OpCode == ws.OpText; text != (content != "\xff") {
			t.Errorf("%.10q: operation %d", content, f.Header.OpCode)
		}
	}
}

// FuzzReader feeds what a client sends after the handshake; memory is bounded by
// what came, whatever lengths it claims.
func FuzzReader(f *testing.F) {
	f.Add(frameOf(ws.OpText, true, "OPTIONS sip:a SIP/2.0\r\n\r\n"))
	f.Add(append(frameOf(ws.OpText, false, "a"), frameOf(ws.OpContinuation, true, "b")...))
	f.Add(append(frameOf(ws.OpPing, true, "?"), frameOf(ws.OpClose, true, "")...))
	f.Add([]byte{0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4})
	f.Add([]byte{0x01, 0x80, 1, 2, 3, 4, 0x00, 0x80, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, in []byte) {
		bounded.Run(t, len(in), func() {
			r := NewReader(bytes.NewReader(in), 80<<10)
			for range 1000 {
				kind, content, err := r.Next(func() error { return nil })
				if err != nil {
					return
				}
				if kind == Message && len(content) > len(in) || kind != Message && len(content) > 125 {
					t.Fatalf("%d octets of kind %d out of %d", len(content), kind, len(in))
				}
			}
		})
	})
}

// FuzzAccept feeds opening handshakes: none panics, and none without the
// sub-protocol is taken.
func FuzzAccept(f *testing.F) {
	f.Add(greeting + "Sec-WebSocket-Protocol: sip\r\n\r\n")
	f.Add(greeting + "Origin: https://evil.example\r\n\r\n")
	f.Add("GET / HTTP/1.1\r\n\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		if err := Accept(&wire{Reader: strings.NewReader(in)}, func(string) bool { return true }); err == nil && !strings.Contains(in, "sip") {
			t.Fatalf("accepted %q", in)
		}
	})
}
