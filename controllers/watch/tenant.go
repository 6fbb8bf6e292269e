package watch

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// ByTenantRef leads from an object to the tenant that it names.
func ByTenantRef(_ context.Context, x client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: x.GetNamespace(), Name: TenantRef(x)}}}
}

// ByTenantLabel leads from what the operator made to its tenant: pods and
// volumes have no owner reference to it.
func ByTenantLabel(_ context.Context, x client.Object) []reconcile.Request {
	name := x.GetLabels()[v1alpha1.LabelTenant]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: x.GetNamespace(), Name: name}}}
}
