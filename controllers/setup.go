package controllers

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/apply"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/fleet"
	"github.com/dipcast/dipcast/controllers/optional"
	"github.com/dipcast/dipcast/controllers/receiver"
	"github.com/dipcast/dipcast/controllers/secret"
	"github.com/dipcast/dipcast/controllers/trust"
	"github.com/dipcast/dipcast/controllers/verdict"
	"github.com/dipcast/dipcast/controllers/watch"
)

// NewScheme returns the kinds that the operator reads and writes.
func NewScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			return nil, fmt.Errorf("scheme: %w", err)
		}
	}
	return s, nil
}

// ManagerOptions are those that Setup builds on: the kinds that the operator
// knows, and what it keeps in memory of these namespaces; none are all.
func ManagerOptions(namespaces []string) (manager.Options, error) {
	scheme, err := NewScheme()
	if err != nil {
		return manager.Options{}, err
	}
	cached, err := watch.Cache(namespaces)
	return manager.Options{Scheme: scheme, Cache: cached}, err
}

// Setup wires all reconcilers into the manager, which was made with
// ManagerOptions.
func Setup(mgr manager.Manager, opts Options) error {
	o := &operator{
		Options:  opts.withDefaults(),
		client:   client.WithFieldOwner(mgr.GetClient(), v1alpha1.FieldOwner),
		live:     mgr.GetAPIReader(),
		recorder: mgr.GetEventRecorder(v1alpha1.FieldOwner),
		apis:     optional.New(mgr),
	}
	o.fleet = fleet.New(o.wakers.tenants.wake)
	o.verdicts = verdict.New(o.wakeObject)
	o.applier = apply.New(o.client, o.live)
	o.secrets = secret.New(o.client, o.live, o.Random)
	for _, setup := range []func(manager.Manager) error{
		o.setupTrust, o.setupMetrics, o.setupIndexes, o.setupMemory, o.setupPBX, o.setupReceivers,
		o.setupTenants, o.setupMembers, o.setupClasses, o.setupAPIs,
		o.setupLine, o.setupBots, o.setupDirectories,
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
	if o.Metrics == nil {
		o.Metrics = metrics.Registry
	}
	return o
}

const (
	retryFirst = 50 * time.Millisecond
	retryMost  = time.Minute
	longest    = 2 * time.Minute // that one reconcile may take
)

// controller are the options of every controller. A conflict is tried again
// almost at once, what stays broken once a minute.
func (o *operator) controller(concurrency int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: concurrency, SkipNameValidation: &o.SameNames, ReconciliationTimeout: longest,
		RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](retryFirst, retryMost),
	}
}

func (o *operator) setupTrust(mgr manager.Manager) error {
	t, err := trust.New(o.TrustedCAsFile, o.wakeAll)
	if err != nil {
		return err
	}
	o.trust = t
	return mgr.Add(t)
}

func (o *operator) setupMetrics(manager.Manager) error {
	return o.Metrics.Register(o.fleet.Collector())
}

func (o *operator) setupIndexes(mgr manager.Manager) error {
	return watch.AddIndexes(context.Background(), mgr.GetFieldIndexer())
}

func (o *operator) setupReceivers(mgr manager.Manager) (err error) {
	if o.ReceiverService.Name != "" {
		o.receivers, err = receiver.NewPlaces(mgr, o.ReceiverService, o.wakeAll)
	}
	return err
}

// setupTenants watches everything that a tenant is made of and everything that
// is made of it.
func (o *operator) setupTenants(mgr manager.Manager) error {
	members := builder.WithPredicates(watch.MemberChanged())
	b := builder.ControllerManagedBy(mgr).Named("pbxtenant").
		For(&v1alpha1.PBXTenant{}, builder.WithPredicates(watch.TenantChanged())).
		Watches(&v1alpha1.PBXClass{}, handler.EnqueueRequestsFromMapFunc(o.byClass), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.ExtensionPlan{}, handler.EnqueueRequestsFromMapFunc(watch.ByTenantRef), members).
		Watches(&v1alpha1.SIPTrunk{}, handler.EnqueueRequestsFromMapFunc(watch.ByTenantRef), members).
		Watches(&v1alpha1.CallFlow{}, handler.EnqueueRequestsFromMapFunc(watch.ByTenantRef), members).
		Watches(&v1alpha1.NaverWorksBot{}, handler.EnqueueRequestsFromMapFunc(watch.ByTenantRef), members).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(o.bySecret)).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(watch.ByTenantLabel)).
		Watches(&corev1.PersistentVolumeClaim{}, handler.EnqueueRequestsFromMapFunc(watch.ByTenantLabel)).
		Watches(&corev1.Node{}, o.nodeEvents()).
		WatchesRawSource(&o.wakers.tenants).
		WithOptions(o.controller(o.Concurrency))
	for _, kind := range owned() {
		b = b.Owns(kind)
	}
	c, err := b.Build(reconcile.Func(o.reconcileTenant))
	if err != nil {
		return err
	}
	o.apis.Watch(c)
	return nil
}

// setupMembers watches what names a tenant, to tell it what became of it. A
// tenant that comes or goes is told through the verdicts.
func (o *operator) setupMembers(mgr manager.Manager) error {
	for _, kind := range []struct {
		name, kind string
		fresh      func() (client.Object, *[]metav1.Condition)
		waker      *waker
	}{
		{"extensionplan", v1alpha1.KindExtensionPlan, freshPlan, &o.wakers.plans},
		{"siptrunk", v1alpha1.KindSIPTrunk, freshTrunk, &o.wakers.trunks},
		{"callflow", v1alpha1.KindCallFlow, freshFlow, &o.wakers.flows},
	} {
		object, _ := kind.fresh()
		err := builder.ControllerManagedBy(mgr).Named(kind.name).
			For(object, builder.WithPredicates(watch.Judged())).
			WatchesRawSource(kind.waker).
			WithOptions(o.controller(2)).
			Complete(o.member(kind.kind, kind.fresh))
		if err != nil {
			return err
		}
	}
	return nil
}

// setupClasses counts slots: they change with the class, the nodes, and the
// ports of tenants, of which the fleet's memory tells.
func (o *operator) setupClasses(mgr manager.Manager) error {
	place := predicate.Funcs{UpdateFunc: watch.PlaceChanged}
	return builder.ControllerManagedBy(mgr).Named("pbxclass").
		Watches(&v1alpha1.PBXClass{}, handler.EnqueueRequestsFromMapFunc(o.everyClass), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(o.everyClass), builder.WithPredicates(place)).
		WatchesRawSource(&o.wakers.classes).
		WithOptions(o.controller(1)).
		Complete(reconcile.Func(o.reconcileClass))
}

// setupAPIs looks for the optional APIs that are there and watches for others.
func (o *operator) setupAPIs(mgr manager.Manager) error {
	names := map[string]bool{}
	for _, api := range optional.List() {
		names[api.Definition] = true
	}
	if err := o.apis.Expect(); err != nil {
		return err
	}
	ours := predicate.NewPredicateFuncs(func(x client.Object) bool { return names[x.GetName()] })
	return builder.ControllerManagedBy(mgr).Named("apis").
		WatchesMetadata(watch.Definition(), &handler.EnqueueRequestForObject{}, builder.WithPredicates(ours)).
		WithOptions(o.controller(1)).
		Complete(reconcile.Func(o.reconcileDefinition))
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
