package hostport

import "fmt"

const (
	// Lowest and Highest are the ends of what a pool may hold: below are the
	// privileged ports, above the kernel's ephemeral ones.
	Lowest = 1024
	// Highest is the last port below the kernel's ephemeral range.
	Highest = 32767

	signalling = 6 // SIP, SIPS, WSS, HTTP, Admin and a spare that keeps RTP even
	// rtpPerCall is two legs of an RTP and an RTCP port, doubled so that freed
	// ports can rest before reuse.
	rtpPerCall = 2 * 2 * 2
)

// Pool is a range of host ports, both ends included.
type Pool struct {
	From, To int
}

// Overlaps reports whether two pools share a port.
func (p Pool) Overlaps(o Pool) bool { return p.From <= o.To && o.From <= p.To }

func (p Pool) String() string { return fmt.Sprintf("%d-%d", p.From, p.To) }

// Ports are the host ports of one slot. The fields are those of conf.Ports,
// so that one converts to the other.
type Ports struct {
	SIP     int
	SIPS    int
	WSS     int
	HTTP    int
	Admin   int
	RTPFrom int // even
	RTPTo   int // included
}

// Layout is how one pool is cut for one number of concurrent calls.
type Layout struct {
	pool  Pool
	first int // first port of slot 0, even
	size  int // ports per slot
	slots int
}

// New returns the layout of pool for slots of that many concurrent calls. It
// fails if the pool leaves 1024-32767 or holds no slot.
func New(pool Pool, calls int) (Layout, error) {
	if calls < 1 {
		return Layout{}, fmt.Errorf("concurrent calls %d: must be at least 1", calls)
	}
	if pool.From < Lowest || pool.To > Highest || pool.From > pool.To {
		return Layout{}, fmt.Errorf("port pool %s: must lie within %d-%d, lower end first", pool, Lowest, Highest)
	}
	l := Layout{pool: pool, first: pool.From + pool.From%2, size: signalling + calls*rtpPerCall}
	l.slots = (pool.To + 1 - l.first) / l.size
	if l.slots < 1 {
		return Layout{}, fmt.Errorf("port pool %s: has %d ports, one tenant with %d calls needs %d: widen the pool or lower concurrentCalls",
			pool, pool.To-pool.From+1, calls, l.size)
	}
	return l, nil
}

// Slots is how many slots the pool holds.
func (l Layout) Slots() int { return l.slots }

// Size is how many ports one slot has.
func (l Layout) Size() int { return l.size }

// Ports returns the ports of a slot, counted from 0. It fails for a slot that
// the pool does not hold.
func (l Layout) Ports(slot int) (Ports, error) {
	if slot < 0 || slot >= l.slots {
		return Ports{}, fmt.Errorf("slot %d: the port pool holds slots 0 to %d: widen the pool", slot, l.slots-1)
	}
	base := l.first + slot*l.size
	return Ports{
		SIP: base, SIPS: base + 1, WSS: base + 2, HTTP: base + 3, Admin: base + 4,
		RTPFrom: base + signalling, RTPTo: base + l.size - 1,
	}, nil
}

// Slot returns the slot that a port belongs to, false if it belongs to none.
func (l Layout) Slot(port int) (int, bool) {
	if l.size == 0 || port < l.first {
		return 0, false
	}
	slot := (port - l.first) / l.size
	return slot, slot < l.slots
}

// LowestFree returns the lowest slot that is not in use, false if all are.
func (l Layout) LowestFree(inUse func(slot int) bool) (int, bool) {
	for slot := range l.slots {
		if !inUse(slot) {
			return slot, true
		}
	}
	return 0, false
}
