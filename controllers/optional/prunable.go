package optional

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
)

// Prunable are the objects of a tenant that exist or not, depending on what it
// asks for, as far as the cluster knows their kinds.
func Prunable(t *v1alpha1.PBXTenant, apis desired.APIs) []client.Object {
	out := []client.Object{&networkingv1.Ingress{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"},
		ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: desired.WebName(t.Name)},
	}}
	add := func(present bool, kind schema.GroupVersionKind, names ...string) {
		for _, name := range names {
			if !present {
				continue
			}
			u := &unstructured.Unstructured{}
			u.SetGroupVersionKind(kind)
			u.SetNamespace(t.Namespace)
			u.SetName(name)
			out = append(out, u)
		}
	}
	add(apis.Gateway, desired.HTTPRouteKind(), desired.WebName(t.Name))
	add(apis.CertManager, desired.CertificateKind(), desired.WebTLSName(t.Name), desired.SIPTLSName(t.Name))
	add(apis.ExternalDNS, desired.DNSEndpointKind(), desired.WebName(t.Name))
	return out
}
