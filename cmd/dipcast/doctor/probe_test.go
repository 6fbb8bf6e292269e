package doctor_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/cmd/dipcast/doctor"
)

// within is long enough for a slow machine; no test waits for it to pass.
const within = 30 * time.Second

// names is a resolver of fixed records.
type names struct {
	hosts    map[string]netip.Addr
	services map[string]*net.SRV // by proto.name
}

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := n.hosts[strings.TrimSuffix(host, ".")]; ok {
		return []netip.Addr{a}, nil
	}
	return nil, &net.DNSError{Name: host, IsNotFound: true}
}

func (n names) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if s, ok := n.services[proto+"."+name]; ok && service == "sip" {
		return "", []*net.SRV{s}, nil
	}
	return "", nil, &net.DNSError{Name: name, IsNotFound: true}
}

// sipPort answers OPTIONS on a UDP and a TCP port of the same number. Over UDP
// the first request is lost, as networks do.
func sipPort(t *testing.T, answer func(request string) string) netip.AddrPort {
	t.Helper()
	tcp, udp := listen(t)
	t.Cleanup(func() { _ = tcp.Close() })
	t.Cleanup(func() { _ = udp.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for count := 0; ; count++ {
			n, from, err := udp.ReadFrom(buffer)
			if err != nil {
				return
			}
			if count > 0 {
				_, _ = udp.WriteTo([]byte(answer(string(buffer[:n]))), from)
			}
		}
	}()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			request := ""
			for in := bufio.NewReader(conn); !strings.HasSuffix(request, "\r\n\r\n"); {
				line, err := in.ReadString('\n')
				if err != nil {
					break
				}
				request += line
			}
			_, _ = conn.Write([]byte(answer(request)))
			_ = conn.Close()
		}
	}()
	return netip.MustParseAddrPort(tcp.Addr().String())
}

func listen(t *testing.T) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 50 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp
		}
		_ = tcp.Close()
	}
	t.Fatal("no number is free for both UDP and TCP")
	return nil, nil
}

func tenantAt(at netip.AddrPort) *doctor.Tenant {
	t := &doctor.Tenant{Pod: &corev1.Pod{}, Advertised: []netip.Addr{at.Addr()}}
	t.Tenant.Spec.Domain = "example.com" // which the certificate of httptest is for
	t.Tenant.Status.Ports = &v1alpha1.TenantPorts{SIP: int32(at.Port())}
	t.Bots = []v1alpha1.NaverWorksBot{{}}
	return t
}

// prober reaches the console of every name at web.
func prober(web string, roots *x509.CertPool, n names) *doctor.Prober {
	dialer := net.Dialer{}
	return &doctor.Prober{
		Resolver: n, Roots: roots, Now: time.Now, Token: func() string { return "token" }, Timeout: within,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasSuffix(address, ":443") {
				address = web
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
}

func TestProbe(t *testing.T) {
	var requests []string
	seen := make(chan string, 10)
	at := sipPort(t, func(request string) string {
		seen <- request
		return "SIP/2.0 100 Trying\r\nContent-Length: 0\r\n\r\nSIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"
	})
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/works/callback" && r.Host == "example.com" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	records := names{
		hosts:    map[string]netip.Addr{"example.com": netip.MustParseAddr("192.0.2.1"), "sip.example.com": at.Addr()},
		services: map[string]*net.SRV{"udp.example.com": {Target: "sip.example.com.", Port: 5062}},
	}
	n := prober(web.Listener.Addr().String(), roots, records).Probe(t.Context(), tenantAt(at))
	if len(n.SIP) != 2 {
		t.Fatalf("%+v", n.SIP)
	}
	for _, a := range n.SIP {
		if a.Err != nil || a.Status != "200 OK" || a.Address != at {
			t.Errorf("%+v", a)
		}
		requests = append(requests, <-seen)
	}
	for _, r := range requests {
		for _, want := range []string{"OPTIONS sip:127.0.0.1:", ";branch=z9hG4bKtoken", "CSeq: 1 OPTIONS", "To: <sip:example.com>", "\r\n\r\n"} {
			if !strings.Contains(r, want) {
				t.Errorf("the request lacks %q:\n%s", want, r)
			}
		}
	}
	if len(n.Host.Addresses) != 1 || len(n.UDP.Records) != 1 || n.UDP.Records[0].Port != 5062 || n.UDP.Records[0].Lookup.Addresses[0] != at.Addr() {
		t.Errorf("%+v %+v", n.Host, n.UDP)
	}
	if n.TCP.Err == nil || n.TCP.Name != "_sip._tcp.example.com" {
		t.Errorf("%+v", n.TCP)
	}
	if n.Web.Err != nil || n.Web.Certificate == nil || n.Web.Address != "example.com:443" {
		t.Errorf("%+v", n.Web)
	}
	if n.Callback.Status != http.StatusUnauthorized || n.Callback.URL != "https://example.com/works/callback" {
		t.Errorf("%+v", n.Callback)
	}
}

func TestProbeOfWhatIsWrong(t *testing.T) {
	at := sipPort(t, func(string) string { return "HTTP/1.1 400 Bad Request\r\n\r\n" })
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of our refused handshakes
	web.StartTLS()
	defer web.Close()
	n := prober(web.Listener.Addr().String(), x509.NewCertPool(), names{}).Probe(t.Context(), tenantAt(at))
	for _, a := range n.SIP {
		if a.Err == nil || !strings.Contains(a.Err.Error(), "not in SIP") {
			t.Errorf("%+v", a)
		}
	}
	var unknown x509.UnknownAuthorityError
	if n.Web.Certificate == nil || !errors.As(n.Web.Err, &unknown) {
		t.Errorf("a certificate that is not trusted: %+v", n.Web)
	}
	if n.Callback.Err == nil || n.Callback.Status != 0 {
		t.Errorf("%+v", n.Callback)
	}
	if n.Host.Err == nil {
		t.Errorf("%+v", n.Host)
	}
}

func TestProbeOfNobody(t *testing.T) {
	tcp, udp := listen(t)
	at := netip.MustParseAddrPort(tcp.Addr().String())
	_, _ = tcp.Close(), udp.Close()
	tenant := tenantAt(at)
	tenant.Bots = nil
	tenant.Tenant.Spec.Web.ExternalURL = "http://127.0.0.1:8080"
	n := prober(at.String(), nil, names{}).Probe(t.Context(), tenant)
	for _, a := range n.SIP {
		if a.Err == nil || !strings.Contains(a.Err.Error(), "refused") || strings.Contains(a.Err.Error(), fmt.Sprint(at.Port())) {
			t.Errorf("%+v", a)
		}
	}
	if n.Web.Address != "" || n.Callback.URL != "" {
		t.Errorf("a console without TLS was asked: %+v %+v", n.Web, n.Callback)
	}
}

// TestProbeEndsWithItsContext: a silent peer holds nobody up.
func TestProbeEndsWithItsContext(t *testing.T) {
	tcp, udp := listen(t)
	defer func() { _, _ = tcp.Close(), udp.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _, _ = udp.ReadFrom(make([]byte, 4096))
		cancel()
	}()
	n := prober("127.0.0.1:1", nil, names{}).Probe(ctx, tenantAt(netip.MustParseAddrPort(tcp.Addr().String())))
	if n.SIP[0].Err == nil || n.SIP[1].Err == nil {
		t.Errorf("%+v", n.SIP)
	}
}
