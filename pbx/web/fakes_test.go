package web_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/web"
	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	apiToken  = "token-of-acme-0123456789abcdef"
	botSecret = "bot-secret-of-acme"
	botID     = "2000001"
)

// store is a CDR store in memory.
type store struct {
	mu      sync.Mutex
	records []pbx.CDR // newest first
	fail    error
}

func (s *store) Add(_ context.Context, c pbx.CDR) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, c)
	slices.SortFunc(s.records, func(a, b pbx.CDR) int { return b.Started.Compare(a.Started) })
	return nil
}

func (s *store) Get(_ context.Context, id pbx.CallID) (pbx.CDR, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.records {
		if c.ID == id {
			return c, s.fail
		}
	}
	return pbx.CDR{}, pbx.ErrGone
}

func (s *store) Query(_ context.Context, q pbx.CDRQuery) (pbx.CDRPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return pbx.CDRPage{}, s.fail
	}
	skip := 0
	if q.Cursor != "" {
		n, err := strconv.Atoi(q.Cursor)
		if err != nil {
			return pbx.CDRPage{}, errors.New("cursor: bad")
		}
		skip = n
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	var page pbx.CDRPage
	seen := 0
	for _, c := range s.records {
		if !matches(c, q) {
			continue
		}
		if seen++; seen <= skip {
			continue
		}
		if len(page.Records) == q.Limit {
			page.Next = strconv.Itoa(skip + q.Limit)
			break
		}
		page.Records = append(page.Records, c)
	}
	return page, nil
}

func matches(c pbx.CDR, q pbx.CDRQuery) bool {
	digits := strings.NewReplacer("-", "")
	return (q.From.IsZero() || !c.Started.Before(q.From)) && (q.To.IsZero() || c.Started.Before(q.To)) &&
		(q.Extension == "" || c.Involves(q.Extension)) && (q.Direction == "" || c.Direction == q.Direction) &&
		(q.Disposition == "" || c.Disposition == q.Disposition) &&
		(q.Number == "" || strings.Contains(digits.Replace(c.From.Number), q.Number) || strings.Contains(digits.Replace(c.To.Number), q.Number))
}

// control is an engine that only remembers what it was told.
type control struct {
	mu     sync.Mutex
	live   []pbx.Call
	backs  []pbx.CallBack
	ended  []pbx.CallID
	refuse error
}

func (c *control) Pull(context.Context, pbx.Pull) error { return pbx.ErrGone }

func (c *control) CallBack(_ context.Context, b pbx.CallBack) (pbx.CallID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		return "", c.refuse
	}
	c.backs = append(c.backs, b)
	return "new-call", nil
}

func (c *control) Hangup(_ context.Context, id pbx.CallID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.live {
		if l.ID == id {
			c.ended = append(c.ended, id)
			return nil
		}
	}
	return pbx.ErrGone
}

func (c *control) Calls(context.Context) ([]pbx.Call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.live), nil
}

func (c *control) Call(_ context.Context, id pbx.CallID) (pbx.Call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.live {
		if l.ID == id {
			return l, nil
		}
	}
	return pbx.Call{}, pbx.ErrGone
}

// bench is one tenant's web with everything around it.
type bench struct {
	store   *store
	control *control
	server  *web.Server
	http    *httptest.Server
	sim     *sim.Server
	config  web.Config
	log     *syncBuffer
	bodies  chan []byte // what was delivered
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var privateKey = sync.OnceValue(func() string {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return ""
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return ""
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
})

// users of the simulated company: an employee with 101, one with 102, an
// administrator without an extension, and somebody without anything.
func users() []works.User {
	return []works.User{
		{Email: "haneul@acme.example", Name: works.PersonName{Last: "김", First: "하늘"}},
		{Email: "bada@acme.example", Name: works.PersonName{Last: "이", First: "바다"}},
		{Email: "admin@acme.example", Name: works.PersonName{Last: "박", First: "관리"}},
		{Email: "guest@acme.example", Name: works.PersonName{Last: "손", First: "님"}},
	}
}

func newBench(t *testing.T, change ...func(*web.Options)) *bench {
	t.Helper()
	b := &bench{store: &store{}, control: &control{}, log: &syncBuffer{}, bodies: make(chan []byte, 64)}
	s, err := sim.New(sim.Config{
		Apps:  []sim.App{{ClientID: "app", ClientSecret: "app-secret", ServiceAccount: "sa@acme.example", PublicKey: privateKey()}},
		Bots:  []sim.Bot{{BotID: 2000001, Name: "dipcast", Secret: botSecret, DomainID: 1}},
		Users: users(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b.sim = s
	b.http = httptest.NewUnstartedServer(nil)
	b.config = web.Config{
		Tenant: "acme/acme", DisplayName: "에이크미", Locale: "ko-KR", TimeZone: time.FixedZone("KST", 9*3600),
		BaseURL: "http://" + b.http.Listener.Addr().String(), Administrators: []string{"Admin@acme.example"},
		Extensions: []web.Extension{
			{Number: "101", DisplayName: "김하늘", WorksUser: "haneul@acme.example"},
			{Number: "102", DisplayName: "이바다", WorksUser: sim.UserID("bada@acme.example")},
		},
		APIToken: apiToken, SessionKey: []byte("0123456789abcdef0123456789abcdef"),
		OIDC: web.OIDC{IssuerURL: s.URL(), ClientID: "app", ClientSecret: "app-secret"},
		Callback: web.Callback{BotID: botID, Verify: func(body []byte, signature string) bool {
			return works.VerifyCallback(botSecret, body, signature)
		}},
	}
	o := web.Options{
		Config: b.config, CDRs: b.store, Control: b.control, Log: slog.New(slog.NewTextHandler(b.log, nil)),
		Deliver: func(_ context.Context, body []byte) error {
			b.bodies <- body
			return nil
		},
		Ready: func() error { return errors.New("the trunk kt is down") },
	}
	for _, f := range change {
		f(&o)
	}
	b.server, err = web.New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.http.Config = web.NewHTTPServer(b.server.Handler(), slog.New(slog.DiscardHandler))
	b.http.Start()
	t.Cleanup(b.http.Close)
	return b
}

// run serves callbacks until the test ends.
func (b *bench) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

var day = time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)

// record is an inbound call to one extension, n minutes after day.
func record(id, extension string, n int) pbx.CDR {
	start := day.Add(time.Duration(n) * time.Minute)
	from := pbx.Party{Number: "010-1234-5678", Name: "홍길동", Trunk: "kt"}
	to := pbx.Party{Number: extension, Extension: extension}
	answered, ended := start.Add(9*time.Second), start.Add(74*time.Second)
	return pbx.CDR{
		ID: pbx.CallID(id), Direction: pbx.Inbound, From: from, To: to, Dialled: "02-555-0" + extension, Started: start,
		Answered: answered, Ended: ended, Disposition: pbx.Answered, Cause: pbx.Cause{SIP: 200, Q850: 16}, AnsweredBy: to, Offered: []string{extension},
		Legs: []pbx.Leg{
			{
				ID: "a", Role: pbx.RoleCaller, State: pbx.LegEnded, Party: from, Created: start, Answered: answered, Ended: ended,
				Cause: pbx.Cause{SIP: 200, Q850: 16}, Quality: pbx.Quality{PacketsIn: 3250, PacketsOut: 3251, LostIn: 4, JitterIn: 3 * time.Millisecond, Codec: "PCMA"},
			},
			{
				ID: "b", Role: pbx.RoleDesk, State: pbx.LegEnded, Party: to, Created: start.Add(time.Second), Answered: answered, Ended: ended,
				Cause: pbx.Cause{SIP: 200, Q850: 16}, Quality: pbx.Quality{PacketsIn: 3250, PacketsOut: 3246, LostIn: 80, JitterIn: 34 * time.Millisecond, RoundTrip: 28 * time.Millisecond, Codec: "PCMU"},
			},
		},
	}
}

func missed(id, extension string, n int) pbx.CDR {
	c := record(id, extension, n)
	c.Disposition, c.Answered, c.AnsweredBy, c.Cause = pbx.Missed, time.Time{}, pbx.Party{}, pbx.Cause{SIP: 487, Q850: 16}
	c.Ended = c.Started.Add(22 * time.Second)
	for i := range c.Legs {
		c.Legs[i].Answered, c.Legs[i].Ended, c.Legs[i].Quality, c.Legs[i].Cause = time.Time{}, c.Ended, pbx.Quality{}, c.Cause
	}
	return c
}

func add(t *testing.T, s *store, all ...pbx.CDR) {
	t.Helper()
	for _, c := range all {
		if err := s.Add(t.Context(), c); err != nil {
			t.Fatal(fmt.Errorf("record %s: %w", c.ID, err))
		}
	}
}
