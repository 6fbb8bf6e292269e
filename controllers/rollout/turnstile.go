package rollout

import (
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
	started map[types.NamespacedName]time.Time
	waiting map[types.NamespacedName]time.Time
}

// NewTurnstile lets most tenants through. Wake is called, without a lock held,
// with each tenant whose turn it has become.
func NewTurnstile(most int, wake func(types.NamespacedName)) *Turnstile {
	return &Turnstile{most: most, wake: wake, started: map[types.NamespacedName]time.Time{}, waiting: map[types.NamespacedName]time.Time{}}
}

// Seen remembers what a tenant's stored status says, unless Settle knows
// better; call it for every tenant before the first Take.
func (t *Turnstile) Seen(name types.NamespacedName, u *v1alpha1.TenantUpdate) {}

// Take asks for a turn and holds it if it is granted, until Settle.
func (t *Turnstile) Take(name types.NamespacedName, since, now time.Time) Turn { return TurnGranted }

// Settle remembers what was decided: the turn is held while d.Update is
// started, and given back otherwise.
func (t *Turnstile) Settle(name types.NamespacedName, d Decision) {}

// Forget gives back what a deleted tenant held.
func (t *Turnstile) Forget(name types.NamespacedName) {}
