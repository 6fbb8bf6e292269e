package load

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// garbageLook is the time between two looks at the heap.
	garbageLook = time.Second
	// busyRate is how many bytes a second are made where many calls begin and
	// end; those that only talk make next to none.
	busyRate = 4 << 20
	// calmAfter is how many looks without as much end a busy time.
	calmAfter = 5
	// garbageRoom is how much garbage may lie in a busy time if the heap is
	// smaller than that; of a memory limit it is an eighth at most.
	garbageRoom = 48 << 20
	// What the runtime collects at: when the heap has grown by so many percent.
	usualPercent, mostPercent = 100, 400
)

// tending is what TendGarbage knows from one look to the next.
type tending struct {
	percent int // in force
	calm    int // looks since it was busy
}

// next returns the percentage for the time until the next look, and whether
// the garbage of a busy time that has ended is to be collected. live is the
// heap in use, made what was allocated since the last look, limit the memory
// limit, all in bytes.
func (t *tending) next(live, made uint64, limit int64) (percent int, collect bool) {
	if made < busyRate {
		if t.calm++; t.calm == calmAfter && t.percent != usualPercent {
			t.percent, collect = usualPercent, true
		}
		return t.percent, collect
	}
	t.calm = 0
	room := uint64(garbageRoom)
	if limit > 0 && limit < math.MaxInt64 {
		room = min(room, uint64(limit)/8)
	}
	// In steps: to change it stops everything for a moment.
	t.percent = min(max(int(4*room/max(live, 1))*25, usualPercent), mostPercent)
	return t.percent, false
}

// TendGarbage lets more garbage lie while many calls begin and end, since a
// collector that comes five times a second for a small heap takes a sixth of
// the processor; it collects it when that is over, which the runtime would not do
// before the heap has doubled: calls that only talk make none. It returns when
// ctx ends, or at once where somebody has chosen a percentage (GOGC).
func TendGarbage(ctx context.Context) {
	if before := debug.SetGCPercent(usualPercent); before != usualPercent {
		debug.SetGCPercent(before)
		return
	}
	defer debug.SetGCPercent(usualPercent)
	heap := []metrics.Sample{{Name: metricLive}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(heap)
	seen := heap[1].Value.Uint64()
	t := tending{percent: usualPercent}
	tick := time.NewTicker(garbageLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(heap)
		before, all := t.percent, heap[1].Value.Uint64()
		percent, collect := t.next(heap[0].Value.Uint64(), all-seen, debug.SetMemoryLimit(-1))
		seen = all
		if percent != before {
			debug.SetGCPercent(percent)
		}
		if collect {
			runtime.GC() // pools keep their buffers over one collection
			debug.FreeOSMemory()
		}
	}
}
