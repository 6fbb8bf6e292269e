package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// gather reads everything that the tenant is made of; nil: it is gone.
func (o *operator) gather(ctx context.Context, name types.NamespacedName) (*scene, error) {
	s := &scene{tenant: &v1alpha1.PBXTenant{}}
	if err := o.client.Get(ctx, name, s.tenant); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return s, nil
}
