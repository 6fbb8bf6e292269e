package optional

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
)

// Prunable are the objects of a tenant that exist or not, depending on what it
// asks for and on the installation, as far as the cluster knows their kinds.
// What leads to receivers of which it is not known where they are stays.
func Prunable(t *v1alpha1.PBXTenant, apis desired.APIs, receivers *desired.Receivers) []client.Object {
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: t.Namespace, Name: name} }
	out := []client.Object{&networkingv1.Ingress{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"},
		ObjectMeta: named(desired.WebName(t.Name)),
	}}
	if receivers == nil || len(receivers.Addresses) > 0 {
		out = append(out, &corev1.Service{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
			ObjectMeta: named(desired.CallbackName(t.Name)),
		})
		for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
			out = append(out, &discoveryv1.EndpointSlice{
				TypeMeta:   metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
				ObjectMeta: named(desired.CallbackSliceName(t.Name, family)),
			})
		}
	}
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
