package condition

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/verdict"
)

// Exposure is what is known of the way to a tenant's console and callback.
type Exposure struct {
	Tenant *v1alpha1.PBXTenant
	Made   bool // there is something to lead to
	APIs   desired.APIs
	// Route and Certificates as others have answered them; nil: there is none.
	Route        *unstructured.Unstructured
	Certificates []*unstructured.Unstructured
}

const needsCertManager = ": it needs cert-manager, which the cluster does not have: install it, or give the certificate in a secretRef"

// Exposed tells whether console and callback have a way in.
func Exposed(in Exposure) metav1.Condition {
	web, apis := in.Tenant.Spec.Web, in.APIs
	no := func(reason, message string) metav1.Condition {
		return metav1.Condition{
			Type: v1alpha1.ConditionExposed, Status: metav1.ConditionFalse, Reason: reason, Message: verdict.Short(message, 600),
		}
	}
	switch {
	case !in.Made:
		return no(v1alpha1.ReasonWaiting, "there is nothing to lead to yet")
	case web.GatewayRef != nil && !apis.Gateway:
		return no(v1alpha1.ReasonNotFound, "spec.web.gatewayRef: the cluster has no Gateway API: install it, or remove gatewayRef to use an Ingress")
	case web.TLS != nil && web.TLS.IssuerRef != nil && !apis.CertManager:
		return no(v1alpha1.ReasonNotFound, "spec.web.tls.issuerRef"+needsCertManager)
	case in.Tenant.Spec.SIPTLS != nil && in.Tenant.Spec.SIPTLS.IssuerRef != nil && !apis.CertManager:
		return no(v1alpha1.ReasonNotFound, "spec.sipTLS.issuerRef"+needsCertManager)
	}
	if in.Route != nil {
		if message, refused := routeRefused(in.Route); refused {
			return no(v1alpha1.ReasonRefused, "the Gateway refuses the HTTPRoute: "+message)
		}
	}
	for _, certificate := range in.Certificates {
		if message, is := conditionOf(certificate.Object, "status", "Ready"); !is {
			return no(v1alpha1.ReasonWaiting, "Certificate "+certificate.GetName()+" is not there yet: "+message)
		}
	}
	return metav1.Condition{
		Type: v1alpha1.ConditionExposed, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonReady,
		Message: "the way to the console stands; https://" + in.Tenant.Spec.Domain + " must lead to it",
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
