package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/controllers/optional"
	"github.com/dipcast/dipcast/controllers/watch"
)

// reconcileDefinition notices that an optional API has come or gone.
func (o *operator) reconcileDefinition(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	for _, api := range optional.List() {
		if api.Definition != req.Name {
			continue
		}
		found := watch.Definition()
		err := o.client.Get(ctx, types.NamespacedName{Name: req.Name}, found)
		if client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, err
		}
		var changed bool
		if err != nil || found.DeletionTimestamp != nil {
			changed, err = o.apis.Gone(ctx, api)
		} else {
			changed, err = o.served(ctx, api)
		}
		if err != nil {
			return reconcile.Result{}, err
		}
		if changed {
			o.Log.Info("the cluster's optional APIs have changed", "api", api.Definition)
			o.wakeAll()
		}
	}
	return reconcile.Result{}, nil
}

// served begins with an API once the API server serves it, which is a moment
// after its definition came.
func (o *operator) served(ctx context.Context, api optional.API) (changed bool, err error) {
	is, err := o.apis.Detect(api)
	if err != nil {
		return false, err
	}
	if !is {
		return false, fmt.Errorf("%s: version %s is not served yet", api.Definition, api.Kind.Version)
	}
	return o.apis.Come(ctx, api)
}

// wakeAll reconciles every tenant.
func (o *operator) wakeAll() {
	for _, name := range o.fleet.Names() {
		o.wakers.tenants.wake(name)
	}
}
