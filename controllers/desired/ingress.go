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
					Paths: []networkingv1.HTTPIngressPath{{
						Path: "/", PathType: ptr.To(networkingv1.PathTypePrefix),
						Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
							Name: PBXName(t.Name), Port: networkingv1.ServiceBackendPort{Name: PortHTTP},
						}},
					}},
				}},
			}},
		},
	}
	if secret := webTLSSecret(t); secret != "" {
		out.Spec.TLS = []networkingv1.IngressTLS{{Hosts: []string{t.Spec.Domain}, SecretName: secret}}
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
