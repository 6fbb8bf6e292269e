package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/hostport"
)

// answer is what a tenant was told last, and what that rests on: as long as
// nobody's ports have changed it needs no look at the whole fleet.
type answer struct {
	claims uint64 // Fleet.claims
	self   hostport.Claim
	layout hostport.Layout
	nodes  int
	is     hostport.Assignment
}

// Assign gives a tenant a block of its class's layout, with regard to the
// claims of all others, and reserves it until the tenant's status holds it.
// Nodes is how many nodes the class has. One choice is made at a time.
func (f *Fleet) Assign(t *v1alpha1.PBXTenant, class string, layout hostport.Layout, nodes int) (hostport.Assignment, error) {
	name := types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
	f.mu.Lock()
	defer f.mu.Unlock()
	// The tenant as its reconciler reads it may be younger than the event.
	stored := blockOf(t)
	now := stored
	if r, ok := f.reserved[name]; ok && r != now {
		now = r
	}
	self := claim(name, t.CreationTimestamp.Time, t.Status.NodeName, now)
	self.Class = class
	told := f.answers[name]
	if told.claims != f.claims || told.self != self || told.layout != layout || told.nodes != nodes {
		a, err := layout.Assign(self, f.others(name), nodes)
		if err != nil {
			f.waiting[name] = true
			return a, err
		}
		told = answer{f.claims, self, layout, nodes, a}
		f.answers[name] = told
	}
	delete(f.waiting, name)
	if stored.class == class && stored.ports == told.is.Ports {
		f.unreserve(name)
	} else {
		f.reserve(name, block{class: class, slot: told.is.Slot, ports: told.is.Ports, previous: now.previous})
	}
	return told.is, nil
}

// others are the claims of all tenants but one, by name: the order of a map is
// drawn anew each time, a choice must not be. The lock is held.
func (f *Fleet) others(except types.NamespacedName) []hostport.Claim {
	out := make([]hostport.Claim, 0, len(f.members))
	for name, m := range f.members {
		if name == except {
			continue
		}
		b := m.block
		if r, ok := f.reserved[name]; ok {
			b = r
		}
		if b.ports.Zero() && b.previous.Zero() {
			continue
		}
		out = append(out, claim(name, m.created, m.node, b))
	}
	slices.SortFunc(out, func(a, b hostport.Claim) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return out
}

// reserve and unreserve change what others see of a tenant's ports. The lock
// is held.
func (f *Fleet) reserve(name types.NamespacedName, b block) {
	if r, ok := f.reserved[name]; !ok || r != b {
		f.reserved[name] = b
		f.claims++
	}
}

func (f *Fleet) unreserve(name types.NamespacedName) {
	if _, ok := f.reserved[name]; ok {
		delete(f.reserved, name)
		f.claims++
	}
}

// Release takes back what Assign reserved, where the status could not be
// written.
func (f *Fleet) Release(name types.NamespacedName) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unreserve(name)
}

// Use is how many tenants hold ports of a class.
func (f *Fleet) Use(class string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for name, m := range f.members {
		b := m.block
		if r, ok := f.reserved[name]; ok {
			b = r
		}
		if b.class == class && !b.ports.Zero() {
			n++
		}
	}
	return n
}

// Nodes returns the nodes on which other tenants hold these very ports, sorted.
func (f *Fleet) Nodes(except types.NamespacedName, ports hostport.Ports) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for name, m := range f.members {
		if name != except && m.node != "" && (m.block.ports.Overlaps(ports) || m.block.previous.Overlaps(ports)) {
			out = append(out, m.node)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func claim(name types.NamespacedName, created time.Time, node string, b block) hostport.Claim {
	return hostport.Claim{
		Tenant: name.String(), Class: b.class, Ports: b.ports, Previous: b.previous,
		Slot: b.slot, Running: node != "", Created: created,
	}
}

func blockOf(t *v1alpha1.PBXTenant) block {
	b := block{class: t.Status.PortsClass, ports: Ports(t.Status.Ports), previous: Ports(t.Status.PreviousPorts)}
	if t.Status.Slot != nil {
		b.slot = int(*t.Status.Slot)
	}
	return b
}

// Ports reads the ports of a status; nil or unreadable ones are zero.
func Ports(p *v1alpha1.TenantPorts) hostport.Ports {
	if p == nil {
		return hostport.Ports{}
	}
	out := hostport.Ports{SIP: int(p.SIP), SIPS: int(p.SIPS), WSS: int(p.WSS), HTTP: int(p.HTTP), Admin: int(p.Admin)}
	if _, err := fmt.Sscanf(p.RTP, "%d-%d", &out.RTPFrom, &out.RTPTo); err != nil {
		return hostport.Ports{}
	}
	return out
}

// StatusPorts writes ports as a status holds them; nil for none.
func StatusPorts(p hostport.Ports) *v1alpha1.TenantPorts {
	if p.Zero() {
		return nil
	}
	return &v1alpha1.TenantPorts{
		SIP: int32(p.SIP), SIPS: int32(p.SIPS), WSS: int32(p.WSS), HTTP: int32(p.HTTP), Admin: int32(p.Admin),
		RTP: fmt.Sprintf("%d-%d", p.RTPFrom, p.RTPTo),
	}
}
