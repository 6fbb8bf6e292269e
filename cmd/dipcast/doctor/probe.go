package doctor

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

const (
	callbackPath = "/works/callback"
	httpsPort    = "443"
	// sipTimer1 and sipTries: RFC 3261 §17.1.2.2, the interval doubles.
	sipTimer1 = 500 * time.Millisecond
	sipTries  = 4
	// longestSIP is more than an answer to OPTIONS ever has.
	longestSIP = 64 << 10
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// Prober asks the network from here.
type Prober struct {
	Resolver Resolver
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Roots    *x509.CertPool // nil: the system's
	Now      func() time.Time
	// Token makes unguessable text for the fields of a SIP request.
	Token   func() string
	Timeout time.Duration // of each question
}

// Probe asks all that concerns one tenant.
func (p *Prober) Probe(ctx context.Context, t *Tenant) Network {
	var n Network
	if port := sipPort(t); port != 0 && t.Pod != nil {
		for _, addr := range t.Advertised {
			for _, transport := range []string{"UDP", "TCP"} {
				n.SIP = append(n.SIP, p.options(ctx, t, netip.AddrPortFrom(addr, uint16(port)), transport))
			}
		}
	}
	domain := t.Tenant.Spec.Domain
	n.Host = p.lookup(ctx, domain)
	n.UDP = p.services(ctx, "udp", domain)
	n.TCP = p.services(ctx, "tcp", domain)
	console := ConsoleURL(&t.Tenant)
	if console.Scheme == "https" {
		n.Web = p.web(ctx, console)
	}
	if len(t.Bots) > 0 {
		n.Callback = p.callback(ctx, console.JoinPath(callbackPath).String())
	}
	return n
}

// ConsoleURL is where people reach a tenant's console.
func ConsoleURL(t *v1alpha1.PBXTenant) *url.URL {
	if u, err := url.Parse(t.Spec.Web.ExternalURL); err == nil && u.Host != "" {
		return u
	}
	return &url.URL{Scheme: "https", Host: t.Spec.Domain}
}

func (p *Prober) lookup(ctx context.Context, host string) Lookup {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	list, err := p.Resolver.LookupNetIP(ctx, "ip", host)
	for i := range list {
		list[i] = list[i].Unmap()
	}
	return Lookup{Addresses: list, Err: err}
}

func (p *Prober) services(ctx context.Context, transport, domain string) Services {
	s := Services{Name: "_sip._" + transport + "." + domain}
	asked, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	_, list, err := p.Resolver.LookupSRV(asked, "sip", transport, domain)
	s.Err = err
	for _, r := range list {
		s.Records = append(s.Records, Service{Target: r.Target, Port: int(r.Port), Lookup: p.lookup(ctx, r.Target)})
	}
	return s
}

// options sends OPTIONS and waits for a final answer; over UDP it is sent
// again as RFC 3261 asks.
func (p *Prober) options(ctx context.Context, t *Tenant, to netip.AddrPort, transport string) SIPAnswer {
	a := SIPAnswer{Address: to, Transport: transport}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	conn, err := p.Dial(ctx, strings.ToLower(transport), to.String())
	if err != nil {
		a.Err = plain(err)
		return a
	}
	// Whoever closes the connection wakes the reader.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		stop()
		_ = conn.Close()
	}()
	request := p.request(t.Tenant.Spec.Domain, to, transport, conn.LocalAddr().String())
	if _, err := conn.Write(request); err != nil {
		a.Err = plain(err)
		return a
	}
	var answer io.Reader = conn
	if transport == "UDP" {
		answer = &resender{conn: conn, request: request, interval: sipTimer1, left: sipTries}
	}
	a.Status, a.Err = status(bufio.NewReaderSize(io.LimitReader(answer, longestSIP), longestSIP))
	if a.Err != nil {
		a.Err = plain(a.Err)
		if ctx.Err() != nil {
			a.Err = fmt.Errorf("no answer in %s", p.Timeout)
		}
	}
	return a
}

func (p *Prober) request(domain string, to netip.AddrPort, transport, local string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "OPTIONS sip:%s;transport=%s SIP/2.0\r\n", to, strings.ToLower(transport))
	fmt.Fprintf(&b, "Via: SIP/2.0/%s %s;rport;branch=z9hG4bK%s\r\n", transport, local, p.Token())
	fmt.Fprintf(&b, "Max-Forwards: 70\r\nFrom: <sip:doctor@%s>;tag=%s\r\nTo: <sip:%s>\r\n", domain, p.Token(), domain)
	fmt.Fprintf(&b, "Call-ID: %s\r\nCSeq: 1 OPTIONS\r\nContact: <sip:doctor@%s;transport=%s>\r\n", p.Token(), local, strings.ToLower(transport))
	b.WriteString("Accept: application/sdp\r\nUser-Agent: dipcast-doctor\r\nContent-Length: 0\r\n\r\n")
	return b.Bytes()
}

// status returns the first final status of the answers that arrive.
func status(r *bufio.Reader) (string, error) {
	for {
		text := textproto.NewReader(r)
		line, err := text.ReadLine()
		if err != nil {
			return "", err
		}
		if line == "" {
			continue // keep-alives between two messages
		}
		rest, ok := strings.CutPrefix(line, "SIP/2.0 ")
		if !ok || len(rest) < 3 {
			return "", fmt.Errorf("it answers, but not in SIP: %.40q", line)
		}
		if rest[0] != '1' {
			return rest, nil
		}
		if _, err := text.ReadMIMEHeader(); err != nil {
			return "", err
		}
	}
}

// resender sends a request over UDP again until something arrives.
type resender struct {
	conn     net.Conn
	request  []byte
	interval time.Duration
	left     int
}

func (r *resender) Read(b []byte) (int, error) {
	for {
		if r.left > 0 {
			if err := r.conn.SetReadDeadline(time.Now().Add(r.interval)); err != nil {
				return 0, err
			}
		} else if err := r.conn.SetReadDeadline(time.Time{}); err != nil {
			return 0, err
		}
		n, err := r.conn.Read(b)
		var timeout net.Error
		if err == nil || !errors.As(err, &timeout) || !timeout.Timeout() {
			return n, err
		}
		r.left--
		r.interval *= 2
		if _, err := r.conn.Write(r.request); err != nil {
			return 0, err
		}
	}
}

// web makes a TLS handshake with the console. The error of a certificate that
// is not trusted carries the certificate.
func (p *Prober) web(ctx context.Context, console *url.URL) Web {
	port := console.Port()
	if port == "" {
		port = httpsPort
	}
	w := Web{Address: net.JoinHostPort(console.Hostname(), port)}
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	raw, err := p.Dial(ctx, "tcp", w.Address)
	if err != nil {
		w.Err = plain(err)
		return w
	}
	conn := tls.Client(raw, &tls.Config{ServerName: console.Hostname(), RootCAs: p.Roots, MinVersion: tls.VersionTLS12, Time: p.Now})
	defer func() { _ = conn.Close() }()
	if err := conn.HandshakeContext(ctx); err != nil {
		w.Err = err
		var bad *tls.CertificateVerificationError
		if errors.As(err, &bad) && len(bad.UnverifiedCertificates) > 0 {
			w.Certificate, w.Err = bad.UnverifiedCertificates[0], bad.Err
		}
		return w
	}
	w.Certificate = conn.ConnectionState().PeerCertificates[0]
	return w
}

// callback posts an event without a signature, which our PBX refuses.
func (p *Prober) callback(ctx context.Context, target string) Callback {
	c := Callback{URL: target}
	transport := &http.Transport{
		DialContext: p.Dial, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: p.Roots, MinVersion: tls.VersionTLS12, Time: p.Now},
	}
	client := http.Client{
		Timeout: p.Timeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader("{}"))
	if err != nil {
		c.Err = err
		return c
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "dipcast-doctor")
	answer, err := client.Do(request)
	if err != nil {
		c.Err = plain(err)
		return c
	}
	_ = answer.Body.Close()
	c.Status = answer.StatusCode
	return c
}

// plain leaves out what an error says about this end: the local address
// differs from run to run, and the other one is named already.
func plain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		if wrapped.Timeout() {
			return errors.New("no answer in time")
		}
		err = wrapped.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		if op.Timeout() {
			return errors.New("no answer in time")
		}
		var dns *net.DNSError
		if errors.As(op.Err, &dns) {
			return errors.New(because(dns))
		}
		return op.Err
	}
	return err
}
