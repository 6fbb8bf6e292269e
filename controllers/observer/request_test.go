package observer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/controllers/observer"
	"github.com/dipcast/dipcast/pbx/conf"
)

func TestAnswersThatAreNone(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
	}
	for _, tc := range []struct {
		name   string
		handle http.HandlerFunc
		want   string
	}{
		{"another token", status(http.StatusUnauthorized), "http://10.0.0.1:20018 answers 401: it does not know the token of Secret acme-api; if the Secret was just changed, the PBX learns it with its next document"},
		{"forbidden", status(http.StatusForbidden), "answers 403"},
		{"no such path", status(http.StatusNotFound), "answers 404: it is no PBX of this version, or something else listens there"},
		{"failing", status(http.StatusInternalServerError), "answers 500 instead of a report: see the log of the pod"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://10.0.0.9:80/report", http.StatusTemporaryRedirect)
		}, "answers 307"},
		{"too long", text(strings.Repeat(" ", 64<<10+1)), "answers with more than 64 KiB"},
		{"without an end", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		}, "answers with more than 64 KiB"},
		{"begun and hung", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "{")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, "does not answer within 2s"},
		{"cut", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
			panic(http.ErrAbortHandler)
		}, "ends the connection without an answer"},
		{"a page", text("<html>hello</html>"), "the answer is no report"},
		{"empty", text(""), "the answer is no report"},
		{"newer", text(`{"version":2}`), "the PBX reports in version 2, this operator reads version 1: use an image of the operator's own version"},
		{"another type", text(`{"version":1,"tenant":"ns/acme","activeCalls":"one"}`), "has a field of another type"},
		{"another tenant", text(`{"version":1,"tenant":"ns/other"}`), "another tenant's PBX answers there"},
		{"no tenant", text(`{"version":1}`), "another tenant's PBX answers there"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				p := n.host(address, newPBX("g1"))
				p.handle = tc.handle
				w := start(t, n, observer.Options{})
				w.SetTarget(target())
				pass(10 * time.Second)
				w.want(t, false, "", tc.want)
				seen, _ := w.Report(acme)
				if strings.Contains(seen.Error, token) || strings.Contains(seen.Error, "ns/other") {
					t.Errorf("the error tells too much: %s", seen.Error)
				}
				if got := w.tells(); got != 1 {
					t.Errorf("told %d times: the text of the error changes by itself", got)
				}
				for _, at := range n.dialled {
					if at != address {
						t.Errorf("asked %s", at)
					}
				}
			})
		})
	}
}

func TestErrorsOfTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := n.host(address, newPBX("g1"))
		p.state = silent
		w := start(t, n, observer.Options{})
		w.SetTarget(target())
		pass(10 * time.Second)
		w.want(t, false, "", "http://10.0.0.1:20018 does not answer within 2s")
		w.SetTarget(with(func(t *observer.Target) { t.URL = "" }))
		pass(10 * time.Second)
		w.want(t, false, "", "the pod has no address yet")
		w.SetTarget(with(func(t *observer.Target) { t.URL = "http://%zz" }))
		pass(10 * time.Second)
		w.want(t, false, "", "the pod's address makes no URL")
	})
}

func TestNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://10.9.9.9:3128")
	t.Setenv("http_proxy", "http://10.9.9.9:3128")
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.host(address, newPBX("g1"))
		w := start(t, n, observer.Options{})
		w.SetTarget(target())
		pass(time.Second)
		w.want(t, true, "g1", "")
		if n.dialled[0] != address {
			t.Errorf("the token went to %s", n.dialled[0])
		}
	})
}

func TestParse(t *testing.T) {
	whole := conf.Report{
		Version: 1, Tenant: "ns/acme", Program: "1.0", Generation: "g1", Refused: "x", RefusedGeneration: "g2",
		Restart: []string{"database"}, Draining: true, ActiveCalls: 3, Registrations: 40, DatabaseUp: true,
		Trunks: []conf.TrunkReport{{Name: "kt", Up: false, Why: "no answer", Host: "sip.carrier.example"}},
	}
	b, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	r, err := observer.Parse(b)
	if err != nil {
		t.Fatalf("what the PBX writes is refused: %v", err)
	}
	if again, _ := json.Marshal(r); string(again) != string(b) {
		t.Errorf("read %s of %s", again, b)
	}
	for _, tc := range []struct{ in, want string }{
		{`null`, "version 0"},
		{`[]`, "no report"},
		{`{"version":"1"}`, "no report"},
		{`{"version":1}{"version":1}`, "no report"},
		{`{"version":1,"activeCalls":-1}`, "counts"},
		{`{"version":1,"registrations":-1}`, "counts"},
		{`{"version":1,"activeCalls":2147483648}`, "counts"},
		{`{"version":1,"activeCalls":"3"}`, "another type"},
	} {
		if r, err := observer.Parse([]byte(tc.in)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %+v, %v; want an error with %q", tc.in, r, err, tc.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version":1,"tenant":"ns/acme","generation":"g1","activeCalls":3,"trunks":[{"name":"kt","up":true}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := observer.Parse(b)
		if (r == nil) == (err == nil) {
			t.Fatalf("%q: %+v, %v", b, r, err)
		}
		if err != nil {
			return
		}
		if r.Version != conf.ReportVersion || r.ActiveCalls < 0 || r.Registrations < 0 {
			t.Fatalf("%q: %+v", b, r)
		}
	})
}

// server is a real one, for as many tenants as ask it, by their token.
func server(tb testing.TB) (url string, asked *atomic.Int64) {
	tb.Helper()
	asked = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		name := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		_ = json.NewEncoder(w).Encode(conf.Report{
			Version: 1, Tenant: name, Program: "1.0", Generation: "g1", DatabaseUp: true,
			Trunks: []conf.TrunkReport{{Name: "kt", Up: true, Host: "sip.carrier.example"}, {Name: "lg", Up: true}},
		})
	}))
	tb.Cleanup(s.Close)
	return s.URL, asked
}

func named(i int) types.NamespacedName {
	return types.NamespacedName{Namespace: "ns", Name: fmt.Sprintf("tenant-%d", i)}
}

// TestRealConnections polls over TCP while reconcilers change what is polled.
func TestRealConnections(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	url, _ := server(t)
	refused := observer.AdminURL("127.0.0.1", closedPort(t))
	reports := make(chan types.NamespacedName, 10_000)
	o := observer.New(observer.Options{Changed: func(n types.NamespacedName) {
		select {
		case reports <- n:
		default:
		}
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Start(ctx) }()
	const tenants = 100
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			for round := range 50 {
				for i := w; i < tenants; i += 4 {
					at := observer.Target{Tenant: named(i), URL: url, Token: named(i).String(), Instance: fmt.Sprint(round / 25), Urgent: round%2 == 0}
					if i%10 == 0 {
						at.URL = refused
					}
					o.SetTarget(at)
					o.Report(named(i))
					if round%20 == 10 {
						o.Forget(named(i))
					}
					_, _ = o.Drain(ctx, at, conf.Drain{Hold: conf.Duration(time.Second)})
				}
				runtime.Gosched()
			}
		})
	}
	workers.Wait()
	left := map[types.NamespacedName]bool{}
	for i := range tenants {
		left[named(i)] = true
	}
	limit := time.After(time.Minute)
	for len(left) > 0 {
		for name := range left {
			if _, ok := o.Report(name); ok {
				delete(left, name)
			}
		}
		select {
		case <-reports:
		case <-time.After(100 * time.Millisecond):
		case <-limit:
			t.Fatalf("after a minute %d tenants are not known", len(left))
		}
	}
	for i := range tenants {
		seen, _ := o.Report(named(i))
		if want := i%10 != 0; seen.Reachable != want {
			t.Errorf("%s: %+v", named(i), seen)
		}
		if !seen.Reachable && seen.Error != refused+" does not answer: "+syscall.ECONNREFUSED.Error() {
			t.Errorf("%s: %s", named(i), seen.Error)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// BenchmarkPoll is what one request costs the operator and, in this figure,
// the server beside it, over TCP, with 1,000 targets.
func BenchmarkPoll(b *testing.B) {
	url, asked := server(b)
	o := observer.New(observer.Options{})
	for i := range 1000 {
		o.SetTarget(observer.Target{Tenant: named(i), URL: url, Token: named(i).String(), Urgent: true})
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- o.Start(ctx) }()
	for asked.Load() < 1000 {
		runtime.Gosched()
	}
	var before, after syscall.Rusage
	b.ResetTimer()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	began, first := time.Now(), asked.Load()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for asked.Load()-first < int64(b.N) {
		<-tick.C
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	polls := float64(asked.Load() - first)
	b.ReportMetric(float64(cpu(after)-cpu(before))/polls/1e3, "cpu-µs/poll")
	b.ReportMetric(polls/time.Since(began).Seconds(), "polls/s")
	b.StopTimer()
	cancel()
	<-done
}

func cpu(r syscall.Rusage) time.Duration {
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// An operator that was taken back sees the PBXs of the newer one.
func TestParsePassesOverWhatItDoesNotKnow(t *testing.T) {
	r, err := observer.Parse([]byte(`{"version":1,"tenant":"ns/acme","generation":"g7","registrations":3,"more":{"of":"this"}}`))
	if err != nil || r.Generation != "g7" || r.Registrations != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}
