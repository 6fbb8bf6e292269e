package e2e

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/manifest"
	"github.com/dipcast/dipcast/pbx/call"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/phone"
	"github.com/dipcast/dipcast/pbx/server"
	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; nothing takes that long on a
// machine that is not overloaded.
const patience = 30 * time.Second

const samples = "../../config/samples/demo"

// passwords of the sample's extensions, as config/samples/demo gives them.
var passwords = map[string]string{
	"101": "demo-haneul-7Qm2vXc9", "102": "demo-bada-4Tz8kWn1", "103": "demo-sol-9Rb5yHd3",
}

// The people of the sample.
const (
	haneul = "haneul@acme.example" // 101
	bada   = "bada@acme.example"   // 102
	sol    = "sol@acme.example"    // 103
)

// rig is one PBX of the sample tenant with its NAVER WORKS and its carrier.
type rig struct {
	t       *testing.T
	sim     *sim.Server
	server  *server.Server
	doc     *conf.Document
	carrier *phone.Phone // plays the telephone company: outside callers, mobiles
	sip     string       // host:port of the PBX, UDP and TCP
	dir     string       // data folder
}

// setup is what a test may change before the PBX starts.
type setup struct {
	document func(*conf.Document)
	works    func(*sim.Config)
	timing   call.Timing
	drainFor time.Duration
	dir      string // data folder; empty = a fresh one
}

// newRig starts the sample tenant. Everything ends with the test.
func newRig(t *testing.T, s setup) *rig {
	t.Helper()
	r := &rig{t: t, dir: s.dir}
	if r.dir == "" {
		r.dir = t.TempDir()
	}
	r.sim = startWorks(t, s.works)
	r.carrier = newPhone(t, phone.Config{User: "carrier", Listen: "127.0.0.2:0"})
	r.doc = document(t)
	r.doc.Network.Bind = []string{"127.0.0.1"}
	r.doc.Network.Ports = conf.Ports{} // the kernel chooses
	r.doc.Bot.APIURL, r.doc.Bot.AuthURL, r.doc.Bot.IssuerURL = r.sim.APIURL(), r.sim.AuthURL(), r.sim.URL()
	r.doc.Trunks[0].Hosts = []conf.TrunkHost{{Host: "127.0.0.2", Port: int(r.carrier.Addr().Port()), Transport: "UDP"}}
	r.doc.Trunks[0].AllowedCIDRs = []string{"127.0.0.2/32"}
	if s.document != nil {
		s.document(r.doc)
	}
	r.start(s)
	return r
}

// start runs the PBX until the test ends.
func (r *rig) start(s setup) {
	r.t.Helper()
	srv, err := server.New(r.t.Context(), server.Options{
		Document: r.doc, DataDir: r.dir, DrainFor: s.drainFor, CallTiming: s.timing, Log: logger(r.t),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.server = srv
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	r.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			r.t.Errorf("the PBX ended with %v", err)
		}
	})
	r.sip = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), srv.SIPAddr().Port()).String()
	d := *r.doc
	d.Web.BaseURL, d.Generation = "http://"+srv.HTTPAddr(), d.Generation+"-addressed"
	if _, err := srv.Apply(&d); err != nil {
		r.t.Fatal(err)
	}
	r.doc = &d
	if r.doc.Bot != nil {
		if err := srv.ManageBot(within(r.t), d.Web.BaseURL); err != nil {
			r.t.Fatal(err)
		}
	}
}

// document compiles the sample manifests.
func document(t *testing.T) *conf.Document {
	t.Helper()
	loader, err := manifest.NewLoader()
	if err != nil {
		t.Fatal(err)
	}
	set, problems := loader.Load([]string{samples})
	if compile.HasErrors(problems) {
		t.Fatalf("the sample has problems: %v", problems)
	}
	tenants := set.Tenants()
	manifest.AssignPorts(tenants)
	in := tenants[0]
	in.Generation = "test"
	for _, w := range compile.MissingSecrets(in) {
		if in.Secrets[w.Name], err = w.Make(random{}); err != nil {
			t.Fatal(err)
		}
	}
	d, problems := compile.Compile(in)
	if d == nil {
		t.Fatalf("the sample does not compile: %v", problems)
	}
	return d
}

// random is a source of bytes for secrets that nobody attacks.
type random struct{}

func (random) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(i*7 + 3)
	}
	return len(b), nil
}

var _ io.Reader = random{}

// startWorks starts a NAVER WORKS with the sample's company.
func startWorks(t *testing.T, change func(*sim.Config)) *sim.Server {
	t.Helper()
	d := document(t)
	c := sim.Config{
		Apps: []sim.App{{
			ClientID: d.Bot.Credentials.ClientID, ClientSecret: d.Bot.Credentials.ClientSecret.Reveal(),
			ServiceAccount: d.Bot.Credentials.ServiceAccount, PublicKey: d.Bot.Credentials.PrivateKey.Reveal(),
			DomainID: d.Bot.DomainID,
		}},
		Bots: []sim.Bot{{BotID: d.Bot.BotID, Name: "DIPCAST", Secret: d.Bot.Credentials.BotSecret.Reveal(), DomainID: d.Bot.DomainID}},
		Users: []works.User{
			user(haneul, "김", "하늘", "ko_KR"), user(bada, "이", "바다", "en_US"), user(sol, "박", "솔", "ko_KR"),
		},
		RatePerMinute: -1,
	}
	if change != nil {
		change(&c)
	}
	s, err := sim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func user(email, last, first, locale string) works.User {
	return works.User{
		UserID: sim.UserID(email), Email: email, DomainID: 40029600, Locale: locale,
		Name: works.PersonName{Last: last, First: first},
	}
}

// newPhone makes a phone that ends with the test.
func newPhone(t *testing.T, c phone.Config) *phone.Phone {
	t.Helper()
	p, err := phone.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// desk registers a phone of an extension.
func (r *rig) desk(extension string, change ...func(*phone.Config)) *phone.Phone {
	r.t.Helper()
	c := phone.Config{User: extension, Password: passwords[extension], Domain: r.doc.Tenant.Domain, Server: r.sip}
	for _, f := range change {
		f(&c)
	}
	p := newPhone(r.t, c)
	if err := p.Register(within(r.t), time.Hour); err != nil {
		r.t.Fatalf("extension %s: %v", extension, err)
	}
	return p
}

// callIn lets an outside caller dial a number of the company.
func (r *rig) callIn(number string) *phone.Call {
	r.t.Helper()
	c, err := r.carrier.Dial(within(r.t), "sip:"+number+"@"+r.sip, phone.DialOptions{From: "01099998888", FromName: "홍길동"})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// rings waits for a call at the phone and answers it with 180.
func rings(t *testing.T, p *phone.Phone) *phone.Call {
	t.Helper()
	c, err := p.WaitIncoming(within(t))
	if err != nil {
		t.Fatalf("the phone does not ring: %v", err)
	}
	if err := c.Ring(); err != nil {
		t.Fatal(err)
	}
	return c
}

// answer picks the call up.
func answer(t *testing.T, c *phone.Call) {
	t.Helper()
	if err := c.Answer(within(t)); err != nil {
		t.Fatalf("the call cannot be answered: %v", err)
	}
}

// card waits for the n-th message of the user (from 0) that has buttons.
func (r *rig) card(user string, n int) sim.Message {
	r.t.Helper()
	m, err := r.sim.Wait(within(r.t), user, func(sim.Message) bool {
		return len(r.cards(user)) > n
	})
	if err != nil {
		r.t.Fatalf("%s got no card: %v", user, err)
	}
	_ = m
	return r.cards(user)[n]
}

func (r *rig) cards(user string) (list []sim.Message) {
	for _, m := range r.sim.Messages(user) {
		if len(m.Buttons) > 0 {
			list = append(list, m)
		}
	}
	return list
}

// said waits until the bot has said something with that text to the user.
func (r *rig) said(user, text string) sim.Message {
	r.t.Helper()
	m, err := r.sim.Wait(within(r.t), user, func(m sim.Message) bool { return strings.Contains(m.Text.Text, text) })
	if err != nil {
		var all []string
		for _, m := range r.sim.Messages(user) {
			all = append(all, m.Text.Text)
		}
		r.t.Fatalf("the bot did not say %q to %s: %v; it said %q", text, user, err, all)
	}
	return m
}

// press presses the button with that label on the user's card.
func (r *rig) press(user string, card sim.Message, label string) {
	r.t.Helper()
	for i, b := range card.Buttons {
		if b.Label.Text == label {
			if err := r.sim.Press(within(r.t), user, card.Index, i); err != nil {
				r.t.Fatal(err)
			}
			return
		}
	}
	r.t.Fatalf("the card has no button %q: %v", label, card.Buttons)
}

// hears proves that the call's peer says the tone.
func hears(t *testing.T, c *phone.Call, who string, hz float64) {
	t.Helper()
	if err := c.WaitTone(within(t), hz); err != nil {
		t.Errorf("%s does not hear %.0f Hz: %v", who, hz, err)
	}
}

// within is a context that ends with the test's patience.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// logger writes to the test's log if E2E_LOG is set.
func logger(t *testing.T) *slog.Logger {
	t.Helper()
	if os.Getenv("E2E_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}
