package cluster_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	//nolint:staticcheck // its successor is no module that go.mod requires for itself
	"k8s.io/apimachinery/pkg/util/httpstream"
	//nolint:staticcheck // as above
	"k8s.io/apimachinery/pkg/util/httpstream/spdy"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"

	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is the API server and kubelet as far as port-forward needs them: it
// speaks SPDY, as those do that are older than WebSocket port-forward.
type node struct {
	t     *testing.T
	reach string // what the one open port of the pod leads to

	mu      sync.Mutex
	asked   []string
	streams sync.WaitGroup
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	n.asked = append(n.asked, r.Method+" "+r.URL.Path)
	n.mu.Unlock()
	if !strings.Contains(r.URL.Path, "/acme-pbx-0/") {
		http.Error(w, `pods "x" not found`, http.StatusNotFound)
		return
	}
	if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
		return // it has answered
	}
	streams := make(chan httpstream.Stream, 2)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return
	}
	defer func() { _ = conn.Close() }()
	failures, data := <-streams, <-streams
	if failures.Headers().Get(corev1.StreamType) != corev1.StreamTypeError || data.Headers().Get(corev1.StreamType) != corev1.StreamTypeData {
		n.t.Error("the streams have other types")
	}
	n.forward(failures, data)
	<-conn.CloseChan()
}

func (n *node) forward(failures, data httpstream.Stream) {
	defer func() { _ = failures.Close() }()
	if data.Headers().Get(corev1.PortHeader) != "10816" {
		_ = data.Close()
		_, _ = io.WriteString(failures, "dial tcp4 127.0.0.1: connect: connection refused\n")
		return
	}
	local, err := net.Dial("tcp", n.reach)
	if err != nil {
		n.t.Error(err)
		return
	}
	n.streams.Go(func() {
		_, _ = io.Copy(local, data)
		_ = local.Close()
	})
	_, _ = io.Copy(data, local)
	_ = data.Close()
}

func start(t *testing.T, reach string) (*cluster.Cluster, *node) {
	t.Helper()
	n := &node{t: t, reach: reach}
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	t.Cleanup(n.streams.Wait)
	c, err := cluster.ForConfig(&rest.Config{Host: server.URL}, "acme")
	if err != nil {
		t.Fatal(err)
	}
	return c, n
}

func TestForward(t *testing.T) {
	pbx := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}))
	defer pbx.Close()
	c, n := start(t, pbx.Listener.Addr().String())
	pod := types.NamespacedName{Namespace: "acme", Name: "acme-pbx-0"}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.Forward(ctx, pod, 10816) }}
	client := http.Client{Transport: transport}
	body := strings.Repeat("0123456789", 20_000)
	for range 2 { // the second one over the same connection
		answer, err := client.Post("http://127.0.0.1:10816/", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		echo, err := io.ReadAll(answer.Body)
		if err != nil || string(echo) != body {
			t.Errorf("%d bytes of %d came back, %v", len(echo), len(body), err)
		}
		_ = answer.Body.Close()
	}
	transport.CloseIdleConnections()
	n.mu.Lock()
	defer n.mu.Unlock()
	path := "/api/v1/namespaces/acme/pods/acme-pbx-0/portforward"
	if len(n.asked) != 2 || n.asked[0] != "GET "+path || n.asked[1] != "POST "+path {
		t.Errorf("asked %q: want WebSocket first, then SPDY, once", n.asked)
	}
}

func TestForwardTellsTheReason(t *testing.T) {
	c, _ := start(t, "")
	conn, err := c.Forward(t.Context(), types.NamespacedName{Namespace: "acme", Name: "acme-pbx-0"}, 9)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Read(make([]byte, 1))
	if err == nil || err.Error() != "pod acme/acme-pbx-0 port 9: dial tcp4 127.0.0.1: connect: connection refused" {
		t.Error(err)
	}
	if conn.RemoteAddr().String() != "pod acme/acme-pbx-0 port 9" || conn.LocalAddr().Network() != "port-forward" {
		t.Error(conn.RemoteAddr(), conn.LocalAddr())
	}
	if conn.SetDeadline(time.Time{}) != nil || conn.SetReadDeadline(time.Time{}) != nil || conn.SetWriteDeadline(time.Time{}) != nil {
		t.Error("a deadline is refused")
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Forward(t.Context(), types.NamespacedName{Namespace: "acme", Name: "x"}, 9); err == nil || !strings.Contains(err.Error(), "port-forward to pod acme/x") {
		t.Error(err)
	}
}

func TestForwardEndsWithItsContext(t *testing.T) {
	c, _ := start(t, "")
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	conn, err := c.Forward(ctx, types.NamespacedName{Namespace: "acme", Name: "acme-pbx-0"}, 9)
	if err == nil {
		_ = conn.Close() // it was faster than the look at the context
	} else if !errors.Is(err, cause) {
		t.Error(err)
	}
}

const kubeconfig = `
apiVersion: v1
kind: Config
current-context: one
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts:
  - {name: one, context: {cluster: c, user: u, namespace: acme}}
  - {name: two, context: {cluster: c, user: u}}
`

func TestConnect(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		o         cluster.Options
		namespace string
		fails     string
	}{
		{cluster.Options{Kubeconfig: file}, "acme", ""},
		{cluster.Options{Kubeconfig: file, Context: "two"}, "default", ""},
		{cluster.Options{Kubeconfig: file, Namespace: "other"}, "other", ""},
		{cluster.Options{Kubeconfig: file, Context: "three"}, "", `context "three" does not exist`},
		{cluster.Options{Kubeconfig: file + "x"}, "", "no such file"},
	} {
		c, err := cluster.Connect(tc.o)
		switch {
		case tc.fails != "":
			if err == nil || !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("%+v: %v", tc.o, err)
			}
		case err != nil || c.Namespace != tc.namespace:
			t.Errorf("%+v: %v", tc.o, err)
		}
	}
	t.Setenv("KUBECONFIG", file+"x")
	t.Setenv("HOME", t.TempDir())
	if _, err := cluster.Connect(cluster.Options{}); err == nil || !strings.Contains(err.Error(), "--kubeconfig FILE") {
		t.Error(err)
	}
}
