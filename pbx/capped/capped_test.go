package capped

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// from connects from an address of the loopback network.
func from(t *testing.T, source, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestHTTPConnectionsAreBounded: one source has its share, all together have
// theirs, a proxy is bound by the second alone, and places are given back.
func TestHTTPConnectionsAreBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := netip.MustParseAddr("127.0.0.9")
	c := Listen(l, 5, 2, func(a netip.Addr) bool { return a == proxy })
	s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	})}
	done := make(chan error, 1)
	go func() { done <- s.Serve(c) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	served := func(source string) (net.Conn, bool) {
		t.Helper()
		conn := from(t, source, l.Addr().String())
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n") // it may be closed already
		line, err := bufio.NewReader(conn).ReadString('\n')
		return conn, err == nil && strings.Contains(line, "200")
	}
	first, ok := served("127.0.0.2")
	if !ok {
		t.Fatal("the first one is not served")
	}
	for _, step := range []struct {
		source string
		want   bool
	}{
		{"127.0.0.2", true},
		{"127.0.0.2", false}, // has its share
		{"127.0.0.9", true},
		{"127.0.0.9", true},
		{"127.0.0.9", true},  // a proxy has no share
		{"127.0.0.3", false}, // all places are taken
	} {
		if _, ok := served(step.source); ok != step.want {
			t.Errorf("%s is served: %v", step.source, ok)
		}
	}
	if open, turned := c.Counts(); open != 5 || turned != 2 {
		t.Errorf("%d are open and %d were turned away", open, turned)
	}
	_ = first.Close()
	limit := time.After(20 * time.Second)
	for open := 5; open == 5; open, _ = c.Counts() {
		select {
		case <-limit:
			t.Fatal("the place is not given back")
		default:
		}
	}
	if _, ok := served("127.0.0.3"); !ok {
		t.Error("the place that is free is not given to the next")
	}
}
