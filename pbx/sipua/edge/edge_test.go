package edge_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/registrar"
	"github.com/dipcast/dipcast/pbx/sipua/digest"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
	"github.com/dipcast/dipcast/pbx/sipua/txn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const domain = "acme.example"

// bed is an edge on loopback with everything around it.
type bed struct {
	*edge.Edge
	reg    *registrar.Registrar
	store  *memory
	cfg    edge.Config
	addr   netip.AddrPort
	trunks map[netip.Addr]string

	unseen atomic.Bool

	mu           sync.Mutex
	invites      []edge.Identity
	known        map[string]edge.Identity
	acknowledged []string
	invite       func(*sip.Request, *txn.Server)
}

type memory struct {
	hold  chan struct{} // nil, or what a write waits for
	mu    sync.Mutex
	saved map[string][]pbx.Contact
	saves int
}

// stand makes writes wait for the channel.
func (s *memory) stand(hold chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = hold
}

func (s *memory) Save(_ context.Context, extension string, contacts []pbx.Contact) error {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	if s.saved == nil {
		s.saved = make(map[string][]pbx.Contact)
	}
	s.saved[extension] = contacts
	return nil
}

func (s *memory) Load(_ context.Context, now time.Time) ([]pbx.Contact, error) {
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

func document() *conf.Document {
	d := &conf.Document{Version: conf.Version, Tenant: conf.Tenant{Domain: domain}}
	d.Limits = conf.Limits{Extensions: 100, RegistrationsOperating: 50, RegistrationsMaximum: 100, ConcurrentCalls: 10}
	d.Numbering.Emergency = []string{"119"}
	for i := 101; i <= 120; i++ {
		n := strconv.Itoa(i)
		d.Extensions = append(d.Extensions, conf.Extension{Number: n, MaxContacts: 2, Password: conf.Secret("secret-" + n)})
	}
	return d
}

// newBed starts an edge; change may alter its configuration first.
func newBed(t testing.TB, change func(*edge.Config)) *bed {
	t.Helper()
	doc := document()
	b := &bed{known: make(map[string]edge.Identity), trunks: make(map[netip.Addr]string)}
	log := slog.New(slog.DiscardHandler)
	b.store = &memory{}
	b.reg = registrar.New(registrar.Config{Store: b.store, Now: time.Now, Log: log, Limits: func() (int, int) {
		limits := b.cfg.Document().Limits
		return limits.RegistrationsOperating, limits.RegistrationsMaximum
	}})
	cfg := edge.Config{
		Document: func() *conf.Document { return doc }, Registrar: b.reg,
		Trunk: func(a netip.Addr) (string, bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			n, ok := b.trunks[a.Unmap()]
			return n, ok
		},
		Owner: func(callID, tag string) (edge.Identity, bool) {
			b.mu.Lock()
			defer b.mu.Unlock()
			id, ok := b.known[callID+" "+tag]
			return id, ok
		},
		Unseen: func() bool { return b.unseen.Load() },
		Talks:  b.talks,
		Acknowledge: func(callID, localTag, remoteTag string, seq uint32) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.acknowledged = append(b.acknowledged, fmt.Sprint(callID, " ", localTag, " ", remoteTag, " ", seq))
		},
		Invite: func(req *sip.Request, tx *txn.Server, id edge.Identity) {
			b.mu.Lock()
			b.invites = append(b.invites, id)
			f := b.invite
			b.mu.Unlock()
			if f != nil {
				f(req, tx)
				return
			}
			_ = tx.Respond(sip.NewResponseFromRequest(req, 486, "Busy Here", nil))
		},
		InDialog: func(req *sip.Request, tx *txn.Server) {
			if tx != nil {
				_ = tx.Respond(sip.NewResponseFromRequest(req, 200, "OK", nil))
			}
		},
		Advertise: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()},
		Now:       time.Now, Rand: rand.Reader, Log: log,
	}
	if change != nil {
		change(&cfg)
	}
	b.cfg = cfg
	e, err := edge.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Edge = e
	bind := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}
	if err := e.Listen(t.Context(), bind, edge.Ports{}); err != nil {
		t.Fatal(err)
	}
	if err := e.Serve(); err != nil {
		t.Fatal(err)
	}
	b.addr = e.Addr("UDP")
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { b.reg.Run(ctx) })
	t.Cleanup(func() {
		e.Close()
		cancel()
		wg.Wait()
	})
	return b
}

func (b *bed) talks(match func(netip.Addr) bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range b.known {
		if match(id.Source.Addr()) {
			return true
		}
	}
	return false
}

// set changes what the edge's goroutines read.
func (b *bed) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *bed) trunk(addr string) {
	b.set(func() { b.trunks[netip.MustParseAddr(addr)] = "carrier" })
}

func (b *bed) serve(f func(*sip.Request, *txn.Server)) {
	b.set(func() { b.invite = f })
}

func (b *bed) seen() []edge.Identity {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]edge.Identity(nil), b.invites...)
}

// peer is a raw SIP speaker on loopback.
type peer struct {
	t    testing.TB
	conn net.Conn
	tcp  *bufio.Reader
	seq  int
}

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func (b *bed) dial(t testing.TB, network, from string) *peer {
	t.Helper()
	to := b.addr.String()
	var local net.Addr
	if strings.Contains(from, ":") {
		to = net.JoinHostPort("::1", strconv.Itoa(int(b.addr.Port())))
	}
	switch network {
	case "udp":
		local = &net.UDPAddr{IP: net.ParseIP(from)}
	default:
		local = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	d := net.Dialer{LocalAddr: local}
	conn, err := d.DialContext(t.Context(), network, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p := &peer{t: t, conn: conn}
	if network == "tcp" {
		p.tcp = bufio.NewReader(conn)
	}
	return p
}

func (p *peer) send(text string) {
	p.t.Helper()
	if _, err := p.conn.Write([]byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// receive returns the next message.
func (p *peer) receive() *gate.Message {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	var text []byte
	if p.tcp == nil {
		buf := make([]byte, 65536)
		n, err := p.conn.Read(buf)
		if err != nil {
			p.t.Fatalf("no answer: %v", err)
		}
		text = buf[:n]
	} else {
		for !strings.HasSuffix(string(text), "\r\n\r\n") {
			line, err := p.tcp.ReadString('\n')
			if err != nil {
				p.t.Fatalf("no answer: %v", err)
			}
			text = append(text, line...)
		}
	}
	m := gate.Scan(text)
	if m == nil || m.Fault != "" {
		p.t.Fatalf("not SIP: %q", text)
	}
	return m
}

func (p *peer) ask(text string) *gate.Message {
	p.t.Helper()
	p.send(text)
	return p.receive()
}

// msg are the parts of a request that tests vary.
type msg struct {
	method, uri, from, to, callID, branch, fromTag, toTag string
	seq                                                   int
	extra                                                 []string
	body                                                  string
	max                                                   string
}

func (p *peer) text(r msg) string {
	set := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	p.seq++
	host, _, _ := net.SplitHostPort(p.conn.LocalAddr().String())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	_, port, _ := net.SplitHostPort(p.conn.LocalAddr().String())
	set(&r.uri, "sip:"+domain)
	set(&r.from, "sip:101@"+domain)
	set(&r.to, r.from)
	set(&r.callID, fmt.Sprintf("call-%s-%d", port, p.seq))
	set(&r.branch, fmt.Sprintf("z9hG4bKt%s%d", port, p.seq))
	set(&r.fromTag, "ft")
	set(&r.max, "70")
	if r.seq == 0 {
		r.seq = p.seq
	}
	if r.toTag != "" {
		r.toTag = ";tag=" + r.toTag
	}
	transport := "UDP"
	if p.tcp != nil {
		transport = "TCP"
	}
	lines := append([]string{
		r.method + " " + r.uri + " SIP/2.0",
		"Via: SIP/2.0/" + transport + " " + host + ":" + port + ";branch=" + r.branch + ";rport",
		"From: <" + r.from + ">;tag=" + r.fromTag,
		"To: <" + r.to + ">" + r.toTag,
		"Call-ID: " + r.callID,
		"CSeq: " + strconv.Itoa(r.seq) + " " + r.method,
		"Max-Forwards: " + r.max,
		"User-Agent: dipcast-test",
	}, r.extra...)
	return strings.Join(append(lines, "Content-Length: "+strconv.Itoa(len(r.body)), "", r.body), "\r\n")
}

// login answers the challenge in res for a request to the same URI.
func login(t testing.TB, res *gate.Message, algorithm, user, secret, method, uri string, nc uint32) string {
	t.Helper()
	for _, v := range res.Values("www-authenticate") {
		if c, ok := digest.ParseChallenge(v); ok && c.Algorithm == algorithm {
			return "Authorization: " + digest.Answer(c, user, secret, method, uri, "cnonce", nc)
		}
	}
	t.Fatalf("no %s challenge in %q", algorithm, res.Text())
	return ""
}

func (p *peer) contact(user string) string {
	s := "Contact: <sip:" + user + "@" + p.conn.LocalAddr().String() + ">"
	return s
}

// register does a whole registration and returns the last answer.
func (p *peer) register(algorithm, user, secret string, extra ...string) *gate.Message {
	p.t.Helper()
	r := msg{method: "REGISTER", from: "sip:" + user + "@" + domain, callID: "reg-" + user + p.conn.LocalAddr().String()}
	res := p.ask(p.text(r))
	if res.Status != 401 {
		return res
	}
	r.extra = append([]string{
		p.contact(user),
		login(p.t, res, algorithm, user, secret, "REGISTER", "sip:"+domain, 1),
	}, extra...)
	return p.ask(p.text(r))
}

func TestRegister(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		for _, from := range []string{"127.0.0.1", "::1"} {
			for _, algorithm := range []string{"MD5", "SHA-256"} {
				t.Run(network+" "+from+" "+algorithm, func(t *testing.T) {
					b := newBed(t, nil)
					p := b.dial(t, network, from)
					res := p.register(algorithm, "101", "secret-101", "Expires: 300")
					if res.Status != 200 {
						t.Fatalf("answer: %q", res.Text())
					}
					if got := res.List("contact"); len(got) != 1 || !strings.Contains(got[0], ";expires=300") {
						t.Fatalf("contacts %q, want one that expires in 300 s", got)
					}
					cs := b.reg.Contacts("101")
					if len(cs) != 1 || cs[0].Source.String() != p.conn.LocalAddr().String() || cs[0].Transport != strings.ToUpper(network) {
						t.Fatalf("bindings %+v", cs)
					}
				})
			}
		}
	}
}
