package controllers

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/hostport"
	"github.com/dipcast/dipcast/controllers/nodes"
	"github.com/dipcast/dipcast/pbx/conf"
)

const second = time.Second

// scene is one reconcile of one tenant: what was gathered, what was decided,
// and the status that will be reported.
type scene struct {
	// Gathered. The tenant is a copy of the cache's, whose status is the one to
	// be reported; the other objects may be the cache's own and are not changed.
	tenant *v1alpha1.PBXTenant
	class  *v1alpha1.PBXClass // nil: there is none
	plans  []v1alpha1.ExtensionPlan
	trunks []v1alpha1.SIPTrunk
	flows  []v1alpha1.CallFlow
	bots   []v1alpha1.NaverWorksBot
	// secrets are those of the tenant's namespace that it needs, by name.
	secrets map[string]map[string][]byte
	nodes   nodes.Eligible
	set     *appsv1.StatefulSet // nil: not made yet
	pod     *corev1.Pod         // nil: there is none
	podNode *corev1.Node        // where the pod runs; nil: nowhere yet

	// Decided.
	ports    hostport.Ports    // zero: none were found
	problems []compile.Problem // of all objects of the tenant
	document *conf.Document    // nil: there is an Error, the last good one stays
	objects  desired.Objects

	// again is the soonest wish to be reconciled once more; 0: none.
	again time.Duration
}

// after asks for another reconcile in at most d.
func (s *scene) after(d time.Duration) {
	if d > 0 && (s.again == 0 || d < s.again) {
		s.again = d
	}
}

// condition puts a condition of the tenant into its status. Ready is not for
// it: conditions.go computes that one from the others.
func (o *operator) condition(s *scene, c metav1.Condition) {
	o.set(&s.tenant.Status.Conditions, s.tenant.Generation, c)
}

// Reconcile brings one tenant to what its manifests say.
func (o *operator) reconcileTenant(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	s, err := o.gather(ctx, req.NamespacedName)
	if s == nil || err != nil {
		return reconcile.Result{}, err
	}
	before := s.tenant.DeepCopy()
	err = o.serve(ctx, s)
	if reportErr := o.report(ctx, before, s.tenant); err == nil {
		err = reportErr
	}
	return reconcile.Result{RequeueAfter: s.again}, err
}

// serve decides and applies, in the order in which one thing needs another.
func (o *operator) serve(ctx context.Context, s *scene) error {
	if err := o.withDirectory(ctx, s); err != nil {
		return err
	}
	o.watchPBX(s)
	return o.update(ctx, s)
}
