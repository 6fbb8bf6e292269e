package controllers

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/fleet"
	"github.com/dipcast/dipcast/controllers/verdict"
)

// Setup wires all reconcilers into the manager.
func Setup(mgr manager.Manager, opts Options) error {
	opts = opts.withDefaults()
	o := &operator{
		Options:  opts,
		client:   client.WithFieldOwner(mgr.GetClient(), v1alpha1.FieldOwner),
		live:     mgr.GetAPIReader(),
		recorder: mgr.GetEventRecorder(v1alpha1.FieldOwner),
	}
	o.fleet = fleet.New(o.wakers.tenants.wake)
	o.verdicts = verdict.New(o.wakeObject)
	for _, setup := range []func(manager.Manager) error{
		o.setupTenants, o.setupPBX, o.setupBots, o.setupDirectories,
	} {
		if err := setup(mgr); err != nil {
			return fmt.Errorf("operator: %w", err)
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	o.MaxUpdates = cmp.Or(o.MaxUpdates, 5)
	o.Concurrency = cmp.Or(o.Concurrency, 8)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// controller are the options of every controller.
func (o *operator) controller(concurrency int) controller.Options {
	return controller.Options{MaxConcurrentReconciles: concurrency, SkipNameValidation: &o.SameNames}
}

func (o *operator) setupTenants(mgr manager.Manager) error {
	return builder.ControllerManagedBy(mgr).Named("pbxtenant").
		For(&v1alpha1.PBXTenant{}).
		WatchesRawSource(&o.wakers.tenants).
		WithOptions(o.controller(o.Concurrency)).
		Complete(reconcile.Func(o.reconcileTenant))
}

// wakeObject has the reconciler of an object look at its new verdict.
func (o *operator) wakeObject(object compile.Object) {
	name := client.ObjectKey{Namespace: object.Namespace, Name: object.Name}
	switch object.Kind {
	case v1alpha1.KindExtensionPlan:
		o.wakers.plans.wake(name)
	case v1alpha1.KindSIPTrunk:
		o.wakers.trunks.wake(name)
	case v1alpha1.KindCallFlow:
		o.wakers.flows.wake(name)
	case v1alpha1.KindNaverWorksBot:
		o.wakers.bots.wake(name)
	}
}
