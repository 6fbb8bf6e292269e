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
	// hosts leads from each name in the DNS to the tenants that want it.
	hosts map[string]map[types.NamespacedName]bool
	bots  map[types.NamespacedName]bot
	// reserved are ports that were chosen and are not in an event yet.
	reserved map[types.NamespacedName]block
	// claims counts the changes of what tenants hold or reserve; answers are
	// the blocks that tenants were told last.
	claims  uint64
	answers map[types.NamespacedName]answer
	// waiting are tenants without ports, to be woken when some are given back.
	waiting map[types.NamespacedName]bool
	classes map[string]v1alpha1.PBXClassStatus
	// counted is when the figures of each tenant were written last.
	counted map[types.NamespacedName]time.Time
}

// member is what the fleet knows of one tenant.
type member struct {
	domain   string
	held     string // the domain in force
	created  time.Time
	block    block
	node     string
	waits    bool // for a new process
	updating bool // it is being replaced now
	states   []State
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
		hosts:    map[string]map[types.NamespacedName]bool{},
		bots:     map[types.NamespacedName]bot{},
		reserved: map[types.NamespacedName]block{},
		answers:  map[types.NamespacedName]answer{},
		claims:   1, // that of no answer
		waiting:  map[types.NamespacedName]bool{},
		classes:  map[string]v1alpha1.PBXClassStatus{},
		counted:  map[types.NamespacedName]time.Time{},
	}
}

// Put remembers a tenant as an event tells it.
func (f *Fleet) Put(t *v1alpha1.PBXTenant) {
	name := types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
	now := member{
		domain: t.Spec.Domain, held: t.Status.Domain, created: t.CreationTimestamp.Time, block: blockOf(t),
		node: t.Status.NodeName, states: statesOf(t),
		waits: t.Status.Update != nil, updating: t.Status.Update != nil && t.Status.Update.Started,
	}
	f.mu.Lock()
	before, known := f.members[name]
	f.members[name] = now
	if r, ok := f.reserved[name]; ok && r == now.block {
		f.unreserve(name)
	}
	if !known || before.block != now.block || (before.node == "") != (now.node == "") || !before.created.Equal(now.created) {
		f.claims++
	}
	woken := map[types.NamespacedName]bool{}
	if !known || before.domain != now.domain || before.held != now.held {
		f.leaveHosts(name, before, woken)
		f.enterHosts(name, now, woken)
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
	f.leaveHosts(name, f.members[name], woken)
	f.freed(woken)
	delete(f.members, name)
	delete(f.reserved, name)
	delete(f.answers, name)
	f.claims++
	delete(f.waiting, name)
	delete(f.counted, name)
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
