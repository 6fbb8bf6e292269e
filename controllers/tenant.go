package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/hostport"
	"github.com/dipcast/dipcast/controllers/nodes"
	"github.com/dipcast/dipcast/controllers/observer"
	"github.com/dipcast/dipcast/pbx/conf"
)

// scene is one reconcile of one tenant: what was gathered, what was decided,
// and the status that will be reported.
type scene struct {
	// tenant is a copy of the cache's; its status is the one to be reported.
	// stored is the tenant as the API server has it.
	tenant, stored *v1alpha1.PBXTenant

	// Gathered. Class and nodes are the cache's own: they are not changed.
	class   *v1alpha1.PBXClass // nil: there is none
	plans   []v1alpha1.ExtensionPlan
	trunks  []v1alpha1.SIPTrunk
	flows   []v1alpha1.CallFlow
	bots    []v1alpha1.NaverWorksBot
	allBots []v1alpha1.NaverWorksBot // those that are being deleted too
	// secrets are those of the tenant's namespace that it needs, by name.
	secrets  map[string]map[string][]byte
	nodes    nodes.Eligible
	allNodes []corev1.Node
	config   *corev1.Secret                // with the last good document; nil: none yet
	claim    *corev1.PersistentVolumeClaim // nil: not made yet
	set      *appsv1.StatefulSet           // nil: not made yet
	pod      *corev1.Pod                   // nil: there is none
	trial    *corev1.Pod                   // of an image; nil: there is none
	podNode  *corev1.Node                  // where the pod runs; nil: nowhere, or the node is gone

	// Decided.
	ports    hostport.Ports    // zero: none were found
	sharedOn []string          // nodes where others use these ports, while the pod has none
	problems []compile.Problem // of all objects of the tenant
	document *conf.Document    // nil: there is an Error, the last good one stays
	wanted   string            // generation of the document in the cluster; "": none
	objects  desired.Objects
	refusals []string // of the API server to make the pod
	// route and certificates as others have answered them; nil: there is none.
	route        *unstructured.Unstructured
	certificates []*unstructured.Unstructured

	// seen is the PBX as the observer knows it; unknown: it was not asked yet.
	seen    observer.Observation
	unknown bool

	// again is the soonest wish to be reconciled once more; 0: none.
	again time.Duration
}

// after asks for another reconcile in at most d.
func (s *scene) after(d time.Duration) {
	if d > 0 && (s.again == 0 || d < s.again) {
		s.again = d
	}
}

// condition puts a condition of the tenant into its status.
func (o *operator) condition(s *scene, c metav1.Condition) {
	o.set(&s.tenant.Status.Conditions, s.tenant.Generation, c)
}

// store writes the status as it is now, where something depends on it being
// written before it goes on.
func (o *operator) store(ctx context.Context, s *scene) error {
	news := changes(s.stored.Status.Conditions, s.tenant.Status.Conditions)
	if err := o.report(ctx, s.stored, s.tenant); err != nil {
		return err
	}
	s.stored = s.tenant.DeepCopy()
	for _, e := range news {
		o.tell(s.tenant, e)
	}
	return nil
}

// reconcileTenant brings one tenant to what its manifests say.
func (o *operator) reconcileTenant(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	if !o.memory.synced() || !o.apis.Settled(o.Now()) {
		return reconcile.Result{RequeueAfter: 100 * time.Millisecond}, nil
	}
	s, err := o.gather(ctx, req.NamespacedName)
	if s == nil {
		o.forget(req.NamespacedName)
		return reconcile.Result{}, err
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	if s.tenant.DeletionTimestamp != nil {
		err := o.finish(ctx, s)
		return reconcile.Result{RequeueAfter: s.again}, err
	}
	err = o.serve(ctx, s)
	o.judge(s)
	if storeErr := o.store(ctx, s); err == nil {
		err = storeErr
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("PBXTenant %s: %w", req.NamespacedName, err)
	}
	return reconcile.Result{RequeueAfter: s.again}, nil
}

// serve decides and applies, in the order in which one thing needs another.
func (o *operator) serve(ctx context.Context, s *scene) error {
	for _, step := range []func(context.Context, *scene) error{
		o.adopt,
		o.choosePorts,
		o.makeSecrets,
		o.compile,
		o.applyObjects,
		o.pruneSecrets,
		o.gatherExposure,
		o.announce,
		o.observe,
		o.update,
		o.askRefusals,
	} {
		if err := step(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// adopt puts the finalizer on a tenant before anything is made for it.
func (o *operator) adopt(ctx context.Context, s *scene) error {
	if controllerutil.ContainsFinalizer(s.tenant, v1alpha1.FinalizerTenant) {
		return nil
	}
	controllerutil.AddFinalizer(s.tenant, v1alpha1.FinalizerTenant)
	if err := o.client.Patch(ctx, s.tenant, client.MergeFromWithOptions(s.stored, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("finalizer: %w", err)
	}
	s.stored = s.tenant.DeepCopy()
	return nil
}

// observe has the PBX watched and reads what is known of it.
func (o *operator) observe(_ context.Context, s *scene) error {
	o.watchPBX(s)
	seen, known := o.pbxs.observer.Report(s.name())
	s.seen, s.unknown = seen, !known
	return nil
}
