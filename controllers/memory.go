package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// memory tells whether the fleet has heard of every object that there is.
type memory []toolscache.ResourceEventHandlerRegistration

func (m memory) synced() bool {
	for _, r := range m {
		if !r.HasSynced() {
			return false
		}
	}
	return true
}

// setupMemory fills the fleet with the events of tenants and bots.
func (o *operator) setupMemory(mgr manager.Manager) error {
	for _, kind := range []client.Object{&v1alpha1.PBXTenant{}, &v1alpha1.NaverWorksBot{}} {
		informer, err := mgr.GetCache().GetInformer(context.Background(), kind, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    o.remember,
			UpdateFunc: func(_, now any) { o.remember(now) },
			DeleteFunc: o.unremember,
		})
		if err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
		o.memory = append(o.memory, registration)
	}
	return nil
}

func (o *operator) remember(object any) {
	switch x := object.(type) {
	case *v1alpha1.PBXTenant:
		o.fleet.Put(x)
		o.wakeClass(x)
	case *v1alpha1.NaverWorksBot:
		o.fleet.PutBot(x)
	}
}

func (o *operator) unremember(object any) {
	if lost, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = lost.Obj
	}
	switch x := object.(type) {
	case *v1alpha1.PBXTenant:
		o.fleet.Delete(client.ObjectKeyFromObject(x))
		o.wakeClass(x)
	case *v1alpha1.NaverWorksBot:
		o.fleet.DeleteBot(client.ObjectKeyFromObject(x))
	}
}

// classEvery bounds how often the figures of a class follow its tenants.
const classEvery = time.Second

// wakeClass has the figures of the tenant's class counted again.
func (o *operator) wakeClass(t *v1alpha1.PBXTenant) {
	if t.Status.PortsClass != "" {
		o.wakers.classes.wakeIn(types.NamespacedName{Name: t.Status.PortsClass}, classEvery)
	}
}
