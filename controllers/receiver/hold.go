package receiver

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// hold keeps presses in the order in which they came, by tenant. A tenant that
// has some has a goroutine that delivers them, which ends with the last one.
type hold struct {
	deliver func(context.Context, types.NamespacedName)
	ctx     context.Context // of all deliveries
	cancel  context.CancelFunc
	running sync.WaitGroup // deliveries, and messages to those who pressed

	mu      sync.Mutex
	queues  map[types.NamespacedName]*queue
	presses int
	bytes   int
}

type queue struct {
	presses []*press
	bytes   int
}

func newHold(deliver func(context.Context, types.NamespacedName)) *hold {
	ctx, cancel := context.WithCancel(context.Background())
	return &hold{deliver: deliver, ctx: ctx, cancel: cancel, queues: map[types.NamespacedName]*queue{}}
}

// add holds a press; false: there is no room for it.
func (h *hold) add(p *press) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.queues[p.tenant]
	size := len(p.body)
	if h.ctx.Err() != nil || h.presses >= maxPresses || h.bytes+size > maxBytes {
		return false
	}
	if q != nil && (len(q.presses) >= tenantShare || q.bytes+size > tenantsBytes) {
		return false
	}
	if q == nil {
		q = &queue{}
		h.queues[p.tenant] = q
		h.running.Go(func() { h.deliver(h.ctx, p.tenant) })
	}
	q.presses = append(q.presses, p)
	q.bytes += size
	h.presses++
	h.bytes += size
	return true
}

// drop takes a press out.
func (h *hold) drop(p *press) {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.queues[p.tenant]
	i := slices.Index(q.presses, p)
	q.presses = slices.Delete(q.presses, i, i+1)
	q.bytes -= len(p.body)
	h.presses--
	h.bytes -= len(p.body)
}

// waits reports whether a tenant has something waiting.
func (h *hold) waits(tenant types.NamespacedName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.queues[tenant] != nil
}

// of returns what a tenant has waiting, the oldest first.
func (h *hold) of(tenant types.NamespacedName) []*press {
	h.mu.Lock()
	defer h.mu.Unlock()
	if q := h.queues[tenant]; q != nil {
		return slices.Clone(q.presses)
	}
	return nil
}

// finished reports whether a tenant has nothing waiting. Its goroutine then
// ends: the next press begins another one.
func (h *hold) finished(tenant types.NamespacedName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.queues[tenant].presses) > 0 {
		return false
	}
	delete(h.queues, tenant)
	return true
}

func (h *hold) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.presses
}

// wait returns when nothing is held any longer, or ctx ends. Nothing may be
// added meanwhile.
func (h *hold) wait(ctx context.Context) {
	stop := context.AfterFunc(ctx, h.cancel)
	defer stop()
	h.running.Wait()
}

// end gives up what is held.
func (h *hold) end() {
	h.cancel()
	h.running.Wait()
}
