package gate

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/dipcast/dipcast/pbx/pbxtest"
)

// secureGate serves TLS and WebSocket on loopback.
type secureGate struct {
	*Gate
	*hand
	ca       *pbxtest.Authority
	tls, wss string
}

func newSecure(t *testing.T, limits StreamLimits) *secureGate {
	t.Helper()
	g, h, _ := serveTCP(t, limits, "127.0.0.99")
	s := &secureGate{Gate: g, hand: h, ca: pbxtest.NewAuthority(t)}
	cert, key, _ := s.ca.Issue(t, "pbx.example")
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	for _, at := range []*string{&s.tls, &s.wss} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		*at = l.Addr().String()
		if at == &s.tls {
			err = g.ServeTLS(l, cfg)
		} else {
			err = g.ServeWSS(l, cfg, func(string) bool { return true })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// dial makes the TLS handshake.
func (s *secureGate) dial(t *testing.T, from, to string) (*tls.Conn, error) {
	t.Helper()
	c := tls.Client(dialFrom(t, from, to), &tls.Config{RootCAs: s.ca.Pool, ServerName: "pbx.example"})
	return c, c.Handshake()
}

// browser makes both handshakes.
func (s *secureGate) browser(t *testing.T, from string) *tls.Conn {
	t.Helper()
	c, err := s.dial(t, from, s.wss)
	if err != nil {
		t.Fatal(err)
	}
	d := ws.Dialer{Protocols: []string{"sip"}}
	if _, _, err := d.Upgrade(c, &url.URL{Scheme: "wss", Host: s.wss, Path: "/"}); err != nil {
		t.Fatal(err)
	}
	return c
}

// closed waits until the peer has closed a connection.
func closed(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); errors.Is(err, errTimeout(err)) {
		t.Error("the connection stays open")
	}
}

// errTimeout is err if it is one of a deadline, and else another error.
func errTimeout(err error) error {
	var n net.Error
	if errors.As(err, &n) && n.Timeout() {
		return err
	}
	return io.EOF
}

// TestSecureConnections: messages pass both ways, each kind of flow says what
// it is, and both keep-alives are answered.
func TestSecureConnections(t *testing.T) {
	s := newSecure(t, StreamLimits{})
	c, err := s.dial(t, "127.0.0.1", s.tls)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, options); err != nil {
		t.Fatal(err)
	}
	if f := <-s.flows; f.Transport != "TLS" || s.Open("TLS", f.Remote) != f || s.Open("TCP", f.Remote) != nil {
		t.Errorf("%+v", f)
	}
	b := s.browser(t, "127.0.0.1")
	for _, frame := range []ws.Frame{ws.NewTextFrame([]byte(options)), ws.NewPingFrame([]byte("?")), ws.NewTextFrame([]byte("\r\n\r\n"))} {
		if err := ws.WriteFrame(b, ws.MaskFrame(frame)); err != nil {
			t.Fatal(err)
		}
	}
	f := <-s.flows
	if f.Transport != "WSS" {
		t.Errorf("%+v", f)
	}
	for _, want := range []string{"?", "\r\n"} {
		if got, err := ws.ReadFrame(b); err != nil || string(got.Payload) != want {
			t.Errorf("%+v %v, want %q", got, err, want)
		}
	}
	if err := f.Send([]byte("SIP/2.0 200 OK\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := ws.ReadFrame(b); err != nil || got.Header.OpCode != ws.OpText || !strings.HasPrefix(string(got.Payload), "SIP/2.0 200") {
		t.Errorf("%+v %v", got, err)
	}
	if err := ws.WriteFrame(b, ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))); err != nil {
		t.Fatal(err)
	}
	if got, err := ws.ReadFrame(b); err != nil || got.Header.OpCode != ws.OpClose {
		t.Errorf("%+v %v", got, err)
	}
	closed(t, b)
}

// TestHalfOpenHandshakes: those who never speak take no room from those who do:
// the oldest of them goes, and each has its time.
func TestHalfOpenHandshakes(t *testing.T) {
	s := newSecure(t, StreamLimits{Half: 8, Handshake: time.Minute})
	var silent []net.Conn
	for i := range 40 {
		silent = append(silent, dialFrom(t, netip.AddrFrom4([4]byte{127, 0, 1, byte(i)}).String(), s.tls))
	}
	for i := range 3 {
		if _, err := s.dial(t, "127.0.0.1", s.tls); err != nil {
			t.Fatalf("handshake %d beside half-open ones: %v", i, err)
		}
	}
	closed(t, silent[0])
	s.streams.mu.Lock()
	half := s.streams.half.Len()
	s.streams.mu.Unlock()
	if half > 8 {
		t.Errorf("%d half-open ones are held", half)
	}

	s = newSecure(t, StreamLimits{Handshake: 200 * time.Millisecond})
	for name, begins := range map[string]string{"nothing": "", "a record": "\x16\x03\x01\x02\x00", "no TLS": "OPTIONS sip:a SIP/2.0\r\n"} {
		for _, to := range []string{s.tls, s.wss} {
			c := dialFrom(t, "127.0.0.1", to)
			if _, err := io.WriteString(c, begins); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			closed(t, c)
		}
	}
	// TLS is over, and HTTP comes a line at a time.
	c, err := s.dial(t, "127.0.0.1", s.wss)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	closed(t, c)
}

// TestSlowWebSockets: a message has its time, whatever comes in between, and
// who does not answer a ping is gone.
func TestSlowWebSockets(t *testing.T) {
	s := newSecure(t, StreamLimits{Message: 300 * time.Millisecond, Quiet: time.Hour})
	b := s.browser(t, "127.0.0.1")
	if err := ws.WriteFrame(b, ws.MaskFrame(ws.NewFrame(ws.OpText, false, []byte("INVITE")))); err != nil {
		t.Fatal(err)
	}
	var err error
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := 0; err == nil && n < 400; n++ { // pings between the fragments win no time
		<-tick.C
		err = ws.WriteFrame(b, ws.MaskFrame(ws.NewPingFrame([]byte("?"))))
	}
	if err == nil {
		t.Error("a message that never ends keeps its connection")
	}

	s = newSecure(t, StreamLimits{Quiet: 100 * time.Millisecond})
	b = s.browser(t, "127.0.0.1")
	if got, err := ws.ReadFrame(b); err != nil || got.Header.OpCode != ws.OpPing {
		t.Fatalf("%+v %v", got, err)
	}
	if err := ws.WriteFrame(b, ws.MaskFrame(ws.NewPongFrame(nil))); err != nil {
		t.Fatal(err)
	}
	if got, err := ws.ReadFrame(b); err != nil || got.Header.OpCode != ws.OpPing {
		t.Fatalf("the second question: %+v %v", got, err)
	}
	closed(t, b) // it was not answered
}

// TestHandshakesAreMeasured: a source that begins one handshake after another
// is turned away, and so are all together.
func TestHandshakesAreMeasured(t *testing.T) {
	s := newSecure(t, StreamLimits{Begun: 2})
	failed := 0
	for range 8 {
		if _, err := s.dial(t, "127.0.0.1", s.tls); err != nil {
			failed++
		}
	}
	if failed == 0 || s.Counters.Turned.Load() == 0 {
		t.Errorf("%d of 8 handshakes failed, %d were turned away", failed, s.Counters.Turned.Load())
	}
	if _, err := s.dial(t, "127.0.0.99", s.tls); err != nil { // a trunk's
		t.Errorf("a trunk is measured too: %v", err)
	}
}
