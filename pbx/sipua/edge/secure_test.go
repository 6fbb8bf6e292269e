package edge_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
)

// secureCarrier answers the first request of each connection over TLS, and
// tells its first line.
func secureCarrier(t *testing.T, ca *pbxtest.Authority, names ...string) (port int, requests <-chan string) {
	t.Helper()
	cert, key, _ := ca.Issue(t, names...)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	told, done := make(chan string, 16), make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			answerOne(conn, told)
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	_, text, _ := net.SplitHostPort(l.Addr().String())
	port, err = net.LookupPort("tcp", text)
	if err != nil {
		t.Fatal(err)
	}
	return port, told
}

func answerOne(conn net.Conn, told chan<- string) {
	r := bufio.NewReader(conn)
	first, head := "", "SIP/2.0 200 OK\r\n"
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return // the certificate was not taken
		}
		name, _, _ := strings.Cut(line, ":")
		switch {
		case first == "":
			first = strings.TrimSpace(line)
		case line == "\r\n":
			told <- first
			_, _ = conn.Write([]byte(head + "Content-Length: 0\r\n\r\n"))
			return
		case slices.Contains([]string{"Via", "From", "To", "Call-ID", "CSeq"}, name):
			head += line
		}
	}
}

// TestTrunkOverTLS: the carrier's certificate must be for the name that the
// trunk has, of an authority that the document trusts.
func TestTrunkOverTLS(t *testing.T) {
	ca := pbxtest.NewAuthority(t)
	port, requests := secureCarrier(t, ca, "sip.carrier.example", "sip2.carrier.example", "127.0.0.1")
	var doc *conf.Document
	b := newBed(t, func(c *edge.Config) {
		c.Resolver = &names{hosts: map[string][]string{"sip.carrier.example": {"127.0.0.1"}, "sip.other.example": {"127.0.0.1"}, "sip2.carrier.example": {"127.0.0.1"}}}
		plain := c.Document()
		trusting := *plain
		trusting.TrustedCAs = ca.PEM
		doc = &trusting
		c.Document = func() *conf.Document { return doc }
	})
	for _, host := range []string{"sip.carrier.example", "127.0.0.1"} {
		h := conf.TrunkHost{Host: host, Port: port, Transport: "TLS"}
		if err := b.Options(t.Context(), conf.Trunk{}, h); err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		if got := <-requests; !strings.Contains(got, ";transport=tls") {
			t.Errorf("%s: asked by %q", host, got)
		}
	}
	var name x509.HostnameError
	err := b.Options(t.Context(), conf.Trunk{}, conf.TrunkHost{Host: "sip.other.example", Port: port, Transport: "TLS"})
	if !errors.As(err, &name) {
		t.Errorf("a carrier of another name: %v", err)
	}
	distrusting := *doc
	distrusting.TrustedCAs = pbxtest.NewAuthority(t).PEM
	doc = &distrusting
	var authority x509.UnknownAuthorityError
	// To that name no connection is open.
	err = b.Options(t.Context(), conf.Trunk{}, conf.TrunkHost{Host: "sip2.carrier.example", Port: port, Transport: "TLS"})
	if !errors.As(err, &authority) {
		t.Errorf("an authority that nobody trusts: %v", err)
	}
}
