package server

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/keeper"
)

// lone is a server that has nothing but what its listeners need.
func lone() *Server { return &Server{opts: Options{Keeper: keeper.None{}}} }

func TestAdvertised(t *testing.T) {
	n := conf.Network{Advertise: map[string][]string{"n1": {"192.0.2.1", "2001:db8::1"}, "": {"192.0.2.9"}, "bad": {"host.example"}}}
	for node, want := range map[string]string{"n1": "[192.0.2.1 2001:db8::1]", "n2": "[192.0.2.9]", "": "[192.0.2.9]"} {
		got, err := advertised(n, node)
		if err != nil {
			t.Fatal(err)
		}
		text := make([]string, len(got))
		for i, a := range got {
			text[i] = a.String()
		}
		if s := "[" + strings.Join(text, " ") + "]"; s != want {
			t.Errorf("node %q: %s, want %s", node, s, want)
		}
	}
	if _, err := advertised(n, "bad"); err == nil || !strings.Contains(err.Error(), "host.example") {
		t.Errorf("error %v does not name the value", err)
	}
	if _, err := advertised(conf.Network{}, "n1"); err == nil || !strings.Contains(err.Error(), `"n1"`) {
		t.Errorf("error %v does not name the node", err)
	}
}

func TestHTTPNeverListensOnEveryAddress(t *testing.T) {
	for _, tc := range []struct {
		bind, advertise string
		want            string
	}{
		{"", "127.0.0.2", "127.0.0.2"},
		{"127.0.0.3", "127.0.0.2", "127.0.0.3"},
		{"0.0.0.0", "127.0.0.2", "127.0.0.2"},
		{"", "192.0.2.1", "127.0.0.1"}, // not an address of this machine: behind NAT
		{"::", "::1", "::1"},
	} {
		l, err := lone().listenHTTP(t.Context(), addrs(tc.bind), addrs(tc.advertise), 0)
		if err != nil {
			t.Errorf("%+v: %v", tc, err)
			continue
		}
		if got := netip.MustParseAddrPort(l.Addr().String()).Addr().String(); got != tc.want {
			t.Errorf("bind %q, advertise %q: listens on %s, want %s", tc.bind, tc.advertise, got, tc.want)
		}
		l.Close()
	}
}

func addrs(text string) []netip.Addr {
	if text == "" {
		return nil
	}
	return []netip.Addr{netip.MustParseAddr(text)}
}

func TestServeHTTPEndsWithItsContext(t *testing.T) {
	l, err := lone().listenHTTP(t.Context(), nil, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- serveHTTP(ctx, l, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "hello")
		})})
	}()
	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "hello" {
		t.Errorf("body %q", body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := http.Get("http://" + l.Addr().String()); err == nil {
		t.Error("still served after its end")
	}
}
