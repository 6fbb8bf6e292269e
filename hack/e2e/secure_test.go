package e2e

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dipcast/dipcast/hack/calls"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/pbxtest/peer"
	"github.com/dipcast/dipcast/pbx/phone"
)

// secured is a rig that serves SIP over TLS and WebSocket.
type secured struct {
	*rig
	ca *pbxtest.Authority
}

func newSecured(t *testing.T, change ...func(*conf.Document)) *secured {
	t.Helper()
	s := &secured{ca: pbxtest.NewAuthority(t)}
	s.rig = newRig(t, setup{document: func(d *conf.Document) {
		s.certify(t, d)
		for _, f := range change {
			f(d)
		}
	}})
	return s
}

// certify gives the document a new certificate and returns its serial number.
func (s *secured) certify(t *testing.T, d *conf.Document) string {
	t.Helper()
	cert, key, serial := s.ca.Issue(t, d.Tenant.Domain, "127.0.0.1")
	d.SIPTLS = &conf.SIPTLS{Certificate: cert, PrivateKey: conf.Secret(key)}
	return serial
}

// at is where a transport is served.
func (s *secured) at(transport string) string {
	s.t.Helper()
	a := s.server.SecureAddr(transport)
	if !a.IsValid() {
		s.t.Fatalf("%s is not served", transport)
	}
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), a.Port()).String()
}

// over has a phone use that transport.
func (s *secured) over(transport string) func(*phone.Config) {
	return func(c *phone.Config) {
		c.Transport, c.Roots = transport, s.ca.Pool
		if transport == "TLS" || transport == "WSS" {
			c.Server = s.at(transport)
		}
	}
}

// serial is that of the certificate which a new connection is shown.
func (s *secured) serial() string {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.at("TLS"), &tls.Config{RootCAs: s.ca.Pool, ServerName: s.doc.Tenant.Domain})
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// talks connects two phones and proves by tones that each hears the other.
func (s *secured) talks(caller, callee *phone.Phone, number string) (*phone.Call, *phone.Call) {
	s.t.Helper()
	a, err := caller.Dial(within(s.t), number, phone.DialOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	b := rings(s.t, callee)
	answer(s.t, b)
	a.Play(tone.Sine(500, loud))
	b.Play(tone.Sine(700, loud))
	s.hear(a, b)
	return a, b
}

func (s *secured) hear(a, b *phone.Call) {
	s.t.Helper()
	hears(s.t, a, "the caller", 700)
	hears(s.t, b, "the callee", 500)
}

// TestPhonesOverSecureTransports has each kind of phone call each other kind.
func TestPhonesOverSecureTransports(t *testing.T) {
	for _, tc := range [][2]string{{"TLS", "UDP"}, {"UDP", "TLS"}, {"WSS", "TLS"}, {"TCP", "WSS"}, {"WSS", "WSS"}} {
		t.Run(tc[0]+" calls "+tc[1], func(t *testing.T) {
			s := newSecured(t)
			a, b := s.desk("101", s.over(tc[0])), s.desk("102", s.over(tc[1]))
			caller, callee := s.talks(a, b, "102")
			if err := callee.Hangup(within(t)); err != nil {
				t.Fatal(err)
			}
			ended(t, "the caller", caller)
		})
	}
}

// TestCertificateIsRenewedUnderACall: the connection of the call stays, new
// ones are shown the new certificate.
func TestCertificateIsRenewedUnderACall(t *testing.T) {
	s := newSecured(t)
	a, b := s.desk("101", s.over("TLS")), s.desk("102", s.over("WSS"))
	caller, callee := s.talks(a, b, "102")
	before := s.serial()
	d := *s.doc
	d.Generation = "renewed"
	serial := s.certify(t, &d)
	if _, err := s.server.Apply(&d); err != nil {
		t.Fatal(err)
	}
	if now := s.serial(); now == before || now != serial {
		t.Errorf("a new connection is shown %s, was %s, want %s", now, before, serial)
	}
	s.hear(caller, callee)
	if err := caller.Hangup(within(t)); err != nil {
		t.Fatal(err)
	}
	ended(t, "the callee", callee)
	s.desk("103", s.over("TLS"))
}

// TestSecureListenersFollowTheDocument: without a certificate nobody listens.
func TestSecureListenersFollowTheDocument(t *testing.T) {
	s := newSecured(t, func(d *conf.Document) { d.SIPTLS = nil })
	if a := s.server.SecureAddr("TLS"); a.IsValid() {
		t.Errorf("TLS is served at %v", a)
	}
	d := *s.doc
	s.certify(t, &d)
	if _, err := s.server.Apply(&d); err != nil {
		t.Fatal(err)
	}
	a, b := s.desk("101", s.over("TLS")), s.desk("102", s.over("UDP"))
	caller, callee := s.talks(a, b, "102")
	d.SIPTLS = nil
	if _, err := s.server.Apply(&d); err != nil {
		t.Fatal(err)
	}
	if a := s.server.SecureAddr("WSS"); a.IsValid() {
		t.Errorf("WSS is served at %v", a)
	}
	if err := callee.Hangup(within(t)); err != nil { // over the connection that was up
		t.Fatal(err)
	}
	ended(t, "the caller", caller)
}

// TestAPhoneComesBackOverANewConnection: its calls are where it is.
func TestAPhoneComesBackOverANewConnection(t *testing.T) {
	for _, transport := range []string{"TCP", "TLS", "WSS"} {
		t.Run(transport, func(t *testing.T) {
			s := newSecured(t)
			a, b := s.desk("101", s.over(transport)), s.desk("102")
			caller, callee := s.talks(a, b, "102")
			comeBack(t, a)
			if err := callee.Hangup(within(t)); err != nil { // the BYE finds it
				t.Fatal(err)
			}
			ended(t, "the caller", caller)

			caller, callee = s.talks(b, a, "101") // the other way round
			comeBack(t, a)
			if err := callee.Hold(within(t)); err != nil { // over the new one
				t.Fatal(err)
			}
			if err := callee.Resume(within(t)); err != nil {
				t.Fatal(err)
			}
			comeBack(t, a)
			s.hear(caller, callee)
			if err := callee.Hangup(within(t)); err != nil {
				t.Fatal(err)
			}
			ended(t, "the caller", caller)
		})
	}
}

// comeBack has a phone lose its connection and register over another one.
func comeBack(t *testing.T, p *phone.Phone) {
	t.Helper()
	if err := p.Disconnect(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := p.Register(within(t), time.Hour); err != nil {
		t.Fatal(err)
	}
}

// TestEncryptedRealPhone has a phone that checks our certificate, and takes
// nothing in the clear, talk with one that knows nothing of that.
func TestEncryptedRealPhone(t *testing.T) {
	if testing.Short() {
		t.Skip("needs baresip")
	}
	for _, tc := range []struct {
		name           string
		caller, callee peer.Baresip
	}{
		{"encrypted calls plain", peer.Baresip{Transport: "tls", Encryption: "srtp-mand"}, peer.Baresip{}},
		{"plain calls encrypted", peer.Baresip{}, peer.Baresip{Transport: "tls", Encryption: "srtp-mand"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSecured(t, func(d *conf.Document) { d.Media.SRTP = "Optional" })
			a, b := s.realPhone("101", 500, tc.caller), s.realPhone("102", 700, tc.callee)
			bothHear(t, a, b)
			command(t, b, "hangup", "")
			event(t, a, peer.Closed)
		})
	}
}

// realPhone is phoneOf for one that may speak TLS.
func (s *secured) realPhone(extension string, hz float64, b peer.Baresip) *peer.BaresipRun {
	s.t.Helper()
	plain := s.sip
	defer func() { s.sip = plain }()
	if b.Transport == "tls" {
		s.sip = s.at("TLS")
		b.Authority = filepath.Join(s.t.TempDir(), "ca.pem")
		if err := os.WriteFile(b.Authority, []byte(s.ca.PEM), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return s.phoneOf(extension, hz, b)
}

// TestSecureCallsOutliveTheProcess: connections end with it, audio goes on, and
// phones that have come back end their calls or are told of the end.
func TestSecureCallsOutliveTheProcess(t *testing.T) {
	p, ca, ports := newProgram(t), pbxtest.NewAuthority(t), pbxtest.FreePorts(t, 2)
	p.configure(func(d *conf.Document) {
		cert, key, _ := ca.Issue(t, d.Tenant.Domain)
		d.SIPTLS = &conf.SIPTLS{Certificate: cert, PrivateKey: conf.Secret(key)}
		d.Network.Ports.SIPS, d.Network.Ports.WSS = ports[0], ports[1]
	})
	p.start()
	over := func(extension, transport string, port int) *phone.Phone {
		ph := newPhone(t, phone.Config{
			User: extension, Password: passwords[extension], Domain: p.doc.Tenant.Domain, NoRefresh: true,
			Transport: transport, Roots: ca.Pool, Server: fmt.Sprintf("127.0.0.1:%d", port),
		})
		if err := ph.Register(within(t), time.Hour); err != nil {
			t.Fatal(err)
		}
		return ph
	}
	one, two := over("101", "TLS", ports[0]), over("102", "WSS", ports[1])
	both := []*calls.Pair{p.pair(one, two, 0), p.pair(one, two, 1)}
	goOn(t, both...)
	p.killChild()
	for _, ph := range []*phone.Phone{one, two} {
		comeBack(t, ph)
	}
	goOn(t, both...)
	hangUp(t, both[0], true)
	hangUp(t, both[1], false)
	settled(t, p.records(2), 2)
}
