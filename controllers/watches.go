package controllers

import (
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	change "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/watch"
)

// owned are the kinds that a tenant's reconciler makes and every cluster knows.
func owned() []client.Object {
	return []client.Object{
		&appsv1.StatefulSet{}, &corev1.Service{}, &discoveryv1.EndpointSlice{}, &networkingv1.Ingress{}, &policyv1.PodDisruptionBudget{},
	}
}

// bySecret leads from a Secret to the tenants that use it: their own ones by
// label, those that manifests name by index.
func (o *operator) bySecret(ctx context.Context, x client.Object) []reconcile.Request {
	out := watch.ByTenantLabel(ctx, x)
	naming := []client.ListOption{client.InNamespace(x.GetNamespace()), client.MatchingFields{watch.IndexSecret: x.GetName()}, client.UnsafeDisableDeepCopy}
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
		if err := o.client.List(ctx, &tenants, client.MatchingFields{watch.IndexClass: name}, client.UnsafeDisableDeepCopy); err != nil {
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
			case watch.PlaceChanged(e):
				wake(o.fleet.Names(), q)
			case watch.StateChanged(e):
				wake(o.fleet.OnNode(e.ObjectNew.GetName()), q)
			}
		},
	}
}
