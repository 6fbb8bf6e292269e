package gate

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// hand gives the flows that requests came on to the test.
type hand struct {
	sink
	flows chan *Flow
}

func (h *hand) Request(_ *Message, f *Flow) { h.flows <- f }

func serveTCP(t *testing.T, limits StreamLimits, trusted string) (*Gate, *hand, string) {
	t.Helper()
	h := &hand{flows: make(chan *Flow, 16)}
	g := New(Config{
		Handler: h, Trusted: func(a netip.Addr) bool { return a.String() == trusted },
		Ours: func(string) bool { return false }, Methods: []string{"OPTIONS"}, Streams: limits, Now: time.Now,
		Log: logTo(io.Discard),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.ServeTCP(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Close()
		g.Wait()
	})
	return g, h, l.Addr().String()
}

// dialFrom connects from a loopback address.
func dialFrom(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestAPeerThatDoesNotReadHoldsNobodyUp: whoever sends to it goes on at once,
// though the time that a write may take is long; its connection is closed.
func TestAPeerThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	g, h, addr := serveTCP(t, StreamLimits{Write: time.Hour, Backlog: 4096}, "127.0.0.1")
	conn := dialFrom(t, "127.0.0.1", addr)
	if _, err := io.WriteString(conn, options); err != nil {
		t.Fatal(err)
	}
	f := <-h.flows
	message := []byte(strings.Repeat("x", 1000))
	var err error
	for range 1 << 20 { // far more than the kernel holds
		if err = f.Send(message); err != nil {
			break
		}
	}
	if !errors.Is(err, errGone) {
		t.Fatalf("sending ended with %v", err)
	}
	if err := f.Send(message); !errors.Is(err, errGone) {
		t.Errorf("after the end: %v", err)
	}
	g.Close()
	g.Wait()
	if n := g.Counters.Streams.Load(); n != 0 || f.Alive() {
		t.Errorf("%d connections are left", n)
	}
}

// TestMessagesStayInOrder: what many send to one connection is not mixed.
func TestMessagesStayInOrder(t *testing.T) {
	_, h, addr := serveTCP(t, StreamLimits{}, "127.0.0.1")
	conn := dialFrom(t, "127.0.0.1", addr)
	if _, err := io.WriteString(conn, options); err != nil {
		t.Fatal(err)
	}
	f := <-h.flows
	go func() {
		for i := range 500 {
			_ = f.Send([]byte(strings.Repeat(string(rune('a'+i%26)), 99) + "\n")) // the reader sees what is missing
		}
	}()
	r := bufio.NewReader(conn)
	for i := range 500 {
		line, err := r.ReadString('\n')
		if err != nil || line != strings.Repeat(string(rune('a'+i%26)), 99)+"\n" {
			t.Fatalf("line %d: %q %v", i, line, err)
		}
	}
}

// TestStrangersLeaveRoomForTrunks: when strangers have taken every place, a
// trunk still connects.
func TestStrangersLeaveRoomForTrunks(t *testing.T) {
	g, h, addr := serveTCP(t, StreamLimits{Total: 4, PerSource: 8}, "127.0.0.9")
	first := dialFrom(t, "127.0.0.1", addr)
	second := dialFrom(t, "127.0.0.1", addr)
	for range 4 {
		dialFrom(t, "127.0.0.1", addr)
	}
	_, _ = io.Copy(io.Discard, first) // both are closed: the others are there
	_, _ = io.Copy(io.Discard, second)
	if n := g.Counters.Turned.Load(); n != 2 {
		t.Errorf("%d were turned away, want the two oldest", n)
	}
	conn := dialFrom(t, "127.0.0.9", addr)
	if _, err := io.WriteString(conn, options); err != nil {
		t.Fatal(err)
	}
	select {
	case f := <-h.flows:
		if f.Remote.Addr().String() != "127.0.0.9" {
			t.Errorf("served %s", f.Remote)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the trunk was not served")
	}
}

// TestAStrangersTimeRunsOut: who keeps a connection alive without ever saying
// who it is loses it all the same, and so does one who sends byte by byte.
func TestAStrangersTimeRunsOut(t *testing.T) {
	for name, says := range map[string]string{"pings": "\r\n\r\n", "a slow message": "x"} {
		t.Run(name, func(t *testing.T) {
			_, _, addr := serveTCP(t, StreamLimits{Unproven: 300 * time.Millisecond, Message: time.Hour}, "127.0.0.9")
			conn := dialFrom(t, "127.0.0.1", addr)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = io.Copy(io.Discard, conn) // until the gate closes it
			}()
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			limit := time.After(20 * time.Second)
			for {
				select {
				case <-ended:
					return
				case <-tick.C:
					_, _ = io.WriteString(conn, says) // may be too late
				case <-limit:
					t.Fatal("it still goes on")
				}
			}
		})
	}
}

// TestTheOldestStrangerGivesWay: where strangers fill the table a phone finds
// a place; those who proved who they are keep theirs.
func TestTheOldestStrangerGivesWay(t *testing.T) {
	g, h, addr := serveTCP(t, StreamLimits{Total: 3, PerSource: 8}, "127.0.0.99")
	serve := func(conn net.Conn) *Flow {
		t.Helper()
		if _, err := io.WriteString(conn, options); err != nil {
			t.Fatal(err)
		}
		return <-h.flows
	}
	phone := serve(dialFrom(t, "127.0.0.1", addr))
	phone.Prove()
	first := dialFrom(t, "127.0.0.2", addr)
	serve(first)
	serve(dialFrom(t, "127.0.0.3", addr))
	serve(dialFrom(t, "127.0.0.4", addr)) // takes the place of the first
	_, _ = io.Copy(io.Discard, first)     // it was closed
	if !phone.Alive() || g.Counters.Turned.Load() != 1 {
		t.Errorf("the phone is there: %v; %d were turned away", phone.Alive(), g.Counters.Turned.Load())
	}
	g.streams.mu.Lock()
	defer g.streams.mu.Unlock()
	if len(g.streams.open) != 3 || g.streams.waiting.Len() != 2 || len(g.streams.unproven) != 2 {
		t.Errorf("%d are open, %d of strangers from %d sources", len(g.streams.open), g.streams.waiting.Len(), len(g.streams.unproven))
	}
}
