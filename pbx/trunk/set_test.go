package trunk

import (
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dipcast/dipcast/pbx/conf"
)

// pass lets simulated time go by; it is the only clock of these tests.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func started(t *testing.T, c *carrier, trunks ...conf.Trunk) *Set {
	t.Helper()
	s := New(Config{Transport: c, Rand: func() float64 { return 0.5 }})
	t.Cleanup(s.Close)
	apply(t, s, trunks...)
	synctest.Wait()
	return s
}

func apply(t *testing.T, s *Set, trunks ...conf.Trunk) map[string]Plan {
	t.Helper()
	plans, err := s.Apply(trunks)
	if err != nil {
		t.Fatal(err)
	}
	return plans
}

func one(t *testing.T, s *Set) Status {
	t.Helper()
	st := s.Status()
	if len(st) != 1 {
		t.Fatalf("got %d trunks, want 1", len(st))
	}
	return st[0]
}

func TestRegistersAndRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarrier()
		s := started(t, c, registering("a.example"))
		want := Status{Name: "line", Up: true, Registered: true, Host: "a.example", Text: "registered at a.example"}
		if diff := cmp.Diff(want, one(t, s)); diff != "" {
			t.Fatal(diff)
		}
		first := c.sent()
		if len(first) != 1 || first[0].Expires != firstExpires || first[0].CSeq != 1 {
			t.Fatalf("first REGISTER: %+v", first)
		}
		pass(firstExpires)
		again := c.sent()
		if len(again) != 1 || again[0].CallID != first[0].CallID || again[0].CSeq != 3 {
			t.Fatalf("refresh: %+v, want one with the same Call-ID and CSeq 3", again)
		}
		if !one(t, s).Registered {
			t.Error("the registration lapsed although it was refreshed")
		}
		s.Close()
		last := c.sent()
		if len(last) != 1 || last[0].Expires != 0 || last[0].CSeq != 5 {
			t.Errorf("at Close: %+v, want one REGISTER with Expires 0 and CSeq 5", last)
		}
	})
}

func TestRegisterTakesTheIntervalOf423(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarrier()
		c.setAnswer(func(r RegisterRequest) (RegisterResult, error) {
			if r.Expires > 0 && r.Expires < time.Hour {
				return RegisterResult{Status: 423, Reason: "Interval Too Brief", MinExpires: time.Hour}, nil
			}
			return RegisterResult{Status: 200}, nil
		})
		s := started(t, c, registering("a.example", "b.example"))
		sent := c.sent()
		if len(sent) != 2 || sent[1].Expires != time.Hour || sent[1].Host.Host != "a.example" {
			t.Fatalf("sent %+v, want a second REGISTER to the same host with 1h", sent)
		}
		pass(30 * time.Minute)
		if !one(t, s).Registered || len(c.sent()) != 0 {
			t.Error("the hour was not taken over")
		}
	})
}

func TestRegisterFailsOverAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarrier()
		c.setDead("a.example", true)
		s := started(t, c, registering("a.example", "b.example"))
		if one(t, s).Registered {
			t.Fatal("registered at a dead host")
		}
		pass(registerTimeout)
		if got := one(t, s); !got.Registered || got.Host != "b.example" || !got.Up {
			t.Fatalf("after failover: %+v", got)
		}
		if h := s.Hosts("line"); h[0].Host != "b.example" {
			t.Errorf("calls try %s first, want the host that knows us", h[0].Host)
		}
		c.setDead("a.example", false)
		pass(firstExpires)
		if got := one(t, s); got.Host != "a.example" || !got.Registered {
			t.Errorf("after the first host came back: %+v", got)
		}
	})
}

func TestDeadRegistrarIsLeftBeforeTheBindingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarrier()
		s := started(t, c, registering("a.example", "b.example"))
		c.setDead("a.example", true)
		pass(30*time.Second + optionsTimeout + 5*time.Second + optionsTimeout + registerTimeout)
		if got := one(t, s); !got.Registered || got.Host != "b.example" {
			t.Errorf("after two missed OPTIONS: %+v, want b.example", got)
		}
	})
}

func TestAllHostsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarrier()
		c.setDead("a.example", true)
		s := started(t, c, registering("a.example"))
		pass(time.Minute)
		if got := one(t, s); got.Up || got.Registered || got.Text != "no host answers" {
			t.Fatalf("got %+v", got)
		}
		c.sent()
		pass(time.Hour)
		if n := len(c.sent()); n < 20 || n > 60 {
			t.Errorf("%d REGISTERs in an hour, want one per two minutes or so", n)
		}
		c.setDead("a.example", false)
		pass(failMax)
		if got := one(t, s); !got.Up || !got.Registered {
			t.Errorf("after the host came back: %+v", got)
		}
	})
}

func TestRefusedCredentialsAreRetriedSlowly(t *testing.T) {
	for _, status := range []int{401, 403, 404, 407} {
		synctest.Test(t, func(t *testing.T) {
			c := newCarrier()
			c.setAnswer(func(RegisterRequest) (RegisterResult, error) {
				return RegisterResult{Status: status, Reason: "No"}, nil
			})
			s := started(t, c, registering("a.example", "b.example"))
			got := one(t, s)
			if got.Up || got.Registered {
				t.Fatalf("%d: %+v", status, got)
			}
			if want := "a.example refuses the user name or password"; len(got.Text) < len(want) || got.Text[:len(want)] != want {
				t.Errorf("%d: text %q", status, got.Text)
			}
			pass(time.Hour)
			if n := len(c.sent()); n < 3 || n > 7 {
				t.Errorf("%d: %d attempts in an hour, want a handful", status, n)
			}
			s.Close()
			if n := len(c.sent()); n != 0 {
				t.Errorf("%d: unregistered what was never registered", status)
			}
		})
	}
}

func TestBindingLapsesOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarrier()
		s := started(t, c, registering("a.example"))
		c.setAnswer(func(RegisterRequest) (RegisterResult, error) { return RegisterResult{Status: 503, Reason: "Busy"}, nil })
		pass(firstExpires - time.Second)
		if got := one(t, s); !got.Registered || got.Text != "a.example answers REGISTER with 503 Busy" {
			t.Errorf("before the end: %+v, want a binding that still lives", got)
		}
		pass(2 * time.Second)
		if got := one(t, s); got.Registered || !got.Up {
			t.Errorf("after the end: %+v, want not registered, but up since the host answers", got)
		}
	})
}

func TestAddressTrunkIsUpUntilProvenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarrier()
		c.setDead("192.0.2.1", true)
		s := New(Config{Transport: c})
		t.Cleanup(s.Close)
		apply(t, s, conf.Trunk{Name: "line", Hosts: hostsOf("192.0.2.1")})
		if !s.Up("line") {
			t.Fatal("a trunk nobody has asked yet must be tried")
		}
		pass(optionsTimeout)
		if !s.Up("line") {
			t.Fatal("one missed OPTIONS must not take a trunk down")
		}
		pass(5*time.Second + optionsTimeout)
		if s.Up("line") {
			t.Fatal("two missed OPTIONS must")
		}
		c.setDead("192.0.2.1", false)
		pass(30 * time.Second)
		if !s.Up("line") {
			t.Error("the host came back and the trunk did not")
		}
		if s.Up("other") {
			t.Error("a trunk that does not exist is up")
		}
	})
}

func TestFailedInviteAsksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarrier()
		s := started(t, c, conf.Trunk{Name: "line", Hosts: hostsOf("192.0.2.1", "192.0.2.2")})
		if h := s.Hosts("line"); h[0].Host != "192.0.2.1" || h[0].Health != Alive {
			t.Fatalf("hosts: %+v", h)
		}
		c.setDead("192.0.2.1", true)
		s.Failed("line", hostsOf("192.0.2.1")[0])
		s.Failed("line", hostsOf("203.0.113.9")[0]) // not one of ours: nothing happens
		s.Failed("nobody", conf.TrunkHost{})
		synctest.Wait()
		if h := s.Hosts("line"); h[0].Host != "192.0.2.2" || h[1].Health != Unknown {
			t.Fatalf("right after the failure: %+v", h)
		}
		pass(optionsTimeout)
		if h := s.Hosts("line"); h[1].Health != Down {
			t.Errorf("after the OPTIONS that followed: %+v", h)
		}
	})
}

func TestApplyPlans(t *testing.T) {
	base := registering("a.example")
	with := func(f func(*conf.Trunk)) conf.Trunk { t := base; f(&t); return t }
	tests := []struct {
		name string
		next conf.Trunk
		want Plan
		sent int // REGISTERs after Apply, unregistering included
	}{
		{"nothing", base, PlanNone, 0},
		{"rules", with(func(t *conf.Trunk) { t.MaxCalls = 3; t.Numbers = []string{"025550100"} }), PlanUpdate, 0},
		{"caller IDs", with(func(t *conf.Trunk) { t.CallerID.Default = "025550100" }), PlanUpdate, 0},
		{"password", with(func(t *conf.Trunk) { t.Password = "q" }), PlanRestart, 1},
		{"user", with(func(t *conf.Trunk) { t.Username = "v" }), PlanRestart, 2},
		{"hosts", with(func(t *conf.Trunk) { t.Hosts = hostsOf("b.example") }), PlanRestart, 1},
		{"realm", with(func(t *conf.Trunk) { t.Realm = "r" }), PlanRestart, 1},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCarrier()
				s := started(t, c, base)
				release, ok := s.Acquire("line")
				if !ok {
					t.Fatal("no call possible")
				}
				defer release()
				c.sent()
				if got := apply(t, s, tc.next)["line"]; got != tc.want {
					t.Errorf("plan %q, want %q", got, tc.want)
				}
				synctest.Wait()
				if n := len(c.sent()); n != tc.sent {
					t.Errorf("%d REGISTERs, want %d", n, tc.sent)
				}
				if st := one(t, s); !st.Registered || st.Calls != 1 {
					t.Errorf("after: %+v, want registered with one call", st)
				}
			})
		})
	}
}

func TestApplyTakesANameOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := registering("b.example")
		s := started(t, newCarrier(), registering("a.example"), second)
		if got := one(t, s); got.Host != "a.example" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestApplyRemoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarrier()
		s := started(t, c, registering("192.0.2.1"))
		release, _ := s.Acquire("line")
		c.sent()
		apply(t, s)
		synctest.Wait()
		if sent := c.sent(); len(sent) != 1 || sent[0].Expires != 0 {
			t.Errorf("sent %+v, want the binding removed", sent)
		}
		release()
		if _, ok := s.Match(netip.MustParseAddr("192.0.2.1")); ok {
			t.Error("a removed trunk still matches")
		}
		s.Close()
		if _, err := s.Apply(nil); err == nil {
			t.Error("Apply after Close must fail")
		}
	})
}

func TestCloseDoesNotWaitForDeadHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarrier()
		s := started(t, c, registering("a.example"))
		c.setDead("a.example", true)
		began := time.Now()
		s.Close()
		if took := time.Since(began); took > unregisterTimeout {
			t.Errorf("Close took %v of simulated time", took)
		}
	})
}

func TestAcquireCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := started(t, newCarrier(), conf.Trunk{Name: "line", Hosts: hostsOf("192.0.2.1"), MaxCalls: 2})
		var releases []func()
		for range 2 {
			r, ok := s.Acquire("line")
			if !ok {
				t.Fatal("below the limit")
			}
			releases = append(releases, r)
		}
		if _, ok := s.Acquire("line"); ok || !s.Full("line") {
			t.Fatal("the third call passed a limit of two")
		}
		releases[0]()
		releases[0]()
		if s.Full("line") || one(t, s).Calls != 1 {
			t.Errorf("after one release: %d calls", one(t, s).Calls)
		}
		if _, ok := s.Acquire("nobody"); ok {
			t.Error("a trunk that does not exist took a call")
		}
	})
}

func TestMatchFollowsNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarrier()
		c.setAddrs("sip.example", "192.0.2.1:5060", "[2001:db8::1]:5060")
		s := started(t, c,
			conf.Trunk{Name: "a", Hosts: hostsOf("sip.example"), AllowedCIDRs: []string{"198.51.100.0/24", "0.0.0.0/0", "nonsense"}},
			conf.Trunk{Name: "b", Hosts: hostsOf("203.0.113.5"), AllowedCIDRs: []string{"198.51.100.128/25", "::ffff:203.0.113.64/122"}})
		check := func(source, want string) {
			t.Helper()
			if got, ok := s.Match(netip.MustParseAddr(source)); got != want || ok != (want != "") {
				t.Errorf("%s belongs to %q, want %q", source, got, want)
			}
		}
		check("192.0.2.1", "a")
		check("::ffff:192.0.2.1", "a")
		check("2001:db8::1", "a")
		check("198.51.100.7", "a")
		check("198.51.100.200", "b")
		check("203.0.113.5", "b")
		check("203.0.113.70", "b")
		check("8.8.8.8", "")
		check("2001:db8::2", "")
		c.setAddrs("sip.example", "192.0.2.9:5060")
		pass(time.Minute)
		check("192.0.2.1", "")
		check("192.0.2.9", "a")
		c.setAddrs("sip.example") // the name server fails: what is known stays
		pass(10 * time.Minute)
		check("192.0.2.9", "a")
	})
}

// TestNamesAreWaitedFor: until a name is resolved, or half a minute has passed,
// nobody is told that he is no trunk; a name server that comes up is asked soon.
func TestNamesAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarrier()
		s := started(t, c, conf.Trunk{Name: "a", Hosts: hostsOf("192.0.2.1")})
		check := func(when string, want bool) {
			t.Helper()
			if got := s.Unseen(); got != want {
				t.Errorf("%s: unseen %v", when, got)
			}
		}
		check("an address", false)
		both := []conf.Trunk{{Name: "a", Hosts: hostsOf("192.0.2.1")}, {Name: "b", Hosts: hostsOf("sip.example", "203.0.113.1")}}
		apply(t, s, both...)
		check("a name", true)
		pass(10 * time.Second)
		check("the name server is away", true)
		c.setAddrs("sip.example", "198.51.100.1:5060")
		pass(time.Second)
		check("it is resolved", false)
		if name, ok := s.Match(netip.MustParseAddr("198.51.100.1")); name != "b" || !ok {
			t.Errorf("it belongs to %q", name)
		}
		c.setAddrs("sip.example")
		pass(10 * time.Minute)
		check("the name server is away again", false)
		apply(t, s, conf.Trunk{Name: "c", Hosts: hostsOf("wrong.example")})
		pass(31 * time.Second)
		check("a name that is wrong", true)
		pass(time.Second)
		check("a name that stays wrong", false)
	})
}

func TestMatchDoesNotAllocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := started(t, newCarrier(), conf.Trunk{Name: "a", Hosts: hostsOf("192.0.2.1"), AllowedCIDRs: []string{"198.51.100.0/24"}})
		in, out := netip.MustParseAddr("198.51.100.3"), netip.MustParseAddr("203.0.113.1")
		if n := testing.AllocsPerRun(100, func() { s.Match(in); s.Match(out) }); n != 0 {
			t.Errorf("%v allocations per packet", n)
		}
	})
}

func TestPermitRealm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fixed := registering("a.example")
		fixed.Name, fixed.Realm = "fixed", "carrier.example"
		free := registering("b.example")
		s := started(t, newCarrier(), fixed, free)
		steps := []struct {
			trunk, realm string
			want         bool
		}{
			{"fixed", "carrier.example", true},
			{"fixed", "evil.example", false},
			{"line", "", false},
			{"line", "first.example", true},
			{"line", "evil.example", false},
			{"line", "first.example", true},
			{"nobody", "x", false},
		}
		for _, step := range steps {
			if got := s.PermitRealm(step.trunk, step.realm); got != step.want {
				t.Errorf("%s, realm %q: %v, want %v", step.trunk, step.realm, got, step.want)
			}
		}
	})
}

func TestOnChangeTellsOnlyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var told []string
		c := newCarrier()
		s := New(Config{Transport: c, OnChange: func(st Status) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, st.Text)
		}})
		defer s.Close()
		apply(t, s, conf.Trunk{Name: "line", Hosts: hostsOf("192.0.2.1")})
		pass(10 * time.Minute)
		c.setDead("192.0.2.1", true)
		pass(10 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		want := []string{"no host has answered OPTIONS yet", "a host answers OPTIONS", "no host has answered OPTIONS yet", "no host answers"}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReadersAndWritersTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCarrier()
		c.setAddrs("a.example", "192.0.2.1:5060")
		s := started(t, c, registering("a.example"))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 200 {
					s.Hosts("line")
					s.Up("line")
					s.Match(netip.MustParseAddr("192.0.2.1"))
					s.Status()
					s.PermitRealm("line", "r")
					if release, ok := s.Acquire("line"); ok {
						release()
					}
				}
			})
		}
		for i := range 50 {
			next := registering("a.example")
			next.MaxCalls, next.Realm = 1+i, []string{"", "r"}[i%2]
			apply(t, s, next)
		}
		wg.Wait()
		if one(t, s).Calls != 0 {
			t.Error("calls left over")
		}
	})
}
