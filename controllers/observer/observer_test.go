package observer_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/controllers/observer"
	"github.com/dipcast/dipcast/pbx/conf"
)

const address = "10.0.0.1:20018"

func TestIdleIsAskedEveryTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := n.host(address, newPBX("g1"))
		w := start(t, n, observer.Options{})
		if _, ok := w.Report(acme); ok {
			t.Error("something is known before anything was asked")
		}
		began := time.Now()
		w.SetTarget(target())
		pass(time.Millisecond)
		w.want(t, true, "g1", "")
		if got := w.tells(); got != 1 {
			t.Errorf("told %d times of the first report, want once", got)
		}
		pass(time.Minute)
		times := p.times()
		if len(times) != 7 || !times[0].Equal(began) {
			t.Errorf("asked at %v, want at once and then every 10s", times)
		}
		w.SetTarget(target()) // as every reconcile does
		pass(time.Minute)
		if got := len(p.times()); got != 6 || w.tells() != 0 {
			t.Errorf("asked %d times in the next minute, want 6, and nothing to tell", got)
		}
		if n.highest != 1 {
			t.Errorf("%d connections at a time for one PBX", n.highest)
		}
	})
}

func TestJitterSpreadsRequests(t *testing.T) {
	for _, tc := range []struct {
		random float64
		want   time.Duration
	}{{0, 9 * time.Second}, {0.5, 10 * time.Second}, {0.75, 10500 * time.Millisecond}} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			p := n.host(address, newPBX("g1"))
			w := start(t, n, observer.Options{Random: func() float64 { return tc.random }})
			w.SetTarget(target())
			pass(15 * time.Second)
			times := p.times()
			if len(times) != 2 || times[1].Sub(times[0]) != tc.want {
				t.Errorf("asked at %v, want %s between", times, tc.want)
			}
		})
	}
}

func TestAwaitedGenerationIsAskedForOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := n.host(address, newPBX("g1"))
		w := start(t, n, observer.Options{})
		w.SetTarget(target())
		pass(3 * time.Second)
		p.times()
		w.tells()
		asked := time.Now()
		w.SetTarget(with(func(t *observer.Target) { t.Await = "g2" }))
		pass(30 * time.Second)
		times := p.times()
		for i, at := range times {
			gap := at.Sub(asked)
			if i == 0 && gap != 0 || i == 1 && gap != 250*time.Millisecond || gap > time.Second {
				t.Fatalf("request %d comes %s after the one before", i, gap)
			}
			asked = at
		}
		if last := times[len(times)-1].Sub(times[len(times)-2]); last != time.Second {
			t.Errorf("after half a minute asked every %s, want 1s", last)
		}
		p.change(func(p *pbx) { p.report.Generation = "g2" })
		pass(time.Second)
		w.want(t, true, "g2", "")
		if w.tells() != 1 {
			t.Error("the new generation was not told once")
		}
		p.times()
		pass(time.Minute)
		if got := len(p.times()); got != 6 {
			t.Errorf("asked %d times in the minute after the generation came, want 6", got)
		}
	})
}

func TestRefusedGenerationIsNotAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := n.host(address, newPBX("g1"))
		p.report.RefusedGeneration, p.report.Refused = "g2", "tenant: too long"
		w := start(t, n, observer.Options{})
		w.SetTarget(with(func(t *observer.Target) { t.Await = "g2" }))
		pass(time.Minute)
		if got := len(p.times()); got != 7 {
			t.Errorf("asked %d times in a minute, want 7", got)
		}
	})
}

func TestOneLostPacketFlapsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := n.host(address, newPBX("g1"))
		w := start(t, n, observer.Options{})
		w.SetTarget(target())
		pass(time.Second)
		w.tells()
		// The transport itself asks once more where a kept connection ends.
		lost := make(chan struct{}, 2)
		lost <- struct{}{}
		lost <- struct{}{}
		p.change(func(p *pbx) {
			p.handle = func(rw http.ResponseWriter, _ *http.Request) {
				select {
				case <-lost:
					panic(http.ErrAbortHandler)
				default:
					fmt.Fprint(rw, `{"version":1,"tenant":"ns/acme","program":"1.0","generation":"g1","databaseUp":true,"activeCalls":0,"registrations":0}`)
				}
			}
		})
		p.times()
		pass(10 * time.Second)
		w.want(t, true, "g1", "")
		times := p.times()
		if len(times) != 3 || times[2].Sub(times[0]) != 250*time.Millisecond {
			t.Errorf("asked at %v, want twice, and once more quickly", times)
		}
		if got := w.tells(); got != 0 {
			t.Errorf("told %d times", got)
		}
	})
}

func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		w := start(t, n, observer.Options{})
		w.SetTarget(target())
		pass(100 * time.Millisecond)
		if seen, ok := w.Report(acme); ok {
			t.Errorf("after one failure %+v is known", seen)
		}
		pass(time.Second)
		w.want(t, false, "", "http://10.0.0.1:20018 does not answer: connection refused")
		pass(10 * time.Minute)
		if got := w.tells(); got != 1 {
			t.Errorf("told %d times that it is away, want once", got)
		}
		if got := len(n.dialled); got < 40 || got > 50 {
			t.Errorf("%d tries in ten minutes, want one in 15s at last", got)
		}
		n.host(address, newPBX("g1"))
		pass(16 * time.Second)
		w.want(t, true, "g1", "")
		if got := w.tells(); got != 1 {
			t.Errorf("told %d times that it is back", got)
		}
	})
}

func TestUnreachableKeepsTheLastReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := n.host(address, newPBX("g1"))
		w := start(t, n, observer.Options{})
		w.SetTarget(with(func(t *observer.Target) { t.Urgent = true }))
		pass(time.Second)
		p.change(func(p *pbx) { p.state = hangs })
		pass(10 * time.Second)
		w.want(t, false, "g1", "does not answer within 2s")
		p.times()
		pass(time.Minute)
		if got := len(p.times()); got < 14 || got > 16 {
			t.Errorf("asked %d times in a minute, want every 4s while somebody waits", got)
		}
	})
}

func TestRatesOfTelling(t *testing.T) {
	calls := func(n int) func(*pbx) { return func(p *pbx) { p.report.ActiveCalls = n } }
	for _, tc := range []struct {
		name   string
		urgent bool
		start  int // calls
		change func(*pbx)
		want   int // told within the next poll
	}{
		{"generation", false, 0, func(p *pbx) { p.report.Generation = "g2" }, 1},
		{"program", false, 0, func(p *pbx) { p.report.Program = "1.1" }, 1},
		{"refused", false, 0, func(p *pbx) { p.report.Refused = "x" }, 1},
		{"refused generation", false, 0, func(p *pbx) { p.report.RefusedGeneration = "g2" }, 1},
		{"restart", false, 0, func(p *pbx) { p.report.Restart = []string{"database"} }, 1},
		{"draining", false, 0, func(p *pbx) { p.report.Draining = true }, 1},
		{"database", false, 0, func(p *pbx) { p.report.DatabaseUp = false }, 1},
		{"trunk", false, 0, func(p *pbx) { p.report.Trunks = []conf.TrunkReport{{Name: "kt", Up: true}} }, 1},
		{"calls begin, nobody waits", false, 0, calls(1), 0},
		{"calls begin, somebody waits", true, 0, calls(1), 1},
		{"calls end, somebody waits", true, 2, calls(0), 1},
		{"more calls, somebody waits", true, 2, calls(3), 0},
		{"phones, somebody waits", true, 0, func(p *pbx) { p.report.Registrations = 40 }, 0},
		{"nothing", true, 2, func(*pbx) {}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				p := n.host(address, newPBX("g1"))
				calls(tc.start)(p)
				w := start(t, n, observer.Options{})
				// Await keeps it asked often without being urgent.
				w.SetTarget(with(func(t *observer.Target) { t.Urgent, t.Await = tc.urgent, "never" }))
				pass(3 * time.Second)
				w.tells()
				p.change(tc.change)
				pass(2 * time.Second)
				if got := w.tells(); got != tc.want {
					t.Errorf("told %d times, want %d", got, tc.want)
				}
			})
		})
	}
}

func TestCountsAreToldOnceInTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := n.host(address, newPBX("g1"))
		count := 0
		p.handle = func(rw http.ResponseWriter, _ *http.Request) {
			count++
			fmt.Fprintf(rw, `{"version":1,"tenant":"ns/acme","generation":"g1","activeCalls":%d,"registrations":%d}`, 1+count%2, count)
		}
		w := start(t, n, observer.Options{})
		w.SetTarget(with(func(t *observer.Target) { t.Urgent = true }))
		pass(time.Minute + 2*time.Second)
		w.mu.Lock()
		told := w.told
		w.mu.Unlock()
		for i := 1; i < len(told); i++ {
			if gap := told[i].Sub(told[i-1]); gap < 10*time.Second || gap > 12*time.Second {
				t.Errorf("told after %s, want once in 10s", gap)
			}
		}
		if len(told) < 6 {
			t.Errorf("told %d times of %d reports", len(told), count)
		}
	})
}

// TestCountsAreNotForgotten: what changed shortly after something was told is
// told as soon as it may be, not with the next change.
func TestCountsAreNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := n.host(address, newPBX("g1"))
		w := start(t, n, observer.Options{Random: func() float64 { return 0 }})
		w.SetTarget(target())
		pass(time.Second)
		w.tells()
		p.change(func(p *pbx) { p.report.Registrations = 7 })
		pass(9 * time.Second)
		pass(time.Second)
		if got := w.tells(); got != 1 {
			t.Errorf("told %d times within ten seconds after the first report, want once", got)
		}
	})
}

func TestAnotherProcessIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := n.host(address, newPBX("g1"))
		p.report.Draining = true
		w := start(t, n, observer.Options{})
		w.SetTarget(target())
		pass(time.Second)
		w.want(t, true, "g1", "")
		p.change(func(p *pbx) { p.state = hangs })
		w.SetTarget(with(func(t *observer.Target) { t.Instance = "pod/2" }))
		if seen, ok := w.Report(acme); ok {
			t.Errorf("the new process is said to have reported %+v", seen)
		}
		pass(time.Second)
		p.change(func(p *pbx) { p.state, p.report.Draining = answers, false })
		pass(3 * time.Second)
		w.want(t, true, "g1", "")
		if seen, _ := w.Report(acme); seen.Report.Draining {
			t.Error("the old process's report stands")
		}
	})
}

func TestForgetEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := n.host(address, newPBX("g1"))
		p.state = hangs
		w := start(t, n, observer.Options{})
		w.SetTarget(target())
		pass(time.Second)
		w.Forget(acme)
		w.Forget(acme)
		synctest.Wait()
		if p.ended != 1 {
			t.Errorf("%d requests were ended by Forget, want the one under way", p.ended)
		}
		p.change(func(p *pbx) { p.state = answers })
		p.times()
		pass(time.Minute)
		if got := len(p.times()); got != 0 || w.tells() != 0 {
			t.Errorf("a forgotten PBX was asked %d times", got)
		}
		if _, ok := w.Report(acme); ok {
			t.Error("something is known of a forgotten PBX")
		}
		w.SetTarget(target())
		pass(time.Millisecond)
		w.want(t, true, "g1", "")
	})
}

// TestSilentPBXsStarveNobody: a dead node's tenants are many, and each request
// to them takes its full time.
func TestSilentPBXsStarveNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		w := start(t, n, observer.Options{Workers: 8})
		var alive []*pbx
		for i := range 400 {
			at := fmt.Sprintf("10.0.0.1:%d", 20000+i)
			p := newPBX("g1")
			name := types.NamespacedName{Namespace: "ns", Name: fmt.Sprint(i)}
			p.report.Tenant = name.String()
			if i%10 == 0 {
				alive = append(alive, p)
			} else {
				p.state = silent
			}
			n.host(at, p)
			w.SetTarget(observer.Target{Tenant: name, URL: "http://" + at, Token: token})
		}
		pass(3 * time.Minute) // everybody was found silent or not
		for _, p := range alive {
			p.times()
		}
		pass(time.Minute)
		for i, p := range alive {
			if got := len(p.times()); got < 5 {
				t.Errorf("PBX %d was asked %d times in a minute, want about 6", i, got)
			}
		}
		if n.highest > 8 {
			t.Errorf("%d requests at a time, want at most 8", n.highest)
		}
		w.stop()
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := n.host(address, newPBX("g1"))
		w := start(t, n, observer.Options{})
		w.SetTarget(target())
		pass(time.Second)
		w.tells()
		p.change(func(p *pbx) { p.report.Draining = true })
		r, err := w.Drain(t.Context(), target(), conf.Drain{IfIdle: true, Hold: conf.Duration(time.Minute)})
		if err != nil || !r.Draining {
			t.Errorf("drain: %+v, %v", r, err)
		}
		last := p.seen[len(p.seen)-1]
		if last.Method != http.MethodPost || last.URL.Path != conf.PathDrain || p.bodies[len(p.bodies)-1] != `{"ifIdle":true,"hold":"1m0s"}` {
			t.Errorf("asked %s %s with %s", last.Method, last.URL, p.bodies[len(p.bodies)-1])
		}
		if seen, _ := w.Report(acme); !seen.Report.Draining {
			t.Error("what the PBX answered is not known")
		}
		p.change(func(p *pbx) { p.report.Draining = false })
		if err := w.Resume(t.Context(), target()); err != nil {
			t.Error(err)
		}
		if last := p.seen[len(p.seen)-1]; last.Method != http.MethodDelete || last.URL.Path != conf.PathDrain {
			t.Errorf("asked %s %s", last.Method, last.URL)
		}
		p.change(func(p *pbx) {
			p.handle = func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "busy", http.StatusConflict) }
		})
		if _, err := w.Drain(t.Context(), target(), conf.Drain{IfIdle: true, Hold: conf.Duration(time.Minute)}); !errors.Is(err, observer.ErrCallsUp) {
			t.Errorf("a busy PBX answers %v", err)
		}
		p.change(func(p *pbx) { p.state = hangs })
		began := time.Now()
		if err := w.Resume(t.Context(), target()); err == nil || time.Since(began) != 2*time.Second {
			t.Errorf("a PBX that says nothing: %v after %s", err, time.Since(began))
		}
		if _, err := w.Drain(t.Context(), observer.Target{Tenant: acme}, conf.Drain{}); err == nil {
			t.Error("a target without an address could be drained")
		}
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := n.host(address, newPBX("g1"))
		p.state = hangs
		w := start(t, n, observer.Options{})
		if !w.NeedLeaderElection() {
			t.Error("every replica of the operator would ask")
		}
		w.SetTarget(target())
		pass(time.Second)
		began := time.Now()
		w.stop() // synctest fails if a goroutine is left
		if d := time.Since(began); d != 0 {
			t.Errorf("the end took %s", d)
		}
		if got := w.tells(); got != 0 {
			t.Errorf("an end that was asked for was told %d times as a failure", got)
		}
		w.SetTarget(target()) // by a reconciler that ends later: harmless
		w.Forget(acme)
	})
}

func TestAdminURL(t *testing.T) {
	for _, tc := range []struct {
		ip   string
		port int32
		want string
	}{
		{"10.0.0.1", 20018, "http://10.0.0.1:20018"},
		{"2001:db8::1", 20018, "http://[2001:db8::1]:20018"},
		{"", 20018, ""},
		{"10.0.0.1", 0, ""},
		{"10.0.0.1", 70000, ""},
		{"evil.example/x", 20018, ""},
	} {
		if got := observer.AdminURL(tc.ip, tc.port); got != tc.want {
			t.Errorf("%s %d: %q, want %q", tc.ip, tc.port, got, tc.want)
		}
	}
}
