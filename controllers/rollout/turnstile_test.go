package rollout_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/rollout"
)

// fleet is a turnstile that remembers whom it woke.
type fleet struct {
	*rollout.Turnstile
	woken []string
}

func newFleet(most int) *fleet {
	f := &fleet{}
	f.Turnstile = rollout.NewTurnstile(most, func(n types.NamespacedName) { f.woken = append(f.woken, n.Name) })
	return f
}

func tenant(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "ns", Name: name}
}

// take asks for a turn of a tenant whose update waits that long.
func (f *fleet) take(name string, waits time.Duration) rollout.Turn {
	return f.Take(tenant(name), now.Add(-waits), now)
}

func (f *fleet) settle(name, reason string, u *v1alpha1.TenantUpdate) {
	f.Settle(tenant(name), rollout.Decision{Update: u, Condition: metav1.Condition{Reason: reason}})
}

func (f *fleet) done(name string) { f.settle(name, v1alpha1.ReasonUpToDate, nil) }

func (f *fleet) wantTurn(t *testing.T, name string, waits time.Duration, want rollout.Turn) {
	t.Helper()
	if got := f.take(name, waits); got != want {
		t.Errorf("turn of %s is %d, want %d", name, got, want)
	}
}

func (f *fleet) wantWoken(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(f.woken, want) {
		t.Errorf("woken: %v, want %v", f.woken, want)
	}
	f.woken = nil
}

func startedUpdate(d time.Duration) *v1alpha1.TenantUpdate {
	at := ago(d)
	return &v1alpha1.TenantUpdate{Reason: rollout.ReasonImage, Since: ago(d), Started: true, StartedAt: &at}
}

func TestTurns(t *testing.T) {
	t.Run("as many as allowed, the longest waiting next", func(t *testing.T) {
		f := newFleet(2)
		f.wantTurn(t, "a", time.Minute, rollout.TurnGranted)
		f.wantTurn(t, "b", time.Minute, rollout.TurnGranted)
		f.wantTurn(t, "young", time.Minute, rollout.TurnBusy)
		f.wantTurn(t, "old", time.Hour, rollout.TurnBusy)
		f.settle("a", v1alpha1.ReasonProgressing, startedUpdate(0))
		f.wantWoken(t)
		f.done("a")
		f.wantWoken(t, "old")
		f.wantTurn(t, "young", time.Minute, rollout.TurnBusy)
		f.wantTurn(t, "old", time.Hour, rollout.TurnGranted)
		f.done("b")
		f.wantWoken(t, "young")
		f.wantTurn(t, "young", time.Minute, rollout.TurnGranted)
	})
	t.Run("equally long: by name", func(t *testing.T) {
		f := newFleet(1)
		f.take("x", 0)
		f.take("c", time.Minute)
		f.take("b", time.Minute)
		f.done("x")
		f.wantWoken(t, "b")
		f.wantTurn(t, "c", time.Minute, rollout.TurnBusy)
		f.wantTurn(t, "b", time.Minute, rollout.TurnGranted)
	})
	t.Run("a turn that was not used goes to the next", func(t *testing.T) {
		f := newFleet(1)
		f.wantTurn(t, "a", time.Hour, rollout.TurnGranted)
		f.wantTurn(t, "b", time.Minute, rollout.TurnBusy)
		f.settle("a", v1alpha1.ReasonWaitingForCalls, &v1alpha1.TenantUpdate{})
		f.wantWoken(t, "b")
		f.wantTurn(t, "b", time.Minute, rollout.TurnGranted)
	})
	t.Run("who got calls again holds nobody up", func(t *testing.T) {
		f := newFleet(1)
		f.take("x", 0)
		f.take("old", time.Hour)
		f.take("young", time.Minute)
		f.done("x")
		f.wantWoken(t, "old")
		f.settle("old", v1alpha1.ReasonWaitingForCalls, &v1alpha1.TenantUpdate{})
		f.wantWoken(t, "young")
		f.wantTurn(t, "young", time.Minute, rollout.TurnGranted)
	})
	t.Run("who waits on keeps the place", func(t *testing.T) {
		f := newFleet(1)
		f.take("x", 0)
		f.take("old", time.Hour)
		f.settle("old", v1alpha1.ReasonWaitingForTurn, &v1alpha1.TenantUpdate{})
		f.wantWoken(t)
		f.done("x")
		f.wantWoken(t, "old")
	})
	t.Run("a deleted tenant gives its turn back", func(t *testing.T) {
		f := newFleet(1)
		f.take("x", 0)
		f.take("a", 0)
		f.Forget(tenant("x"))
		f.wantWoken(t, "a")
		f.Forget(tenant("a"))
		f.wantWoken(t)
		f.wantTurn(t, "b", 0, rollout.TurnGranted)
	})
	t.Run("asking again changes nothing", func(t *testing.T) {
		f := newFleet(1)
		f.wantTurn(t, "a", 0, rollout.TurnGranted)
		f.wantTurn(t, "a", 0, rollout.TurnGranted)
		f.wantTurn(t, "b", 0, rollout.TurnBusy)
		f.wantTurn(t, "b", 0, rollout.TurnBusy)
		f.settle("a", v1alpha1.ReasonProgressing, startedUpdate(0))
		f.settle("a", v1alpha1.ReasonProgressing, startedUpdate(0))
		f.done("a")
		f.done("a")
		f.wantWoken(t, "b")
	})
}

func TestHalt(t *testing.T) {
	f := newFleet(2)
	f.Seen(tenant("idle"), nil)
	f.Seen(tenant("waits"), &v1alpha1.TenantUpdate{Since: ago(time.Hour)})
	f.Seen(tenant("stuck"), startedUpdate(time.Hour))
	f.Seen(tenant("byhand"), &v1alpha1.TenantUpdate{Since: ago(time.Minute), Started: true})
	f.wantTurn(t, "a", 0, rollout.TurnBusy) // one of the two may still come up
	f.settle("byhand", v1alpha1.ReasonProgressing, startedUpdate(11*time.Minute))
	f.wantTurn(t, "a", 0, rollout.TurnHalted)
	f.wantTurn(t, "b", time.Hour, rollout.TurnHalted)
	// The image is taken back: both have what they want, and so has the fleet.
	f.done("stuck")
	f.wantWoken(t, "b")
	f.done("byhand")
	f.wantWoken(t, "b", "a")
}

// TestTurnsTogether proves that two reconcilers never share a turn.
func TestTurnsTogether(t *testing.T) {
	const most, tenants = 3, 60
	var mu sync.Mutex
	started, highest, finished := 0, 0, map[types.NamespacedName]bool{}
	queue := make(chan types.NamespacedName, 10*tenants)
	f := rollout.NewTurnstile(most, func(n types.NamespacedName) { queue <- n })
	alone := map[types.NamespacedName]*sync.Mutex{} // a tenant is one reconciler's at a time
	for i := range tenants {
		alone[tenant(strconv.Itoa(i))] = &sync.Mutex{}
		queue <- tenant(strconv.Itoa(i))
	}
	// The queue is never closed: a tenant may be woken that has finished already.
	over, end := context.WithCancel(t.Context())
	defer end()
	replace := func(name types.NamespacedName) {
		alone[name].Lock()
		defer alone[name].Unlock()
		mu.Lock()
		twice := finished[name] // woken a second time before it asked
		mu.Unlock()
		if twice || f.Take(name, now, now) != rollout.TurnGranted {
			return
		}
		mu.Lock()
		started++
		highest = max(highest, started)
		mu.Unlock()
		f.Settle(name, rollout.Decision{Update: startedUpdate(0)})
		mu.Lock()
		started--
		finished[name] = true
		all := len(finished) == tenants
		mu.Unlock()
		f.Settle(name, rollout.Decision{})
		if all {
			end()
		}
	}
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for {
				select {
				case <-over.Done():
					return
				case name := <-queue:
					replace(name)
				}
			}
		})
	}
	workers.Wait()
	if highest > most || len(finished) != tenants {
		t.Errorf("%d of %d tenants were replaced, at most %d at a time", len(finished), tenants, highest)
	}
}
