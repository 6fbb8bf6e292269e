package desired

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// ingress leads the tenant's domain to console, REST interface and callback,
// unless a Gateway does. spec.web.externalURL adds no host: who stands in front
// passes requests on with the domain as host, and no tenant can claim the host
// of another.
func ingress(in Input) *networkingv1.Ingress {
	t := in.Tenant
	if t.Spec.Web.GatewayRef != nil {
		return nil
	}
	out := &networkingv1.Ingress{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"},
		ObjectMeta: meta(t, WebName(t.Name), ComponentWeb),
		Spec: networkingv1.IngressSpec{
			IngressClassName: t.Spec.Web.IngressClassName,
			Rules: []networkingv1.IngressRule{{
				Host: t.Spec.Domain,
				IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
					Paths: ingressPaths(in),
				}},
			}},
		},
	}
	if secret := webTLSSecret(t); secret != "" {
		out.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{t.Spec.Domain}, SecretName: secret}}
	}
	return out
}

// ingressPaths lead to the PBX, callbacks to the operator's receivers.
func ingressPaths(in Input) []networkingv1.HTTPIngressPath {
	to := func(path string, kind networkingv1.PathType, service string) networkingv1.HTTPIngressPath {
		return networkingv1.HTTPIngressPath{
			Path: path, PathType: ptr.To(kind),
			Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
				Name: service, Port: networkingv1.ServiceBackendPort{Name: PortHTTP},
			}},
		}
	}
	out := []networkingv1.HTTPIngressPath{to("/", networkingv1.PathTypePrefix, PBXName(in.Tenant.Name))}
	if in.Receivers != nil {
		out = append(out, to(CallbackPath, networkingv1.PathTypeExact, CallbackName(in.Tenant.Name)))
	}
	return out
}

// webTLSSecret is the name of the Secret with the console's certificate, "" if
// the ingress uses its own.
func webTLSSecret(t *v1alpha1.PBXTenant) string {
	switch tls := t.Spec.Web.TLS; {
	case tls == nil:
		return ""
	case tls.SecretRef != nil:
		return tls.SecretRef.Name
	case tls.IssuerRef != nil:
		return WebTLSName(t.Name)
	default:
		return ""
	}
}
