package sipua_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/sipua"
	"github.com/dipcast/dipcast/pbx/sipua/digest"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type store struct {
	mu    sync.Mutex
	saved map[string][]pbx.Contact
}

func (s *store) Save(_ context.Context, extension string, contacts []pbx.Contact) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saved[extension] = contacts
	return nil
}

func (s *store) Load(_ context.Context, now time.Time) ([]pbx.Contact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []pbx.Contact
	for _, list := range s.saved {
		for _, c := range list {
			if c.Expires.After(now) {
				out = append(out, c)
			}
		}
	}
	return out, nil
}

func document(extensions ...string) *conf.Document {
	d := &conf.Document{Version: conf.Version, Tenant: conf.Tenant{Domain: "acme.example"}}
	for _, n := range extensions {
		d.Extensions = append(d.Extensions, conf.Extension{Number: n, MaxContacts: 2, Password: "secret"})
	}
	return d
}

var loopback = []netip.Addr{netip.MustParseAddr("127.0.0.1")}

// start runs an agent and returns what stops it.
func start(t *testing.T, s pbx.ContactStore) (*sipua.Agent, func()) {
	t.Helper()
	a, err := sipua.New(sipua.Config{
		Document: document("101", "102"), Advertise: loopback, Bind: loopback, Store: s,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return a, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// exchange sends a request over UDP and returns the answer.
func exchange(t *testing.T, conn net.Conn, method, user string, seq int, extra string) *gate.Message {
	t.Helper()
	text := fmt.Sprintf("%s sip:acme.example SIP/2.0\r\nVia: SIP/2.0/UDP x;rport;branch=z9hG4bK%s%d\r\n"+
		"From: <sip:%s@acme.example>;tag=1\r\nTo: <sip:%s@acme.example>\r\nCall-ID: %s\r\nCSeq: %d %s\r\n"+
		"Contact: <sip:%s@%s>\r\nMax-Forwards: 70\r\n%sContent-Length: 0\r\n\r\n",
		method, user, seq, user, user, user, seq, method, user, conn.LocalAddr(), extra)
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return gate.Scan(buf[:n])
}

func register(t *testing.T, conn net.Conn, user string) int {
	t.Helper()
	res := exchange(t, conn, "REGISTER", user, 1, "")
	c, ok := digest.ParseChallenge(res.Get("www-authenticate"))
	if !ok {
		t.Fatalf("no challenge: %q", res.Text())
	}
	proof := digest.Answer(c, user, "secret", "REGISTER", "sip:acme.example", "cn", 1)
	return exchange(t, conn, "REGISTER", user, 2, "Authorization: "+proof+"\r\n").Status
}

func TestAgent(t *testing.T) {
	s := &store{saved: make(map[string][]pbx.Contact)}
	a, stop := start(t, s)
	addr := a.SIPAddr("UDP")
	if addr.Port() == 0 || a.SIPAddr("TCP") != addr || a.SIPAddr("TLS").IsValid() {
		t.Fatalf("listens on %s", addr)
	}
	conn, err := net.Dial("udp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := register(t, conn, "101"); got != 200 {
		t.Fatalf("REGISTER: %d", got)
	}
	if got := register(t, conn, "102"); got != 200 {
		t.Fatalf("REGISTER: %d", got)
	}
	if cs := a.Contacts("101"); len(cs) != 1 || cs[0].Source.String() != conn.LocalAddr().String() {
		t.Fatalf("contacts %+v", cs)
	}
	if err := a.Apply(document("101")); err != nil {
		t.Fatal(err)
	}
	if len(a.Contacts("102")) != 0 || len(a.Contacts("101")) != 1 {
		t.Error("the bindings do not follow the document")
	}
	if a.TrunkUp("none") {
		t.Error("a trunk that does not exist is up")
	}
	a.Drain()
	if res := exchange(t, conn, "OPTIONS", "101", 9, ""); res.Status != 503 || res.Get("retry-after") == "" {
		t.Errorf("while draining: %q", res.Text())
	}
	a.Resume()
	if res := exchange(t, conn, "OPTIONS", "101", 10, ""); res.Status != 200 {
		t.Errorf("after the drain: %q", res.Text())
	}
	stop()

	again, stopAgain := start(t, s)
	defer stopAgain()
	if cs := again.Contacts("101"); len(cs) != 1 || len(again.Contacts("102")) != 0 {
		t.Errorf("after a restart: %+v", cs)
	}
}

func TestNewRefuses(t *testing.T) {
	taken, stop := start(t, nil)
	defer stop()
	for name, cfg := range map[string]sipua.Config{
		"no document":           {Advertise: loopback},
		"no advertised address": {Document: document()},
		"port is taken":         {Document: document(), Advertise: loopback, Bind: loopback, Ports: sipua.Ports{SIP: int(taken.SIPAddr("UDP").Port())}},
	} {
		if a, err := sipua.New(cfg); err == nil {
			a.Close()
			t.Errorf("%s: no error", name)
		} else if strings.Contains(name, "port") && !strings.Contains(err.Error(), "SIP port") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
