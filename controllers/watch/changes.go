package watch

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// TenantChanged lets through what a tenant's reconciler acts on: the spec, its
// end, ports or updates that another operator wrote, and conditions. These it
// wrote itself; but whoever judged meanwhile, with a cache that did not show them
// yet, found nothing to write, and what is told would stay wrong. The rest of a
// status is figures.
func TenantChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.PBXTenant)
		now, also := e.ObjectNew.(*v1alpha1.PBXTenant)
		if !ok || !also {
			return false
		}
		return before.Generation != now.Generation ||
			!before.DeletionTimestamp.Equal(now.DeletionTimestamp) ||
			!slices.Equal(before.Finalizers, now.Finalizers) ||
			before.Status.PortsClass != now.Status.PortsClass ||
			!equality.Semantic.DeepEqual(before.Status.Conditions, now.Status.Conditions) ||
			!equality.Semantic.DeepEqual(before.Status.Ports, now.Status.Ports) ||
			!equality.Semantic.DeepEqual(before.Status.PreviousPorts, now.Status.PreviousPorts) ||
			!equality.Semantic.DeepEqual(before.Status.Update, now.Status.Update)
	}}
}

// MemberChanged lets through what a document is made of: the spec, and what a
// plan took from the directory.
func MemberChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
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

// Judged lets through what the reconciler of a plan, a trunk or a flow acts on:
// the spec, and conditions, for the reason that TenantChanged tells.
func Judged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
			!equality.Semantic.DeepEqual(conditionsOf(e.ObjectOld), conditionsOf(e.ObjectNew))
	}}
}

func conditionsOf(o client.Object) []metav1.Condition {
	switch x := o.(type) {
	case *v1alpha1.ExtensionPlan:
		return x.Status.Conditions
	case *v1alpha1.SIPTrunk:
		return x.Status.Conditions
	case *v1alpha1.CallFlow:
		return x.Status.Conditions
	default:
		return nil
	}
}

// PlaceChanged tells whether a node's part in where tenants may run changed.
func PlaceChanged(e event.UpdateEvent) bool {
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

// StateChanged tells whether the tenants on a node have to be looked at.
func StateChanged(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*corev1.Node)
	now, also := e.ObjectNew.(*corev1.Node)
	return ok && also && (before.Spec.Unschedulable != now.Spec.Unschedulable ||
		!equality.Semantic.DeepEqual(before.Spec.Taints, now.Spec.Taints) ||
		!equality.Semantic.DeepEqual(before.Status.Conditions, now.Status.Conditions))
}
