package controllers

import (
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	change "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// owned are the kinds that a tenant's reconciler makes and every cluster knows.
func owned() []client.Object {
	return []client.Object{
		&appsv1.StatefulSet{}, &corev1.Service{}, &networkingv1.Ingress{}, &policyv1.PodDisruptionBudget{},
	}
}

// tenantChanged lets through what a tenant's reconciler acts on: the spec, its
// end, and ports or updates that another operator wrote. The rest of a status
// is what it wrote itself.
func tenantChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e change.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.PBXTenant)
		now, also := e.ObjectNew.(*v1alpha1.PBXTenant)
		if !ok || !also {
			return false
		}
		return before.Generation != now.Generation ||
			!before.DeletionTimestamp.Equal(now.DeletionTimestamp) ||
			!slices.Equal(before.Finalizers, now.Finalizers) ||
			before.Status.PortsClass != now.Status.PortsClass ||
			!equality.Semantic.DeepEqual(before.Status.Ports, now.Status.Ports) ||
			!equality.Semantic.DeepEqual(before.Status.PreviousPorts, now.Status.PreviousPorts) ||
			!equality.Semantic.DeepEqual(before.Status.Update, now.Status.Update)
	}}
}

// memberChanged lets through what a document is made of: the spec, and what a
// plan took from the directory.
func memberChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e change.UpdateEvent) bool {
		if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
			!e.ObjectOld.GetDeletionTimestamp().Equal(e.ObjectNew.GetDeletionTimestamp()) ||
			!slices.Equal(e.ObjectOld.GetFinalizers(), e.ObjectNew.GetFinalizers()) {
			return true
		}
		before, ok := e.ObjectOld.(*v1alpha1.ExtensionPlan)
		now, also := e.ObjectNew.(*v1alpha1.ExtensionPlan)
		return ok && also && !equality.Semantic.DeepEqual(before.Status.Directory, now.Status.Directory)
	}}
}

// byTenantRef leads from an object to the tenant that it names.
func byTenantRef(_ context.Context, x client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: x.GetNamespace(), Name: tenantRef(x)}}}
}

// byTenantLabel leads from what the operator made to its tenant: pods and
// volumes have no owner reference to it.
func byTenantLabel(_ context.Context, x client.Object) []reconcile.Request {
	name := x.GetLabels()[v1alpha1.LabelTenant]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: x.GetNamespace(), Name: name}}}
}

// bySecret leads from a Secret to the tenants that use it: their own ones by
// label, those that manifests name by index.
func (o *operator) bySecret(ctx context.Context, x client.Object) []reconcile.Request {
	out := byTenantLabel(ctx, x)
	naming := []client.ListOption{client.InNamespace(x.GetNamespace()), client.MatchingFields{indexSecret: x.GetName()}, client.UnsafeDisableDeepCopy}
	add := func(name string) {
		r := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: x.GetNamespace(), Name: name}}
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	var tenants v1alpha1.PBXTenantList
	var plans v1alpha1.ExtensionPlanList
	var trunks v1alpha1.SIPTrunkList
	var bots v1alpha1.NaverWorksBotList
	for _, list := range []client.ObjectList{&tenants, &plans, &trunks, &bots} {
		if err := o.client.List(ctx, list, naming...); err != nil {
			o.Log.Error("the tenants of a Secret are not known", "secret", client.ObjectKeyFromObject(x).String(), "error", err)
		}
	}
	for i := range tenants.Items {
		add(tenants.Items[i].Name)
	}
	for i := range plans.Items {
		add(plans.Items[i].Spec.TenantRef.Name)
	}
	for i := range trunks.Items {
		add(trunks.Items[i].Spec.TenantRef.Name)
	}
	for i := range bots.Items {
		add(bots.Items[i].Spec.TenantRef.Name)
	}
	return out
}

// byClass leads from a class to its tenants. A class that is or was the
// default also touches those that name none.
func (o *operator) byClass(ctx context.Context, x client.Object) []reconcile.Request {
	var out []reconcile.Request
	for _, name := range []string{x.GetName(), ""} {
		var tenants v1alpha1.PBXTenantList
		if err := o.client.List(ctx, &tenants, client.MatchingFields{indexClass: name}, client.UnsafeDisableDeepCopy); err != nil {
			o.Log.Error("the tenants of a class are not known", "class", x.GetName(), "error", err)
		}
		for i := range tenants.Items {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&tenants.Items[i])})
		}
	}
	return out
}

// everyClass leads from anything to all classes.
func (o *operator) everyClass(ctx context.Context, _ client.Object) []reconcile.Request {
	var classes v1alpha1.PBXClassList
	if err := o.client.List(ctx, &classes, client.UnsafeDisableDeepCopy); err != nil {
		o.Log.Error("the classes are not known", "error", err)
	}
	out := make([]reconcile.Request, 0, len(classes.Items))
	for i := range classes.Items {
		out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Name: classes.Items[i].Name}})
	}
	return out
}

// nodeEvents leads from a node to tenants: a cordon or its health matter to
// those that run there, its labels, taints and addresses to all.
func (o *operator) nodeEvents() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	wake := func(names []types.NamespacedName, q queue) {
		for _, name := range names {
			q.Add(reconcile.Request{NamespacedName: name})
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, _ change.CreateEvent, q queue) { wake(o.fleet.Names(), q) },
		DeleteFunc: func(_ context.Context, _ change.DeleteEvent, q queue) { wake(o.fleet.Names(), q) },
		UpdateFunc: func(_ context.Context, e change.UpdateEvent, q queue) {
			switch {
			case placeChanged(e):
				wake(o.fleet.Names(), q)
			case stateChanged(e):
				wake(o.fleet.OnNode(e.ObjectNew.GetName()), q)
			}
		},
	}
}

// placeChanged tells whether a node's part in where tenants may run changed.
func placeChanged(e change.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*corev1.Node)
	now, also := e.ObjectNew.(*corev1.Node)
	return ok && also && (!equality.Semantic.DeepEqual(before.Labels, now.Labels) ||
		!equality.Semantic.DeepEqual(lasting(before.Spec.Taints), lasting(now.Spec.Taints)) ||
		!equality.Semantic.DeepEqual(before.Status.Addresses, now.Status.Addresses))
}

// lasting are the taints that do not come and go with a node's health.
func lasting(taints []corev1.Taint) []corev1.Taint {
	var out []corev1.Taint
	for _, t := range taints {
		switch t.Key {
		case corev1.TaintNodeUnschedulable, corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeOutOfService:
		default:
			out = append(out, corev1.Taint{Key: t.Key, Value: t.Value, Effect: t.Effect})
		}
	}
	return out
}

// stateChanged tells whether the tenants on a node have to be looked at.
func stateChanged(e change.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*corev1.Node)
	now, also := e.ObjectNew.(*corev1.Node)
	return ok && also && (before.Spec.Unschedulable != now.Spec.Unschedulable ||
		!equality.Semantic.DeepEqual(before.Spec.Taints, now.Spec.Taints) ||
		!equality.Semantic.DeepEqual(before.Status.Conditions, now.Status.Conditions))
}
