package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const host = "acme.pbx.example.com"

// stage is the program around a fake cluster.
type stage struct {
	client *fake.Clientset
	https  string // ADDRESS:PORT
	dns    string
	roots  *x509.CertPool
}

func start(t *testing.T) *stage {
	t.Helper()
	s := &stage{client: fake.NewClientset(), roots: x509.NewCertPool()}
	folder := t.TempDir()
	a, err := openAuthority(folder, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil || !s.roots.AppendCertsFromPEM(ca) {
		t.Fatalf("ca.crt: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.https, s.dns = l.Addr().String(), dns.LocalAddr().String()
	log := slog.New(slog.DiscardHandler)
	c := &controller{client: s.client, class: "local", address: netip.MustParseAddr("127.0.0.1"), log: log}
	ctx, cancel := context.WithCancel(t.Context())
	g, ctx := errgroup.WithContext(ctx)
	p := newProxy(&c.table, a, c.address, log)
	g.Go(func() error { return c.run(ctx) })
	g.Go(func() error { return serveHTTPS(ctx, l, p) })
	g.Go(func() error {
		return serveNames(ctx, dns, c.lookup(map[string]netip.Addr{"works.example": netip.MustParseAddr("192.0.2.3")}))
	})
	t.Cleanup(func() {
		cancel()
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		p.transport.(*http.Transport).CloseIdleConnections()
	})
	return s
}

// get asks the ingress for a page of the host; empty when there is none.
func (s *stage) get(t *testing.T, host, path string) (status int, body string) {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", s.https)
		},
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "203.0.113.66")
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// until asks until the answer is the wanted one.
func (s *stage) until(t *testing.T, host string, status int, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		gotStatus, got := s.get(t, host, "/page")
		if gotStatus == status && strings.Contains(got, text) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("https://%s/page: %d %q, want %d %q", host, gotStatus, got, status, text)
		case <-again.C:
		}
	}
}

func TestFromIngressToPod(t *testing.T) {
	pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "pod %s%s for %s %s", r.Host, r.URL.Path, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"))
	}))
	defer pod.Close()
	address := netip.MustParseAddrPort(pod.Listener.Addr().String())
	s := start(t)
	ctx := t.Context()
	create := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s.until(t, host, 0, "") // nobody knows the host: no certificate either
	i := anIngress(host, "/")
	create(s.client.NetworkingV1().Ingresses("acme").Create(ctx, i, metav1.CreateOptions{}))
	s.until(t, host, http.StatusServiceUnavailable, "acme/web has no ready endpoint")
	create(s.client.CoreV1().Services("acme").Create(ctx, aService(), metav1.CreateOptions{}))
	slice := aSlice("web-1", int32(address.Port()), at("127.0.0.1", ptr.To(true)))
	create(s.client.DiscoveryV1().EndpointSlices("acme").Create(ctx, slice, metav1.CreateOptions{}))
	s.until(t, host, http.StatusOK, "pod "+host+"/page for 127.0.0.1 https")

	// The pod is replaced.
	slice.Endpoints = nil
	create(s.client.DiscoveryV1().EndpointSlices("acme").Update(ctx, slice, metav1.UpdateOptions{}))
	s.until(t, host, http.StatusServiceUnavailable, "no ready endpoint")

	got, err := s.client.NetworkingV1().Ingresses("acme").Get(ctx, i.Name, metav1.GetOptions{})
	if err != nil || len(got.Status.LoadBalancer.Ingress) != 1 || got.Status.LoadBalancer.Ingress[0].IP != "127.0.0.1" {
		t.Errorf("status %+v, %v", got.Status, err)
	}
	if err := s.client.NetworkingV1().Ingresses("acme").Delete(ctx, i.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.until(t, host, 0, "")
}

func TestOwnCertificate(t *testing.T) {
	s := start(t)
	own, err := openAuthority(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := own.certificate(host)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: meta("acme-web-tls"), Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}),
		corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	}}
	i := anIngress(host, "/")
	i.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{host}, SecretName: secret.Name}}
	if _, err := s.client.NetworkingV1().Ingresses("acme").Create(t.Context(), i, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.until(t, host, http.StatusServiceUnavailable, "") // by the ingress's own authority
	if _, err := s.client.CoreV1().Secrets("acme").Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.until(t, host, 0, "unknown authority")
	s.roots.AddCert(own.pair.Leaf)
	s.until(t, host, http.StatusServiceUnavailable, "")
}

func TestNamesOfTheCluster(t *testing.T) {
	s := start(t)
	if _, err := s.client.CoreV1().Services("acme").Create(t.Context(), aService(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.NetworkingV1().Ingresses("acme").Create(t.Context(), anIngress(host, "/"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.until(t, host, http.StatusServiceUnavailable, "") // the table knows both
	for name, want := range map[string]string{
		host: "127.0.0.1", "works.example": "192.0.2.3", "web.acme.svc.cluster.local": "10.215.0.9",
		"web.beta.svc.cluster.local": "", "nobody.example": "",
	} {
		if got := s.resolve(t, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func (s *stage) resolve(t *testing.T, name string) string {
	t.Helper()
	conn, err := net.Dial("udp", s.dns)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(question(t, name+".", dnsmessage.TypeA)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, maxQuery)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	var m dnsmessage.Message
	if err := m.Unpack(buf[:n]); err != nil {
		t.Fatal(err)
	}
	for _, a := range m.Answers {
		return netip.AddrFrom4(a.Body.(*dnsmessage.AResource).A).String()
	}
	return ""
}

func TestAuthorityIsKept(t *testing.T) {
	folder := t.TempDir()
	first, err := openAuthority(folder, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	second, err := openAuthority(folder, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !first.pair.Leaf.Equal(second.pair.Leaf) {
		t.Error("a second start made another authority")
	}
	if err := os.WriteFile(filepath.Join(folder, "ca.key"), []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openAuthority(folder, time.Now()); err == nil || !strings.Contains(err.Error(), folder) {
		t.Errorf("a broken key: %v", err)
	}
}
