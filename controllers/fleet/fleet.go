package fleet

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/hostport"
)

// Fleet is the memory. Make it with New.
type Fleet struct {
	wake func(types.NamespacedName)

	mu      sync.Mutex
	members map[types.NamespacedName]member
	domains map[string]map[types.NamespacedName]time.Time
	bots    map[types.NamespacedName]bot
	// reserved are ports that were chosen and are not in an event yet.
	reserved map[types.NamespacedName]block
	// waiting are tenants without ports, to be woken when some are given back.
	waiting map[types.NamespacedName]bool
	// turns are tenants whose replacement was allowed and is not in an event yet.
	turns map[types.NamespacedName]bool
}

// member is what the fleet knows of one tenant.
type member struct {
	domain   string
	created  time.Time
	block    block
	node     string
	updating bool
}

// block is what a tenant holds of the host ports.
type block struct {
	class           string
	slot            int
	ports, previous hostport.Ports
}

// New returns an empty fleet. Wake is called, without a lock held, with each
// tenant whose case may have changed through another one.
func New(wake func(types.NamespacedName)) *Fleet {
	return &Fleet{
		wake:     wake,
		members:  map[types.NamespacedName]member{},
		domains:  map[string]map[types.NamespacedName]time.Time{},
		bots:     map[types.NamespacedName]bot{},
		reserved: map[types.NamespacedName]block{},
		waiting:  map[types.NamespacedName]bool{},
		turns:    map[types.NamespacedName]bool{},
	}
}

// Put remembers a tenant as an event tells it.
func (f *Fleet) Put(t *v1alpha1.PBXTenant) {
	name := types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
	now := member{
		domain: t.Spec.Domain, created: t.CreationTimestamp.Time, block: blockOf(t),
		node: t.Status.NodeName, updating: t.Status.Update != nil && t.Status.Update.Started,
	}
	f.mu.Lock()
	before, known := f.members[name]
	f.members[name] = now
	if r, ok := f.reserved[name]; ok && r == now.block {
		delete(f.reserved, name)
	}
	if now.updating {
		delete(f.turns, name)
	}
	woken := map[types.NamespacedName]bool{}
	if !known || before.domain != now.domain {
		f.leaveDomain(name, before.domain, woken)
		f.enterDomain(name, now, woken)
	}
	if known && before.block != now.block {
		f.freed(woken)
	}
	f.mu.Unlock()
	f.wakeAll(name, woken)
}

// Delete forgets a tenant.
func (f *Fleet) Delete(name types.NamespacedName) {
	f.mu.Lock()
	woken := map[types.NamespacedName]bool{}
	f.leaveDomain(name, f.members[name].domain, woken)
	f.freed(woken)
	delete(f.members, name)
	delete(f.reserved, name)
	delete(f.waiting, name)
	delete(f.turns, name)
	f.mu.Unlock()
	f.wakeAll(name, woken)
}

// Names returns every tenant.
func (f *Fleet) Names() []types.NamespacedName {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]types.NamespacedName, 0, len(f.members))
	for name := range f.members {
		out = append(out, name)
	}
	return out
}

// OnNode returns the tenants whose PBX runs on that node.
func (f *Fleet) OnNode(node string) []types.NamespacedName {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []types.NamespacedName
	for name, m := range f.members {
		if m.node == node {
			out = append(out, name)
		}
	}
	return out
}

// TakeTurn allows a tenant's pod to be replaced if fewer than most others are
// being replaced now; false: it has to wait. Allowed once, it stays allowed
// until the tenant's status says so itself or ReturnTurn is called.
func (f *Fleet) TakeTurn(name types.NamespacedName, most int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.others(name) >= most {
		return false
	}
	if !f.members[name].updating {
		f.turns[name] = true
	}
	return true
}

// ReturnTurn takes back what TakeTurn allowed.
func (f *Fleet) ReturnTurn(name types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.turns, name)
}

// Updating is how many other tenants are being replaced now.
func (f *Fleet) Updating(except types.NamespacedName) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.others(except)
}

func (f *Fleet) others(name types.NamespacedName) int {
	n := 0
	for other, m := range f.members {
		if other != name && (m.updating || f.turns[other]) {
			n++
		}
	}
	return n
}

// freed notes for waking those who wait for ports. The lock is held.
func (f *Fleet) freed(woken map[types.NamespacedName]bool) {
	for name := range f.waiting {
		woken[name] = true
	}
}

func (f *Fleet) wakeAll(except types.NamespacedName, names map[types.NamespacedName]bool) {
	for name := range names {
		if name != except {
			f.wake(name)
		}
	}
}
