package controllers

import (
	"context"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// waker is a source of a controller's queue: it puts objects into it that no
// event of their own tells of. Before the controller runs it does nothing, as
// the controller then begins with every object anyway.
type waker struct {
	queue atomic.Pointer[workqueue.TypedRateLimitingInterface[reconcile.Request]]
}

// Start implements source.Source.
func (w *waker) Start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	w.queue.Store(&queue)
	return nil
}

// String names the source in controller-runtime's logs.
func (w *waker) String() string { return "waker" }

func (w *waker) wake(name types.NamespacedName) {
	if queue := w.queue.Load(); queue != nil {
		(*queue).Add(reconcile.Request{NamespacedName: name})
	}
}

// wakeIn wakes an object in a while; several wishes become one.
func (w *waker) wakeIn(name types.NamespacedName, d time.Duration) {
	if queue := w.queue.Load(); queue != nil {
		(*queue).AddAfter(reconcile.Request{NamespacedName: name}, d)
	}
}

// wakers are those of all kinds.
type wakers struct {
	classes, tenants, plans, trunks, flows, bots, directories waker
}
