package registrar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var source = netip.MustParseAddrPort("192.0.2.1:5060")

// run starts a registrar whose writer ends with the test.
func run(t *testing.T, cfg Config) *Registrar {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Log = slog.New(slog.DiscardHandler)
	r := New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { r.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return r
}

func ask(r *Registrar, q Request) Result {
	done := make(chan Result, 1)
	r.Register(&q, func(res Result) { done <- res })
	return <-done
}

func one(uri string, seq uint32, expires time.Duration) Request {
	return Request{
		Extension: "101", CallID: "c", CSeq: seq, Source: source, Transport: "UDP", Expires: expires,
		Bindings: []Binding{{URI: uri, Expires: -1, Q: 1}},
	}
}

func TestRegister(t *testing.T) {
	const a, b, c = "sip:101@192.0.2.1:5060", "sip:101@192.0.2.2:5060", "sip:101@192.0.2.3:5060"
	type step struct {
		name   string
		q      Request
		status int
		uris   []string
	}
	instance := func(q Request, id string, reg int) Request {
		q.Bindings[0].InstanceID, q.Bindings[0].RegID = id, reg
		return q
	}
	star := func(seq uint32, expires time.Duration) Request {
		q := one(a, seq, expires)
		q.Bindings, q.All = nil, true
		return q
	}
	query := one(a, 9, -1)
	query.Bindings = nil
	for name, steps := range map[string][]step{
		"add, refresh, add, remove": {
			{"add", one(a, 1, 300*time.Second), 200, []string{a}},
			{"refresh", one(a, 2, 300*time.Second), 200, []string{a}},
			{"second phone", one(b, 3, 300*time.Second), 200, []string{a, b}},
			{"query", query, 200, []string{a, b}},
			{"too many", one(c, 4, 300*time.Second), 403, []string{a, b}},
			{"remove", one(a, 5, 0), 200, []string{b}},
			{"remove what is not there", one(a, 6, 0), 200, []string{b}},
		},
		"order": {
			{"add", one(a, 5, 300*time.Second), 200, []string{a}},
			{"retransmission", one(a, 5, 300*time.Second), 200, []string{a}},
			{"older", one(a, 4, 0), 500, []string{a}},
			{"older star", star(4, 0), 500, []string{a}},
		},
		"intervals": {
			{"too brief", one(a, 1, 10*time.Second), 423, nil},
			{"default", one(a, 2, -1), 200, []string{a}},
			{"overlarge", one(a, 3, 1e6*time.Second), 200, []string{a}},
		},
		"star": {
			{"add", one(a, 1, 300*time.Second), 200, []string{a}},
			{"star that does not remove", star(2, 300*time.Second), 400, []string{a}},
			{"star without Expires", star(2, -1), 400, []string{a}},
			{"star", star(2, 0), 200, nil},
		},
		"instances": {
			{"flow 1", instance(one(a, 1, 300*time.Second), "<urn:x>", 1), 200, []string{a}},
			{"flow 1 from elsewhere", instance(one(b, 2, 300*time.Second), "<urn:x>", 1), 200, []string{b}},
			{"flow 2", instance(one(c, 3, 300*time.Second), "<urn:x>", 2), 200, []string{b, c}},
			{"no instance", one(a, 4, 300*time.Second), 403, []string{b, c}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, Config{Store: &memory{}})
			for _, s := range steps {
				s.q.MaxContacts = 2
				res := ask(r, s.q)
				if res.Status != s.status {
					t.Fatalf("%s: %d %s, want %d", s.name, res.Status, res.Reason, s.status)
				}
				var uris []string
				r.mu.Lock()
				for _, c := range r.aors["101"] {
					uris = append(uris, c.URI)
				}
				r.mu.Unlock()
				if fmt.Sprint(uris) != fmt.Sprint(s.uris) {
					t.Fatalf("%s: bindings %v, want %v", s.name, uris, s.uris)
				}
			}
		})
	}
}

func TestClassLimits(t *testing.T) {
	r := run(t, Config{Limits: func() (int, int) { return 2, 3 }})
	for i := range 5 {
		q := one("sip:x@h", 1, -1)
		q.Extension = fmt.Sprint(100 + i)
		if res := ask(r, q); (res.Status == 200) != (i < 3) {
			t.Errorf("registration %d: %d %s", i, res.Status, res.Reason)
		}
	}
	if r.Count() != 3 || r.Counters.OverOperating.Load() != 1 {
		t.Errorf("%d bindings, %d above operating", r.Count(), r.Counters.OverOperating.Load())
	}
	refresh := one("sip:x@h", 2, -1)
	refresh.Extension = "100"
	if res := ask(r, refresh); res.Status != 200 {
		t.Errorf("a refresh at the limit: %d", res.Status)
	}
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &memory{}
		r := run(t, Config{Store: s})
		ask(r, one("sip:a@h", 1, time.Minute))
		time.Sleep(59 * time.Second) //nolint:forbidigo // synctest's clock
		if len(r.Contacts("101")) != 1 {
			t.Fatal("gone too early")
		}
		time.Sleep(time.Second) //nolint:forbidigo // synctest's clock
		if len(r.Contacts("101")) != 0 {
			t.Fatal("an expired binding is given out")
		}
		time.Sleep(sweepEvery) //nolint:forbidigo // synctest's clock
		synctest.Wait()
		if r.Count() != 0 || len(s.list("101")) != 0 {
			t.Fatal("an expired binding stays in memory or in the store")
		}
	})
}

// memory is a store that can fail or hang.
type memory struct {
	mu    sync.Mutex
	saved map[string][]pbx.Contact
	saves int
	err   error
	gate  chan struct{} // if set, each save waits for it
}

func (s *memory) SaveAll(ctx context.Context, all map[string][]pbx.Contact) error {
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.saves++
	if s.saved == nil {
		s.saved = make(map[string][]pbx.Contact)
	}
	for k, v := range all {
		s.saved[k] = v
	}
	return nil
}

func (s *memory) Save(ctx context.Context, extension string, contacts []pbx.Contact) error {
	return s.SaveAll(ctx, map[string][]pbx.Contact{extension: contacts})
}

func (s *memory) list(extension string) []pbx.Contact {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved[extension]
}

func (s *memory) Load(_ context.Context, now time.Time) ([]pbx.Contact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []pbx.Contact
	for _, l := range s.saved {
		for _, c := range l {
			if c.Expires.After(now) {
				out = append(out, c)
			}
		}
	}
	return out, nil
}

func TestAnswerFollowsTheWrite(t *testing.T) {
	s := &memory{gate: make(chan struct{})}
	r := run(t, Config{Store: s})
	answered := make(chan Result, 100)
	send := func(extension string, seq uint32) {
		q := one("sip:a@h", seq, -1)
		q.Extension = extension
		r.Register(&q, func(res Result) { answered <- res })
	}
	send("100", 1)
	s.gate <- struct{}{} // the writer took the first one
	<-answered
	for i := range 50 {
		send(fmt.Sprint(200+i), 1)
	}
	send("200", 1) // a retransmission waits as well
	select {
	case res := <-answered:
		t.Fatalf("answered before the write: %+v", res)
	default:
	}
	close(s.gate)
	for range 51 {
		if res := <-answered; res.Status != 200 {
			t.Fatalf("answer %+v", res)
		}
	}
	if s.saves > 4 {
		t.Errorf("51 registrations took %d writes", s.saves)
	}
	if got, _ := s.Load(context.Background(), time.Now()); len(got) != 51 {
		t.Errorf("%d bindings in the store, want 51", len(got))
	}
}

func TestTooManyWaiting(t *testing.T) {
	s := &memory{gate: make(chan struct{})}
	r := run(t, Config{Store: s, Waiting: 3})
	done := make(chan Result, 20)
	for i := range 20 {
		q := one("sip:a@h", 1, -1)
		q.Extension = fmt.Sprint(i)
		r.Register(&q, func(res Result) { done <- res })
	}
	refused := 0
	for range 13 {
		if res := <-done; res.Status == 503 {
			refused++
		}
	}
	close(s.gate)
	if refused != 13 {
		t.Errorf("%d of 13 early answers were 503", refused)
	}
	for range 7 {
		<-done
	}
}

func TestFailingStoreDoesNotRefusePhones(t *testing.T) {
	s := &memory{err: errors.New("disk full")}
	r := run(t, Config{Store: s})
	if res := ask(r, one("sip:a@h", 1, -1)); res.Status != 200 || len(r.Contacts("101")) != 1 {
		t.Fatalf("answer %+v", res)
	}
	if r.Counters.StoreFailures.Load() == 0 {
		t.Error("the failure was not counted")
	}
	s.mu.Lock()
	s.err = nil
	s.mu.Unlock()
	other := one("sip:b@h", 1, -1)
	other.Extension = "102"
	ask(r, other)
	if len(s.list("101")) != 1 {
		t.Error("the binding was not written when the store came back")
	}
}

func TestRestart(t *testing.T) {
	s := &memory{}
	r := run(t, Config{Store: s})
	ask(r, one("sip:a@h", 7, -1))
	again := run(t, Config{Store: s})
	if err := again.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if cs := again.Contacts("101"); len(cs) != 1 || cs[0].URI != "sip:a@h" || again.Count() != 1 {
		t.Fatalf("after the restart: %+v", cs)
	}
	if res := ask(again, one("sip:a@h", 6, -1)); res.Status != 500 {
		t.Errorf("an older REGISTER after the restart: %d", res.Status)
	}
}

func TestGoneAndRetain(t *testing.T) {
	s := &memory{}
	r := run(t, Config{Store: s})
	ask(r, one("sip:a@h", 1, -1))
	q := one("sip:b@h", 1, -1)
	q.Extension, q.Transport = "102", "TCP"
	ask(r, q)
	r.Gone(func(c pbx.Contact) bool { return c.Transport == "TCP" })
	if len(r.Contacts("102")) != 0 || len(r.Contacts("101")) != 1 {
		t.Error("the wrong bindings went")
	}
	r.Retain(func(string) bool { return false })
	if r.Count() != 0 {
		t.Error("bindings of an extension that is gone")
	}
}

func TestContactsInOrder(t *testing.T) {
	r := run(t, Config{})
	for i, q := range []float32{0.2, 1, 0.5} {
		b := one(fmt.Sprintf("sip:%d@h", i), uint32(i+1), -1)
		b.Bindings[0].Q = q
		ask(r, b)
	}
	cs := r.Contacts("101")
	if len(cs) != 3 || cs[0].Q != 1 || cs[1].Q != 0.5 || cs[2].Q != 0.2 {
		t.Errorf("order %+v", cs)
	}
}

// slow is a store that takes only so many extensions in one go.
type slow struct {
	memory
	most int
}

func (s *slow) SaveAll(ctx context.Context, all map[string][]pbx.Contact) error {
	if len(all) > s.most {
		return context.DeadlineExceeded
	}
	for extension, contacts := range all {
		if err := s.Save(ctx, extension, contacts); err != nil {
			return err
		}
	}
	return nil
}

// TestALargeStormIsWrittenInPieces: what a slow disk cannot take at once does
// not grow until it can take none of it.
func TestALargeStormIsWrittenInPieces(t *testing.T) {
	s := &slow{most: maxBatch}
	r := New(Config{Store: s, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	const phones = 5*maxBatch + 7
	done := make(chan Result, phones)
	for i := range phones {
		q := one("sip:a@h", 1, -1)
		q.Extension = fmt.Sprint(i)
		r.Register(&q, func(res Result) { done <- res })
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx)
	}()
	for range phones {
		if res := <-done; res.Status != 200 {
			t.Errorf("answer %+v", res)
		}
	}
	cancel()
	<-ended
	if got, err := s.Load(context.Background(), time.Now()); err != nil || len(got) != phones || r.Counters.StoreFailures.Load() != 0 {
		t.Errorf("%d of %d are in the store (%v), %d writes failed", len(got), phones, err, r.Counters.StoreFailures.Load())
	}
}
