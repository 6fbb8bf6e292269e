package controllers

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// reconcileFlow tells whether the tenant could use a call flow.
func (o *operator) reconcileFlow(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var x v1alpha1.CallFlow
	if err := o.client.Get(ctx, req.NamespacedName, &x); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	return reconcile.Result{}, o.reportVerdict(ctx, v1alpha1.KindCallFlow, &x, &x.Status.Conditions)
}
