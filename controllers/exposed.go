package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/controllers/condition"
	"github.com/dipcast/dipcast/controllers/desired"
)

// gatherExposure reads what others say of the route and the certificates.
func (o *operator) gatherExposure(ctx context.Context, s *scene) error {
	read := func(want *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		have := &unstructured.Unstructured{}
		have.SetGroupVersionKind(want.GroupVersionKind())
		err := o.client.Get(ctx, client.ObjectKeyFromObject(want), have)
		if err != nil {
			return want, client.IgnoreNotFound(err)
		}
		return have, nil
	}
	if s.objects.Route != nil {
		route, err := read(s.objects.Route)
		if err != nil {
			return err
		}
		s.route = route
	}
	for _, want := range s.objects.Certificates {
		certificate, err := read(want)
		if err != nil {
			return err
		}
		s.certificates = append(s.certificates, certificate)
	}
	return nil
}

// exposure is what the condition Exposed is made of.
func (s *scene) exposure(apis desired.APIs) condition.Exposure {
	return condition.Exposure{
		Tenant: s.inForce(), Made: s.set != nil || s.objects.StatefulSet != nil, APIs: apis, Route: s.route, Certificates: s.certificates,
	}
}
