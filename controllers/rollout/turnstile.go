package rollout

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Turnstile lets at most so many tenants of the fleet be replaced at a time,
// who waits longest first. Make it with NewTurnstile. All methods may be called
// from any goroutine.
type Turnstile struct {
	most int
	wake func(types.NamespacedName)

	mu      sync.Mutex
	started map[types.NamespacedName]time.Time // since when they are replaced
	waiting map[types.NamespacedName]time.Time // since when their update waits
}

// NewTurnstile lets most tenants through. Wake is called, without a lock held,
// with each tenant whose turn it has become.
func NewTurnstile(most int, wake func(types.NamespacedName)) *Turnstile {
	return &Turnstile{
		most: most, wake: wake,
		started: map[types.NamespacedName]time.Time{}, waiting: map[types.NamespacedName]time.Time{},
	}
}

// Seen remembers what the stored status of a tenant says. It is called for
// every tenant before the first Take, when an operator begins.
func (t *Turnstile) Seen(name types.NamespacedName, u *v1alpha1.TenantUpdate) {
	if u == nil || !u.Started {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.started[name] = startedAt(u)
}

func startedAt(u *v1alpha1.TenantUpdate) time.Time {
	if u.StartedAt == nil {
		return u.Since.Time
	}
	return u.StartedAt.Time
}

// Take asks for a turn. It is held if it is granted, until Settle.
func (t *Turnstile) Take(name types.NamespacedName, since, now time.Time) Turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.started[name]; ok {
		return TurnGranted
	}
	ahead := 0
	for other, its := range t.waiting {
		if other != name && order(other, its, name, since) < 0 {
			ahead++
		}
	}
	if len(t.started)+ahead < t.most {
		delete(t.waiting, name)
		t.started[name] = now
		return TurnGranted
	}
	t.waiting[name] = since
	stuck := 0
	for _, at := range t.started {
		if now.Sub(at) >= stuckAfter {
			stuck++
		}
	}
	if stuck >= t.most {
		return TurnHalted
	}
	return TurnBusy
}

// order puts those who wait in order: the longest first, then by name.
func order(a types.NamespacedName, aSince time.Time, b types.NamespacedName, bSince time.Time) int {
	return cmp.Or(aSince.Compare(bSince), cmp.Compare(a.String(), b.String()))
}

// Settle remembers what was decided: the turn is held while the update is
// under way and given back otherwise.
func (t *Turnstile) Settle(name types.NamespacedName, d Decision) {
	t.mu.Lock()
	var next []types.NamespacedName
	if d.Update != nil && d.Update.Started {
		t.started[name] = startedAt(d.Update)
		delete(t.waiting, name)
	} else {
		next = t.leave(name, d.Condition.Reason == v1alpha1.ReasonWaitingForTurn)
	}
	t.mu.Unlock()
	for _, name := range next {
		t.wake(name)
	}
}

// Forget gives back what a deleted tenant held.
func (t *Turnstile) Forget(name types.NamespacedName) {
	t.mu.Lock()
	next := t.leave(name, false)
	t.mu.Unlock()
	for _, name := range next {
		t.wake(name)
	}
}

// leave gives back a turn, and the place among those who wait, and returns
// whose turn it has become. The lock is held.
func (t *Turnstile) leave(name types.NamespacedName, waits bool) []types.NamespacedName {
	_, held := t.started[name]
	_, waited := t.waiting[name]
	delete(t.started, name)
	if !waits {
		delete(t.waiting, name)
	}
	if held || waited && !waits {
		return t.next()
	}
	return nil
}

// next lists those whose turn it is. The lock is held.
func (t *Turnstile) next() []types.NamespacedName {
	free := t.most - len(t.started)
	if free <= 0 || len(t.waiting) == 0 {
		return nil
	}
	list := make([]types.NamespacedName, 0, len(t.waiting))
	for name := range t.waiting {
		list = append(list, name)
	}
	slices.SortFunc(list, func(a, b types.NamespacedName) int {
		return order(a, t.waiting[a], b, t.waiting[b])
	})
	return list[:min(free, len(list))]
}
