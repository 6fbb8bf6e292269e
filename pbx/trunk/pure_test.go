package trunk

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dipcast/dipcast/pbx/conf"
)

func TestPresent(t *testing.T) {
	line := conf.Trunk{CallerID: conf.CallerID{
		Default:   "025550100",
		Permitted: []string{"025550*", "0255*5", "070-1234-5678", "*", ""},
	}}
	tests := []struct{ name, wanted, want string }{
		{"permitted by pattern", "025550123", "025550123"},
		{"written by people", "02-555-0123", "025550123"},
		{"the pattern's own prefix", "025550", "025550"},
		{"permitted exactly", "07012345678", "07012345678"},
		{"not permitted", "01012345678", "025550100"},
		{"longer than an exact pattern", "070123456789", "025550100"},
		{"a star in the middle permits nothing", "02557775", "025550100"},
		{"nothing wanted", "", "025550100"},
		{"the default itself", "025550100", "025550100"},
		{"text", "anonymous", "025550100"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			if got := Present(line, tc.wanted); got != tc.want {
				t.Errorf("Present(%q) = %q, want %q", tc.wanted, got, tc.want)
			}
		})
	}
	if got := Present(conf.Trunk{}, "025550100"); got != "" {
		t.Errorf("a trunk without rules presents %q", got)
	}
}

func TestOrder(t *testing.T) {
	host := func(h Health, weight int) Host {
		return Host{TrunkHost: conf.TrunkHost{Weight: weight}, Health: h}
	}
	tests := []struct {
		name       string
		hosts      []Host
		registered int
		chance     float64
		want       []int
	}{
		{"as configured", []Host{host(Alive, 0), host(Alive, 0)}, -1, 0.9, []int{0, 1}},
		{"equal weights keep the order", []Host{host(Alive, 1), host(Alive, 1)}, -1, 0.9, []int{0, 1}},
		{"healthy first", []Host{host(Down, 0), host(Unknown, 0), host(Alive, 0)}, -1, 0, []int{2, 1, 0}},
		{"the registered one first", []Host{host(Alive, 0), host(Unknown, 0)}, 1, 0, []int{1, 0}},
		{"unless it is down", []Host{host(Alive, 0), host(Down, 0)}, 1, 0, []int{0, 1}},
		{"heavy by chance", []Host{host(Alive, 1), host(Alive, 3)}, -1, 0.5, []int{1, 0}},
		{"light by chance", []Host{host(Alive, 1), host(Alive, 3)}, -1, 0.2, []int{0, 1}},
		{"weight 0 last", []Host{host(Alive, 0), host(Alive, 3)}, -1, 0, []int{1, 0}},
		{"weights only among equals", []Host{host(Alive, 1), host(Down, 9)}, -1, 0.9, []int{0, 1}},
		{"none", nil, -1, 0, []int{}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got := order(tc.hosts, tc.registered, func() float64 { return tc.chance })
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOrderIsAPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 6).Draw(t, "hosts")
		hosts := make([]Host, n)
		for i := range hosts {
			hosts[i].Health = Health(rapid.IntRange(0, 2).Draw(t, "health"))
			hosts[i].Weight = rapid.IntRange(-1, 5).Draw(t, "weight")
		}
		got := order(hosts, rapid.IntRange(-1, n).Draw(t, "registered"), func() float64 {
			return rapid.Float64Range(0, 0.999).Draw(t, "chance")
		})
		slices.Sort(got)
		for i := range n {
			if len(got) != n || got[i] != i {
				t.Fatalf("order lost or doubled a host: %v", got)
			}
		}
	})
}

func TestBackoff(t *testing.T) {
	tests := []struct {
		failures int
		chance   float64
		want     time.Duration
	}{
		{0, 0, time.Second},
		{1, 0, time.Second},
		{1, 0.5, 1500 * time.Millisecond},
		{3, 0, 4 * time.Second},
		{7, 0, time.Minute},
		{50, 0, time.Minute},
		{1 << 40, 0.5, 90 * time.Second},
	}
	for _, tc := range tests {
		if got := backoff(tc.failures, failBase, failMax, tc.chance); got != tc.want {
			t.Errorf("backoff(%d, %v) = %v, want %v", tc.failures, tc.chance, got, tc.want)
		}
	}
}

func TestRegistrationAnswers(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	bound := registration{wanted: firstExpires, until: now.Add(time.Minute)}
	names := []string{"a", "b"}
	tests := []struct {
		name       string
		before     registration
		res        RegisterResult
		err        error
		registered bool
		refused    bool
		next       time.Duration
	}{
		{"accepted", registration{wanted: firstExpires}, RegisterResult{Status: 200, Expires: 100 * time.Second}, nil, true, false, 70 * time.Second},
		{"accepted without a time", registration{wanted: firstExpires}, RegisterResult{Status: 200}, nil, true, false, 210 * time.Second},
		{"accepted for too short", registration{wanted: firstExpires}, RegisterResult{Status: 200, Expires: time.Second}, nil, true, false, 7 * time.Second},
		{"too brief", registration{wanted: firstExpires}, RegisterResult{Status: 423, MinExpires: time.Hour}, nil, false, false, 0},
		{"too brief without a time", registration{wanted: firstExpires}, RegisterResult{Status: 423}, nil, false, false, time.Second},
		{"too brief, absurd", registration{wanted: firstExpires}, RegisterResult{Status: 423, MinExpires: 48 * time.Hour}, nil, false, false, time.Second},
		{"silent, another host left", registration{left: []int{1}}, RegisterResult{}, errSilent, false, false, 0},
		{"silent, none left", registration{}, RegisterResult{}, errSilent, false, false, time.Second},
		{"silent while bound", bound, RegisterResult{}, errSilent, true, false, time.Second},
		{"refused while bound", bound, RegisterResult{Status: 403}, nil, false, true, time.Minute},
		{"later", registration{}, RegisterResult{Status: 503, RetryAfter: 40 * time.Second}, nil, false, false, 40 * time.Second},
		{"much later", registration{}, RegisterResult{Status: 503, RetryAfter: 9999 * time.Hour}, nil, false, false, time.Hour},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got := tc.before.answered(now, 0, tc.res, tc.err, names, 0)
			if got.registered(now) != tc.registered || got.refused != tc.refused || got.next.Sub(now) != tc.next {
				t.Errorf("registered %v, refused %v, next in %v; want %v, %v, %v",
					got.registered(now), got.refused, got.next.Sub(now), tc.registered, tc.refused, tc.next)
			}
		})
	}
}

func TestReasonIsTamed(t *testing.T) {
	got := reason(RegisterResult{Reason: "No\r\nway" + strings.Repeat("x", 500)})
	if got != "No" {
		t.Errorf("a line break passed: %q", got)
	}
	if got := reason(RegisterResult{Reason: strings.Repeat("x", 500)}); len(got) != 60 {
		t.Errorf("%d characters passed", len(got))
	}
}
