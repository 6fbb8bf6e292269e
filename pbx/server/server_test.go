package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/phone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// running is a server that runs.
type running struct {
	*Server
	t    *testing.T
	stop func() // asks for the end and waits for it
}

func run(t *testing.T, d *conf.Document, change ...func(*Options)) *running {
	t.Helper()
	o := Options{Document: d, DataDir: t.TempDir(), Program: "test"}
	for _, c := range change {
		c(&o)
	}
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	r := &running{Server: s, t: t, stop: func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}}
	t.Cleanup(r.stop)
	return r
}

func (r *running) phone(extension string) *phone.Phone {
	r.t.Helper()
	p, err := phone.New(phone.Config{
		User: extension, Password: "correct-horse-" + extension, Domain: "acme.pbx.example", Server: r.SIPAddr().String(),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(p.Close)
	return p
}

func (r *running) registered(extension string) *phone.Phone {
	r.t.Helper()
	p := r.phone(extension)
	if err := p.Register(within(r.t), time.Hour); err != nil {
		r.t.Fatal(err)
	}
	return p
}

// call connects two phones.
func (r *running) call(from, to *phone.Phone, number string) *phone.Call {
	r.t.Helper()
	c, err := from.Dial(within(r.t), number, phone.DialOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	e, err := to.WaitIncoming(within(r.t))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := e.Answer(within(r.t)); err != nil {
		r.t.Fatal(err)
	}
	e.Play(tone.Sine(660, 0.5))
	if err := c.WaitTone(within(r.t), 660); err != nil {
		r.t.Fatal(err)
	}
	return c
}

func (r *running) get(addr, path string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(within(r.t), http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// leavesNothing runs f and proves that it leaves no goroutine and no open file
// or socket behind.
func leavesNothing(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	before, others := openFiles(t), goleak.IgnoreCurrent()
	t.Run("life", f) // its Cleanup is part of it
	if err := goleak.Find(others); err != nil {
		t.Error(err)
	}
	if after := openFiles(t); len(after) > len(before) {
		t.Errorf("%d files and sockets are open, %d were before: %v", len(after), len(before), after)
	}
}

func openFiles(t *testing.T) (list []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			list = append(list, target)
		}
	}
	return list
}

func TestALifeLeavesNothing(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		r := run(t, sample())
		c := r.call(r.registered("101"), r.registered("102"), "102")
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			if code, body := r.get(r.AdminAddr(), path); code != http.StatusOK {
				t.Errorf("%s: %d %s", path, code, body)
			}
		}
		r.stop() // with a call that goes on, and phones that are registered
		if _, err := c.WaitEnded(within(t)); err != nil {
			t.Error(err)
		}
	})
}

func TestServerThatIsNotRunLeavesNothing(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		s, err := New(t.Context(), Options{Document: sample(), DataDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Run(ended); err != nil {
			t.Error(err)
		}
	})
}

// withBot is a bot whose service is nowhere.
func withBot(d *conf.Document) *conf.Bot {
	d.Bot = &conf.Bot{
		BotID: 1, DomainID: 2, APIURL: "http://127.0.0.1:9/v1.0", AuthURL: "http://127.0.0.1:9/oauth2/v2.0",
		IssuerURL: "http://127.0.0.1:9",
		Credentials: conf.Credentials{
			ClientID: "c", ClientSecret: "s", ServiceAccount: "a@acme.example", PrivateKey: "not a key", BotSecret: "b",
		},
	}
	return d.Bot
}

func TestNewThatFailsLeavesNothing(t *testing.T) {
	for _, tc := range []struct {
		name   string
		spoil  func(t *testing.T, o *Options)
		reason string
	}{
		{"the document is wrong", func(_ *testing.T, o *Options) { o.Document.Version = 99 }, "version 99"},
		{"no address for the node", func(_ *testing.T, o *Options) {
			o.Document.Network.Advertise = map[string][]string{"a-node": {"127.0.0.1"}}
		}, `no address for node ""`},
		{"no data folder", func(t *testing.T, o *Options) { o.DataDir = filepath.Join(t.TempDir(), "none") }, "none"},
		{"a database that cannot be named", func(_ *testing.T, o *Options) { o.Document.Database.PostgresDSN = "postgres://%" }, "DSN"},
		{"an address that is not ours", func(_ *testing.T, o *Options) { o.Document.Network.Bind = []string{"203.0.113.1"} }, "203.0.113.1"},
		{"SIP port in use over UDP", func(t *testing.T, o *Options) { o.Document.Network.Ports.SIP = takeUDP(t) }, "address already in use"},
		{"SIP port in use over TCP", func(t *testing.T, o *Options) { o.Document.Network.Ports.SIP = takeTCP(t) }, "address already in use"},
		{"HTTP port in use", func(t *testing.T, o *Options) { o.Document.Network.Ports.HTTP = takeTCP(t) }, "address already in use"},
		{"admin port in use", func(t *testing.T, o *Options) { o.Document.Network.Ports.Admin = takeTCP(t) }, "address already in use"},
		{"the bot's key is no key", func(_ *testing.T, o *Options) { withBot(o.Document) }, "key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			leavesNothing(t, func(t *testing.T) {
				o := Options{Document: sample(), DataDir: t.TempDir()}
				tc.spoil(t, &o)
				s, err := New(t.Context(), o)
				if err == nil || s != nil {
					t.Fatalf("a server %v, error %v", s, err)
				}
				if !strings.Contains(err.Error(), tc.reason) {
					t.Errorf("error %q, want %q", err, tc.reason)
				}
			})
		})
	}
}

func takeUDP(t *testing.T) int {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return portOf(t, c.LocalAddr())
}

func takeTCP(t *testing.T) int {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return portOf(t, l.Addr())
}

func portOf(t *testing.T, a net.Addr) int {
	t.Helper()
	switch a := a.(type) {
	case *net.UDPAddr:
		return a.Port
	case *net.TCPAddr:
		return a.Port
	}
	t.Fatalf("an address of type %T", a)
	return 0
}

func TestBrokenDocumentChangesNothing(t *testing.T) {
	r := run(t, sample())
	one, two := r.registered("101"), r.registered("102")
	c := r.call(one, two, "102")
	for _, tc := range []struct {
		name   string
		spoil  func(d *conf.Document)
		reason string
	}{
		{"another version", func(d *conf.Document) { d.Version = 99 }, "version 99"},
		{"another tenant", func(d *conf.Document) { d.Tenant.Name = "beta" }, "of another tenant"},
		{"an extension twice", func(d *conf.Document) { d.Extensions[1].Number = "101" }, "101"},
		{"no calls at all", func(d *conf.Document) { d.Limits.ConcurrentCalls = 0 }, "concurrentCalls"},
		{"a bot without a key", func(d *conf.Document) { withBot(d) }, "key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := clone(t, sample())
			d.Generation = "2"
			d.Extensions = d.Extensions[:2]
			d.Extensions[0].DisplayName, d.Extensions[0].Password = "somebody else", "another-password"
			d.Web.Administrators = []string{"mallory@acme.example"}
			tc.spoil(d)
			plan, err := r.Apply(d)
			if err == nil || plan != nil {
				t.Fatalf("plan %v, error %v", plan, err)
			}
			if !strings.Contains(err.Error(), tc.reason) {
				t.Errorf("error %q, want %q", err, tc.reason)
			}
			if r.document().Generation != "1" {
				t.Errorf("generation %s is in force", r.document().Generation)
			}
			if err := one.Register(within(t), time.Hour); err != nil {
				t.Errorf("the old password is not valid any more: %v", err)
			}
			if err := c.WaitTone(within(t), 660); err != nil {
				t.Error(err)
			}
		})
	}
	if _, body := r.get(r.AdminAddr(), "/metrics"); !strings.Contains(body, "refused") {
		t.Error("the metrics do not tell of refused documents")
	}
}

func TestAppliedWhileCallsGoOn(t *testing.T) {
	r := run(t, sample())
	c := r.call(r.registered("101"), r.registered("102"), "102")
	d := clone(t, sample())
	d.Generation = "2"
	d.Extensions = append(d.Extensions, conf.Extension{Number: "103", MaxContacts: 1, Password: "correct-horse-103"})
	d.Network.Ports.HTTP = pbxtest.FreePorts(t, 1)[0]
	plan, err := r.Apply(d)
	if err != nil {
		t.Fatal(err)
	}
	if plan[PartRouting] != Update || plan[PartListeners] != Restart || plan[PartDatabase] != None {
		t.Errorf("plan %v", plan)
	}
	r.registered("103")
	if err := c.WaitTone(within(t), 660); err != nil {
		t.Error(err)
	}
	d = clone(t, d)
	d.Generation = "3"
	if plan, err = r.Apply(d); err != nil || plan[PartListeners] != Restart || plan[PartRouting] != None {
		t.Errorf("plan %v, %v: the listeners still wait for a restart", plan, err)
	}
	d = clone(t, d)
	d.Generation, d.Network = "4", sample().Network
	if plan, err = r.Apply(d); err != nil || len(plan.Restarts()) > 0 {
		t.Errorf("plan %v, %v: the listeners are as they were from the beginning", plan, err)
	}
	if code, _ := r.get(r.HTTPAddr(), "/"); code == 0 {
		t.Error("the old HTTP port is not served any more")
	}
}

func TestRegistrationsOfTheClass(t *testing.T) {
	d := sample()
	d.Limits.RegistrationsOperating, d.Limits.RegistrationsMaximum = 1, 2
	r := run(t, d)
	first := r.registered("101")
	r.registered("102")
	third := r.phone("101")
	var refused *phone.StatusError
	if err := third.Register(within(t), time.Hour); !errors.As(err, &refused) || refused.Code != 403 || !strings.Contains(refused.Reason, "Limit") {
		t.Errorf("the third registration of two: %v", err)
	}
	if err := first.Register(within(t), time.Hour); err != nil {
		t.Errorf("a registered phone cannot refresh: %v", err)
	}
	if err := first.Unregister(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := third.Register(within(t), time.Hour); err != nil {
		t.Errorf("a place is free, and: %v", err)
	}
}

func TestCallsOfTheClass(t *testing.T) {
	d := sample()
	d.Limits.ConcurrentCalls = 1
	for n := 103; n <= 104; n++ {
		d.Extensions = append(d.Extensions, conf.Extension{
			Number: fmt.Sprint(n), MaxContacts: 1, Password: conf.Secret(fmt.Sprintf("correct-horse-%d", n)),
		})
	}
	r := run(t, d)
	first := r.call(r.registered("101"), r.registered("102"), "102")
	third := r.registered("103")
	fourth := r.registered("104")
	second, err := third.Dial(within(t), "104", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cause, err := second.WaitEnded(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if cause.Code != 503 || !strings.Contains(cause.Text+cause.Reason, "all 1 calls of the product's limit are in use") || second.EndHeader("Retry-After") == "" {
		t.Errorf("the second call of one: %+v, Retry-After %q", cause, second.EndHeader("Retry-After"))
	}
	if err := first.Hangup(within(t)); err != nil {
		t.Fatal(err)
	}
	if c := r.record(pbx.CDRQuery{Disposition: pbx.Refused}); c.From.Extension != "103" {
		t.Errorf("the record of the refused call: %+v", c)
	}
	r.waitFor("the first call is over", func() bool { return r.engine.Active() == 0 })
	again, err := third.Dial(within(t), "104", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := fourth.WaitIncoming(within(t))
	if err != nil {
		t.Fatalf("a line is free, and: %v", err)
	}
	if err := e.Ring(); err != nil {
		t.Fatal(err)
	}
	if err := again.WaitRinging(within(t)); err != nil {
		t.Errorf("a line is free, and: %v", err)
	}
}

// record waits for the only record that the query finds.
func (r *running) record(q pbx.CDRQuery) (c pbx.CDR) {
	r.t.Helper()
	r.waitFor("there is one record", func() bool {
		page, err := r.CDRs().Query(within(r.t), q)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(page.Records) != 1 {
			return false
		}
		c = page.Records[0]
		return true
	})
	return c
}

// waitFor waits until the condition holds.
func (r *running) waitFor(what string, holds func() bool) {
	r.t.Helper()
	ctx := within(r.t)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			r.t.Fatalf("it does not come to pass that %s", what)
		case <-again.C:
		}
	}
}
