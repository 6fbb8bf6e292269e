package hostport

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Claim is what one tenant holds of the host ports.
type Claim struct {
	Tenant string // namespace/name
	Class  string // that Ports were cut from; of the tenant to be served: its class now
	Ports  Ports  // zero = none yet
	// Previous is the block that the pod still has while it waits to be moved
	// to Ports; zero = none.
	Previous Ports
	Slot     int // of Ports; the ports decide, never this number
	// Running tells that a pod has been on a node with these ports. It stays
	// true while that pod is replaced: phones know the ports.
	Running bool
	Created time.Time
}

// Assignment is the block that a tenant gets.
type Assignment struct {
	Slot       int
	Ports      Ports
	SharedWith []string // tenants that hold the same block, by name
}

// Assign chooses the block of self, in the order that the package comment
// tells. Others are the claims of all other tenants of all classes; nodes is
// how many nodes tenants of self's class may run on, 0 counts as 1. On an
// error the caller leaves self with the ports that it has, if it has some:
// they stay claimed, and the scheduler keeps the pod off a taken port.
func (l Layout) Assign(self Claim, others []Claim, nodes int) (Assignment, error) {
	nodes = max(nodes, 1)
	held := holdings(self, others)
	own, slotted := l.slotOf(self.Ports)
	rank, whole := rankOf(self, held)
	mayKeep := slotted && whole && rank < nodes
	if mayKeep && (rank == 0 || self.Running) {
		return l.assignment(own, self, held), nil
	}
	if slot, ok := l.free(held); ok {
		return l.assignment(slot, self, held), nil
	}
	if mayKeep {
		return l.assignment(own, self, held), nil
	}
	if slot, ok := l.leastShared(held, nodes); ok {
		return l.assignment(slot, self, held), nil
	}
	return Assignment{}, l.full(self, held, nodes)
}

// holding is one block that another tenant has.
type holding struct {
	claim    Claim
	ports    Ports
	sharable bool
}

func holdings(self Claim, others []Claim) []holding {
	out := make([]holding, 0, len(others))
	for _, c := range others {
		if c.Tenant == self.Tenant {
			continue
		}
		if !c.Ports.Zero() {
			out = append(out, holding{c, c.Ports, c.Class == self.Class})
		}
		if !c.Previous.Zero() && c.Previous != c.Ports {
			// Whoever cut it: its pod is on one node and about to leave it.
			out = append(out, holding{c, c.Previous, true})
		}
	}
	return out
}

// slotOf returns the slot whose block p is exactly.
func (l Layout) slotOf(p Ports) (int, bool) {
	slot, ok := l.Slot(p.SIP)
	if !ok {
		return 0, false
	}
	block, err := l.Ports(slot)
	return slot, err == nil && block == p
}

// rankOf returns how many tenants with a better right share self's block; not
// whole means that one with a better right holds a part of it.
func rankOf(self Claim, held []holding) (rank int, whole bool) {
	for _, h := range held {
		if !h.ports.Overlaps(self.Ports) || !better(h.claim, self) {
			continue
		}
		if h.ports != self.Ports || !h.sharable {
			return 0, false
		}
		rank++
	}
	return rank, true
}

// better reports whether a has the better right to a block that both hold.
func better(a, b Claim) bool {
	if a.Running != b.Running {
		return a.Running
	}
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Tenant, b.Tenant)) < 0
}

// free returns the lowest slot that touches nobody's block.
func (l Layout) free(held []holding) (int, bool) {
	use := l.use(held)
	return l.LowestFree(func(slot int) bool { return use[slot] != 0 })
}

// leastShared returns the slot with the fewest tenants on it, the lowest of
// several, if there is a node for one more.
func (l Layout) leastShared(held []holding, nodes int) (int, bool) {
	best, found := 0, false
	use := l.use(held)
	for slot, n := range use {
		if n > 0 && n < nodes && (!found || n < use[best]) {
			best, found = slot, true
		}
	}
	return best, found
}

// notShared marks a slot that somebody holds a part of, or with another class.
const notShared = -1

// use returns for each slot how many tenants hold exactly its block.
func (l Layout) use(held []holding) []int {
	out := make([]int, l.slots)
	for _, h := range held {
		from, to := h.ports.span()
		if exact, ok := l.slotOf(h.ports); ok && h.sharable {
			if out[exact] != notShared {
				out[exact]++
			}
			continue
		}
		for slot := l.touched(from); slot <= l.touched(to) && slot < l.slots; slot++ {
			if block, err := l.Ports(slot); err == nil && block.Overlaps(h.ports) {
				out[slot] = notShared
			}
		}
	}
	return out
}

// touched returns the slot at or after which a block with that port lies.
func (l Layout) touched(port int) int {
	if l.size == 0 || port < l.first {
		return 0
	}
	return (port - l.first) / l.size
}

func (l Layout) assignment(slot int, self Claim, held []holding) Assignment {
	ports, err := l.Ports(slot)
	if err != nil {
		return Assignment{} // a slot of this layout always has ports
	}
	a := Assignment{Slot: slot, Ports: ports}
	for _, h := range held {
		if h.ports == ports && h.claim.Tenant != self.Tenant {
			a.SharedWith = append(a.SharedWith, h.claim.Tenant)
		}
	}
	slices.Sort(a.SharedWith)
	a.SharedWith = slices.Compact(a.SharedWith)
	return a
}

func (l Layout) full(self Claim, held []holding, nodes int) error {
	tenants := map[string]bool{}
	for _, h := range held {
		if from, to := h.ports.span(); l.pool.Overlaps(Pool{From: from, To: to}) {
			tenants[h.claim.Tenant] = true
		}
	}
	return fmt.Errorf("port pool %s of PBXClass %s: all %d slots of %d ports are taken by %d tenants on %d nodes: "+
		"widen spec.network.portPool of the class, add a node, or choose another class",
		l.pool, self.Class, l.slots, l.size, len(tenants), nodes)
}

// Zero reports whether there are no ports.
func (p Ports) Zero() bool { return p == Ports{} }

// Overlaps reports whether two blocks share a port; a block reaches from its
// lowest port to its highest. No ports overlap nothing.
func (p Ports) Overlaps(o Ports) bool {
	if p.Zero() || o.Zero() {
		return false
	}
	from, to := p.span()
	oFrom, oTo := o.span()
	return from <= oTo && oFrom <= to
}

// span returns the lowest and the highest port.
func (p Ports) span() (from, to int) {
	all := slices.DeleteFunc([]int{p.SIP, p.SIPS, p.WSS, p.HTTP, p.Admin, p.RTPFrom, p.RTPTo}, func(n int) bool { return n == 0 })
	if len(all) == 0 {
		return 0, 0
	}
	return slices.Min(all), slices.Max(all)
}
