package fleet_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/fleet"
	"github.com/dipcast/dipcast/controllers/hostport"
)

func tenant(name, domain string) *v1alpha1.PBXTenant {
	return &v1alpha1.PBXTenant{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: v1alpha1.PBXTenantSpec{Domain: domain}}
}

// slots cuts a pool of that many slots of one call.
func slots(t *testing.T, n int) hostport.Layout {
	t.Helper()
	l, err := hostport.New(hostport.Pool{From: 10000, To: 10000 + 14*n - 1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// stored is the tenant as an event tells it after a was written.
func stored(x *v1alpha1.PBXTenant, a hostport.Assignment) *v1alpha1.PBXTenant {
	slot := int32(a.Slot)
	x.Status.Slot, x.Status.Ports, x.Status.PortsClass = &slot, fleet.StatusPorts(a.Ports), "c"
	return x
}

func TestPortsAreReservedUntilTheEventComes(t *testing.T) {
	var woken []types.NamespacedName
	f := fleet.New(func(n types.NamespacedName) { woken = append(woken, n) })
	a, b, c := tenant("a", "a.example"), tenant("b", "b.example"), tenant("c", "c.example")
	for _, x := range []*v1alpha1.PBXTenant{a, b, c} {
		f.Put(x)
	}
	layout := slots(t, 2)
	first, err := f.Assign(a, "c", layout, 1)
	if err != nil || first.Slot != 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := f.Assign(b, "c", layout, 1)
	if err != nil || second.Slot != 1 {
		t.Fatalf("before any event: %+v, %v", second, err)
	}
	if again, err := f.Assign(a, "c", layout, 1); err != nil || again.Slot != first.Slot {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	if got := f.Use("c"); got != 2 {
		t.Errorf("%d tenants hold ports", got)
	}
	if _, err := f.Assign(c, "c", layout, 1); err == nil {
		t.Error("a third slot of two")
	}
	f.Put(stored(a, first))
	f.Put(stored(b, second))
	woken = nil
	f.Delete(types.NamespacedName{Namespace: "ns", Name: "a"})
	if !slices.Contains(woken, types.NamespacedName{Namespace: "ns", Name: "c"}) {
		t.Errorf("woken: %v; the one without ports was not", woken)
	}
	if third, err := f.Assign(c, "c", layout, 1); err != nil || third.Slot != 0 {
		t.Errorf("%+v, %v", third, err)
	}
}

func TestReleaseGivesBack(t *testing.T) {
	f := fleet.New(func(types.NamespacedName) {})
	a, b := tenant("a", "a.example"), tenant("b", "b.example")
	f.Put(a)
	f.Put(b)
	layout := slots(t, 1)
	if _, err := f.Assign(a, "c", layout, 1); err != nil {
		t.Fatal(err)
	}
	f.Release(types.NamespacedName{Namespace: "ns", Name: "a"})
	if _, err := f.Assign(b, "c", layout, 1); err != nil {
		t.Error(err)
	}
}

// TestAnAnswerIsAsGoodAsANewChoice has a fleet change at random: after each
// change, what is remembered must not differ from what would be chosen anew.
func TestAnAnswerIsAsGoodAsANewChoice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		layout, names := slots(t, 4), []string{"a", "b", "c", "d", "e"}
		f, now := fleet.New(func(types.NamespacedName) {}), map[string]*v1alpha1.PBXTenant{}
		for range 30 {
			name := rapid.SampledFrom(names).Draw(rt, "tenant")
			x := now[name]
			if x == nil {
				x = tenant(name, name+".example")
				now[name] = x
			}
			nodes := rapid.IntRange(1, 3).Draw(rt, "nodes")
			switch rapid.SampledFrom([]string{"assign", "store", "place", "release", "delete"}).Draw(rt, "what") {
			case "store":
				if a, err := f.Assign(x, "c", layout, nodes); err == nil {
					now[name] = stored(x.DeepCopy(), a)
					f.Put(now[name])
				}
			case "place":
				now[name] = x.DeepCopy()
				now[name].Status.NodeName = rapid.SampledFrom([]string{"", "n1"}).Draw(rt, "node")
				f.Put(now[name])
			case "release":
				f.Release(types.NamespacedName{Namespace: "ns", Name: name})
			case "delete":
				f.Delete(types.NamespacedName{Namespace: "ns", Name: name})
				delete(now, name)
				continue
			}
			x = now[name]
			// The first answer may reserve something; the second rests on that.
			_, _ = f.Assign(x, "c", layout, nodes)
			got, err := f.Assign(x, "c", layout, nodes)
			f.ForgetAnswer(types.NamespacedName{Namespace: "ns", Name: name})
			want, wantErr := f.Assign(x, "c", layout, nodes)
			if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (wantErr == nil) {
				rt.Fatalf("remembered: %+v, %v\nchosen:     %+v, %v", got, err, want, wantErr)
			}
		}
	})
}

func TestRivalsAreKnownAndWoken(t *testing.T) {
	var woken []string
	f := fleet.New(func(n types.NamespacedName) { woken = append(woken, n.Name) })
	a, b := tenant("a", "same.example"), tenant("b", "same.example")
	f.Put(a)
	f.Put(b)
	if !slices.Equal(woken, []string{"a"}) {
		t.Errorf("woken %v, want a", woken)
	}
	if got := f.SameDomain(a); len(got) != 2 || got[1].Name != "b" {
		t.Errorf("rivals %v", got)
	}
	woken = nil
	f.Put(tenant("b", "other.example"))
	if !slices.Equal(woken, []string{"a"}) || len(f.SameDomain(a)) != 1 {
		t.Errorf("woken %v, rivals %v", woken, f.SameDomain(a))
	}
	bot := func(name, tenant string) *v1alpha1.NaverWorksBot {
		return &v1alpha1.NaverWorksBot{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
			Spec:       v1alpha1.NaverWorksBotSpec{TenantRef: v1alpha1.LocalRef{Name: tenant}, BotID: 7},
		}
	}
	woken = nil
	f.PutBot(bot("x", "a"))
	f.PutBot(bot("y", "b"))
	if same := f.SameBots([]v1alpha1.NaverWorksBot{*bot("x", "a")}); len(same) != 1 || same[0].Name != "y" || !slices.Equal(woken, []string{"a"}) {
		t.Errorf("same bots %v, woken %v", same, woken)
	}
	woken = nil
	proven := bot("y", "b")
	proven.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionCredentialsValid, Status: metav1.ConditionTrue}}
	f.PutBot(proven)
	if slices.Sort(woken); !slices.Equal(woken, []string{"a", "b"}) {
		t.Errorf("woken: %v, by credentials that were proven", woken)
	}
	if same := f.SameBots([]v1alpha1.NaverWorksBot{*bot("x", "a")}); len(same) != 1 || len(same[0].Status.Conditions) != 1 {
		t.Errorf("%+v is not known to be proven", same)
	}
	f.DeleteBot(types.NamespacedName{Namespace: "ns", Name: "y"})
	if same := f.SameBots([]v1alpha1.NaverWorksBot{*bot("x", "a")}); len(same) != 0 {
		t.Errorf("same bots %v", same)
	}
}

func TestCountsAreWrittenSeldom(t *testing.T) {
	f := fleet.New(func(types.NamespacedName) {})
	name, now := types.NamespacedName{Namespace: "ns", Name: "a"}, time.Unix(1000, 0)
	if wait := f.CountsWait(name, now); wait != 0 {
		t.Errorf("the first waits %v", wait)
	}
	if wait := f.CountsWait(name, now.Add(4*time.Second)); wait != 6*time.Second {
		t.Errorf("the second waits %v", wait)
	}
	if wait := f.CountsWait(name, now.Add(10*time.Second)); wait != 0 {
		t.Errorf("the third waits %v", wait)
	}
}

func TestPortsReadBack(t *testing.T) {
	p := hostport.Ports{SIP: 1024, SIPS: 1025, WSS: 1026, HTTP: 1027, Admin: 1028, RTPFrom: 1030, RTPTo: 1037}
	if got := fleet.Ports(fleet.StatusPorts(p)); got != p {
		t.Errorf("%+v, want %+v", got, p)
	}
	if got := fleet.Ports(&v1alpha1.TenantPorts{SIP: 1, RTP: "nonsense"}); !got.Zero() {
		t.Errorf("unreadable ports are %+v", got)
	}
}
