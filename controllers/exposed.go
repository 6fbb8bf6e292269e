package controllers

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/verdict"
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

// exposed tells whether console and callback have a way in.
func (o *operator) exposed(s *scene) metav1.Condition {
	web := s.tenant.Spec.Web
	apis := o.apis.present()
	no := func(reason, message string) metav1.Condition {
		return failed(v1alpha1.ConditionExposed, reason, verdict.Short(message, 600))
	}
	switch {
	case s.set == nil && s.objects.StatefulSet == nil:
		return no(v1alpha1.ReasonWaiting, "there is nothing to lead to yet")
	case web.GatewayRef != nil && !apis.Gateway:
		return no(v1alpha1.ReasonNotFound, "spec.web.gatewayRef: the cluster has no Gateway API: install it, or remove gatewayRef to use an Ingress")
	case (web.TLS != nil && web.TLS.IssuerRef != nil || s.tenant.Spec.SIPTLS != nil && s.tenant.Spec.SIPTLS.IssuerRef != nil) && !apis.CertManager:
		return no(v1alpha1.ReasonNotFound, "an issuerRef needs cert-manager, which the cluster does not have: install it, or give the certificate in a secretRef")
	}
	if s.route != nil {
		if message, refused := routeRefused(s.route); refused {
			return no(v1alpha1.ReasonRefused, "the Gateway refuses the HTTPRoute: "+message)
		}
	}
	for _, certificate := range s.certificates {
		if message, is := conditionOf(certificate.Object, "status", "Ready"); !is {
			return no(v1alpha1.ReasonWaiting, "Certificate "+certificate.GetName()+" is not there yet: "+message)
		}
	}
	return metav1.Condition{
		Type: v1alpha1.ConditionExposed, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady,
		Message: "the way to the console stands; https://" + s.tenant.Spec.Domain + " must lead to it",
	}
}

// routeRefused reads what the gateways say of a route.
func routeRefused(route *unstructured.Unstructured) (message string, refused bool) {
	parents, _, err := unstructured.NestedSlice(route.Object, "status", "parents")
	if err != nil {
		return "", false
	}
	for _, p := range parents {
		parent, ok := p.(map[string]any)
		if !ok {
			continue
		}
		for _, kind := range []string{"Accepted", "ResolvedRefs"} {
			if found, is := conditionOf(parent, "", kind); !is && found != "" {
				return found, true
			}
		}
	}
	return "", false
}

// conditionOf reads one condition of an object of another kind: whether it is
// True, and what it says.
func conditionOf(object map[string]any, under, kind string) (message string, is bool) {
	path := []string{"conditions"}
	if under != "" {
		path = []string{under, "conditions"}
	}
	list, _, err := unstructured.NestedSlice(object, path...)
	if err != nil {
		return "", false
	}
	for _, c := range list {
		condition, ok := c.(map[string]any)
		if !ok || condition["type"] != kind {
			continue
		}
		text, ok := condition["message"].(string)
		if !ok || text == "" {
			text = "no reason is given"
		}
		return text, condition["status"] == "True"
	}
	return "", false
}
