package hostport_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dipcast/dipcast/controllers/hostport"
)

// three is a pool of three slots for one call each: 10000, 10014, 10028.
var three = hostport.Pool{From: 10000, To: 10041}

func layout(tb testing.TB, pool hostport.Pool, calls int) hostport.Layout {
	tb.Helper()
	l, err := hostport.New(pool, calls)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func block(tb testing.TB, l hostport.Layout, slot int) hostport.Ports {
	tb.Helper()
	p, err := l.Ports(slot)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// at is a moment, in minutes; the lower the older.
func at(minute int) time.Time { return time.Date(2030, 1, 1, 0, minute, 0, 0, time.UTC) }

// row is a tenant's claim among those of others, and the slot that it gets.
type row struct {
	name   string
	layout hostport.Layout
	self   hostport.Claim
	others []hostport.Claim
	nodes  int
	slot   int
	shared []string
}

func assign(t *testing.T, rows []row) {
	t.Helper()
	for _, tc := range rows {
		t.Run(tc.name, func(t *testing.T) {
			got, err := tc.layout.Assign(tc.self, tc.others, tc.nodes)
			if err != nil {
				t.Fatal(err)
			}
			want := hostport.Assignment{Slot: tc.slot, Ports: block(t, tc.layout, tc.slot), SharedWith: tc.shared}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// claim is a tenant of class small with a block, since a minute.
func claim(name string, created int, p hostport.Ports) hostport.Claim {
	return hostport.Claim{Tenant: name, Class: "small", Ports: p, Created: at(created)}
}

func ran(c hostport.Claim) hostport.Claim { c.Running = true; return c }

func leaving(c hostport.Claim, p hostport.Ports) hostport.Claim { c.Previous = p; return c }

func of(class string, c hostport.Claim) hostport.Claim { c.Class = class; return c }

// slots are the blocks of pool three, and tenants that run on them.
func slots(t *testing.T) (l hostport.Layout, s []hostport.Ports, all []hostport.Claim) {
	t.Helper()
	l = layout(t, three, 1)
	s = []hostport.Ports{block(t, l, 0), block(t, l, 1), block(t, l, 2)}
	return l, s, []hostport.Claim{ran(claim("a", 1, s[0])), ran(claim("b", 2, s[1])), ran(claim("c", 3, s[2]))}
}

func TestAssignNew(t *testing.T) {
	l, s, all := slots(t)
	none := hostport.Ports{}
	assign(t, []row{
		{"the first", l, claim("x", 9, none), nil, 1, 0, nil},
		{"no node yet", l, claim("x", 9, none), nil, 0, 0, nil},
		{"the lowest free", l, claim("x", 9, none), []hostport.Claim{all[0], all[2]}, 1, 1, nil},
		{"its own is kept, lower ones free", l, claim("x", 9, s[2]), nil, 1, 2, nil},
		{"its own claim among the others is not an other", l, claim("a", 1, none), all, 1, 0, nil},
		{"tenants without ports hold nothing", l, claim("x", 9, none), []hostport.Claim{claim("a", 1, none)}, 1, 0, nil},
		{"a claim of another class in the pool counts", l, claim("x", 9, none), []hostport.Claim{of("large", all[0])}, 1, 1, nil},
		{"a block that a pod is about to leave is not free", l, claim("x", 9, none), []hostport.Claim{leaving(claim("a", 1, s[1]), s[0])}, 3, 2, nil},

		{"full: the lowest of the least shared", l, claim("x", 9, none), all, 2, 0, []string{"a"}},
		{"full: a slot with one, not that with two", l, claim("x", 9, none), append(slices.Clone(all), claim("d", 4, s[0])), 3, 1, []string{"b"}},
		{
			"full: partly overlapped slots are not shared", l, claim("x", 9, none),
			[]hostport.Claim{claim("w", 1, hostport.Ports{SIP: 10010, RTPFrom: 10012, RTPTo: 10019}), claim("c", 3, s[2])},
			2, 2,
			[]string{"c"},
		},
		{"full: not with another class", l, claim("x", 9, none), []hostport.Claim{of("large", all[0]), all[1], all[2]}, 2, 1, []string{"b"}},
		{
			"full: a block about to be left is shared like another", l, claim("x", 9, none),
			[]hostport.Claim{leaving(claim("a", 1, s[1]), s[0]), all[2]},
			2, 0,
			[]string{"a"},
		},
	})
}

func TestAssignSharedAndRaced(t *testing.T) {
	l, s, all := slots(t)
	assign(t, []row{
		{"shared and full: kept", l, claim("x", 9, s[1]), all, 2, 1, []string{"b"}},
		{"shared and has run: kept though one is free", l, ran(claim("x", 9, s[1])), all[:2], 2, 1, []string{"b"}},
		{"shared, never ran, one is free: moves", l, claim("x", 9, s[1]), all[:2], 2, 2, nil},
		{"shared, has run, too few nodes now: moves", l, ran(claim("x", 9, s[1])), all[:2], 1, 2, nil},
		{"the one with the better right does not move", l, ran(claim("a", 0, s[1])), []hostport.Claim{ran(claim("b", 2, s[1]))}, 1, 1, []string{"b"}},

		{"race: the younger moves", l, claim("y", 6, s[0]), []hostport.Claim{claim("x", 5, s[0])}, 1, 1, nil},
		{"race: the older keeps", l, claim("x", 5, s[0]), []hostport.Claim{claim("y", 6, s[0])}, 1, 0, []string{"y"}},
		{"race: of one age, the name decides", l, claim("y", 5, s[0]), []hostport.Claim{claim("x", 5, s[0])}, 1, 1, nil},
		{"race: who ran keeps, though younger", l, ran(claim("y", 6, s[0])), []hostport.Claim{claim("x", 5, s[0])}, 1, 0, []string{"x"}},
		{"race: who did not run moves, though older", l, claim("x", 5, s[0]), []hostport.Claim{ran(claim("y", 6, s[0]))}, 1, 1, nil},
	})
}

func TestAssignAfterAChangeOfPools(t *testing.T) {
	l, s, all := slots(t)
	wide := layout(t, hostport.Pool{From: 10000, To: 10100}, 3) // slots of 30 ports: 10000, 10030, 10060
	other := layout(t, hostport.Pool{From: 12000, To: 12100}, 1)
	assign(t, []row{
		{"more calls: another block, clear of the old ones of others", wide, ran(claim("x", 9, s[0])), []hostport.Claim{all[1]}, 1, 1, nil},
		{"more calls: its own old block is no hindrance", wide, ran(claim("x", 9, s[0])), nil, 1, 0, nil},
		{"pool shrunk: a slot of what is left", layout(t, hostport.Pool{From: 10000, To: 10027}, 1), ran(claim("x", 9, s[2])), all[:1], 1, 1, nil},
		{"pool moved by a port: the old block is no slot any more", layout(t, hostport.Pool{From: 10002, To: 10043}, 1), ran(claim("x", 9, s[0])), nil, 1, 0, nil},
		{"another class: a slot of its pool", other, of("large", ran(claim("x", 9, s[0]))), all, 1, 0, nil},
		{
			"pools of two classes overlap: the lesser right moves", layout(t, hostport.Pool{From: 10000, To: 10100}, 1), claim("x", 9, s[0]),
			[]hostport.Claim{of("large", claim("w", 1, block(t, wide, 0)))},
			5, 3, nil,
		},
		{
			"pools of two classes overlap: the better right keeps", l, claim("x", 1, s[0]),
			[]hostport.Claim{of("large", claim("w", 9, block(t, wide, 0)))},
			5, 0, nil,
		},
		{
			"pools of two classes overlap: an equal block is not shared", l, claim("x", 9, s[0]),
			[]hostport.Claim{of("large", claim("w", 1, s[0]))},
			5, 1, nil,
		},
	})
}

func TestAssignFull(t *testing.T) {
	l := layout(t, three, 1)
	s := []hostport.Ports{block(t, l, 0), block(t, l, 1), block(t, l, 2)}
	var all []hostport.Claim
	for i, name := range []string{"a", "b", "c"} {
		all = append(all, hostport.Claim{Tenant: name, Class: "small", Ports: s[i], Running: true, Created: at(i)})
	}
	for _, tc := range []struct {
		name   string
		ports  hostport.Ports
		others []hostport.Claim
		nodes  int
		want   string
	}{
		{"one node", hostport.Ports{}, all, 1, "taken by 3 tenants on 1 nodes"},
		{"no node", hostport.Ports{}, all, 0, "taken by 3 tenants on 1 nodes"},
		{"one node left of two: the shared one waits", s[0], all, 1, "taken by 3 tenants on 1 nodes"},
		{
			"two nodes",
			hostport.Ports{},
			append(slices.Clone(all),
				hostport.Claim{Tenant: "d", Class: "small", Ports: s[0], Created: at(4)},
				hostport.Claim{Tenant: "e", Class: "small", Ports: s[1], Created: at(5)},
				hostport.Claim{Tenant: "f", Class: "small", Ports: s[2], Created: at(6)},
				hostport.Claim{Tenant: "far", Class: "large", Ports: hostport.Ports{SIP: 20000}, Created: at(6)}),
			2, "taken by 6 tenants on 2 nodes",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := l.Assign(hostport.Claim{Tenant: "x", Class: "small", Ports: tc.ports, Created: at(9)}, tc.others, tc.nodes)
			if err == nil {
				t.Fatalf("%+v, want an error", got)
			}
			for _, want := range []string{
				"port pool 10000-10041 of PBXClass small: all 3 slots of 14 ports are " + tc.want,
				"widen spec.network.portPool of the class, add a node, or choose another class",
			} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want one with %q", err, want)
				}
			}
		})
	}
	if got, err := (hostport.Layout{}).Assign(hostport.Claim{Tenant: "x", Ports: s[0]}, nil, 1); err == nil {
		t.Errorf("the zero layout has a slot: %+v", got)
	}
}

func TestPortsOverlap(t *testing.T) {
	l := layout(t, three, 1)
	a, b := block(t, l, 0), block(t, l, 1)
	for _, tc := range []struct {
		name string
		a, b hostport.Ports
		want bool
	}{
		{"the same", a, a, true},
		{"neighbours", a, b, false},
		{"none and none", hostport.Ports{}, hostport.Ports{}, false},
		{"none and some", hostport.Ports{}, a, false},
		{"one port of the RTP range", a, hostport.Ports{SIP: a.RTPTo}, true},
		{"the port after it", a, hostport.Ports{SIP: a.RTPTo + 1}, false},
		{"one inside the other", hostport.Ports{SIP: 1, RTPTo: 100}, hostport.Ports{SIP: 50}, true},
	} {
		if got, back := tc.a.Overlaps(tc.b), tc.b.Overlaps(tc.a); got != tc.want || back != tc.want {
			t.Errorf("%s: %v and %v, want %v", tc.name, got, back, tc.want)
		}
	}
}

// fleet is what the statuses of all tenants hold, with two classes whose pools
// do not meet.
type fleet struct {
	claims  []hostport.Claim
	layouts map[string]hostport.Layout
	nodes   map[string]int
	born    int
}

func (f *fleet) without(i int) []hostport.Claim {
	return append(slices.Clone(f.claims[:i]), f.claims[i+1:]...)
}

// assign is one reconcile of one tenant; changed tells that its status was
// written.
func (f *fleet) assign(t *rapid.T, i int) (changed bool, err error) {
	self, others := f.claims[i], f.without(i)
	got, err := f.layouts[self.Class].Assign(self, others, f.nodes[self.Class])
	mixed := slices.Clone(others)
	slices.SortFunc(mixed, func(a, b hostport.Claim) int { return -cmp.Compare(a.Tenant, b.Tenant) })
	again, errAgain := f.layouts[self.Class].Assign(self, mixed, f.nodes[self.Class])
	if diff := gocmp.Diff(got, again); diff != "" || (err == nil) != (errAgain == nil) {
		t.Fatalf("the order of the claims matters: %s%v, %v", diff, err, errAgain)
	}
	if err != nil || got.Ports == self.Ports {
		return false, err
	}
	if self.Running && self.Previous.Zero() {
		f.claims[i].Previous = self.Ports
	}
	f.claims[i].Ports, f.claims[i].Slot = got.Ports, got.Slot
	return true, nil
}

// settle reconciles all tenants until nothing changes, and returns who was
// refused.
func (f *fleet) settle(t *rapid.T) map[string]bool {
	for range 2*len(f.claims) + 2 {
		refused, changed := map[string]bool{}, false
		for _, i := range rapid.Permutation(indices(len(f.claims))).Draw(t, "order") {
			wrote, err := f.assign(t, i)
			changed = changed || wrote
			if err != nil {
				refused[f.claims[i].Tenant] = true
			}
		}
		if !changed {
			return refused
		}
	}
	t.Fatalf("assigning does not come to rest: %+v", f.claims)
	return nil
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// check finds tenants that could meet on a port.
func (f *fleet) check(t *rapid.T, refused map[string]bool) {
	sharers := map[string]int{}
	for i, a := range f.claims {
		if refused[a.Tenant] {
			continue
		}
		sharers[fmt.Sprint(a.Class, a.Ports)]++
		for _, b := range f.without(i) {
			shared := a.Ports == b.Ports && a.Class == b.Class || refused[b.Tenant]
			if a.Ports.Overlaps(b.Ports) && !shared || a.Ports.Overlaps(b.Previous) && a.Ports != b.Previous {
				t.Fatalf("%+v meets %+v", a, b)
			}
		}
	}
	for _, c := range f.claims {
		if n := sharers[fmt.Sprint(c.Class, c.Ports)]; n > max(f.nodes[c.Class], 1) {
			t.Fatalf("%d tenants share the ports of %+v on %d nodes", n, c, f.nodes[c.Class])
		}
	}
}

// TestAssignHoldsOverALife lets tenants come, run, move and go, two operators
// race, nodes and pools change, and checks after each step that the answers
// come to rest and that nobody meets on a port.
func TestAssignHoldsOverALife(t *testing.T) {
	pools := map[string]int{"large": 10000, "small": 12000}
	rapid.Check(t, func(t *rapid.T) {
		f := &fleet{layouts: map[string]hostport.Layout{}, nodes: map[string]int{}}
		class := rapid.SampledFrom([]string{"large", "small"})
		reshape := func(name string) {
			pool := hostport.Pool{From: pools[name] + rapid.IntRange(0, 3).Draw(t, "shift"), To: pools[name] + rapid.IntRange(60, 150).Draw(t, "size")}
			l, err := hostport.New(pool, rapid.IntRange(1, 4).Draw(t, "calls"))
			if err != nil {
				t.Fatal(err)
			}
			f.layouts[name], f.nodes[name] = l, rapid.IntRange(0, 3).Draw(t, "nodes")
		}
		reshape("large")
		reshape("small")
		anyone := func() int { return rapid.IntRange(0, len(f.claims)-1).Draw(t, "tenant") }
		t.Repeat(map[string]func(*rapid.T){
			"comes": func(t *rapid.T) {
				f.born++
				f.claims = append(f.claims, hostport.Claim{
					Tenant: fmt.Sprintf("t%03d", f.born), Class: class.Draw(t, "class"), Created: at(rapid.IntRange(0, 3).Draw(t, "created")),
				})
			},
			"race": func(t *rapid.T) { // both read the same claims, neither sees the other's answer
				f.born += 2
				c := class.Draw(t, "class")
				fresh := hostport.Claim{Class: c, Created: at(f.born)}
				fresh.Tenant = "race"
				if got, err := f.layouts[c].Assign(fresh, f.claims, f.nodes[c]); err == nil {
					fresh.Ports, fresh.Slot = got.Ports, got.Slot
				}
				one, two := fresh, fresh
				one.Tenant, two.Tenant = fmt.Sprintf("t%03d", f.born-1), fmt.Sprintf("t%03d", f.born)
				f.claims = append(f.claims, one, two)
			},
			"goes": func(t *rapid.T) {
				if len(f.claims) > 0 {
					i := anyone()
					f.claims = slices.Delete(f.claims, i, i+1)
				}
			},
			"runs": func(*rapid.T) { // its pod is on its ports now
				if len(f.claims) > 0 {
					i := anyone()
					f.claims[i].Running, f.claims[i].Previous = !f.claims[i].Ports.Zero(), hostport.Ports{}
				}
			},
			"changes its class": func(t *rapid.T) {
				if len(f.claims) > 0 {
					f.claims[anyone()].Class = class.Draw(t, "class")
				}
			},
			"the class changes": func(t *rapid.T) { reshape(class.Draw(t, "class")) },
			"":                  func(t *rapid.T) { f.check(t, f.settle(t)) },
		})
	})
}
