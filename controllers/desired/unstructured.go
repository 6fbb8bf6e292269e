package desired

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// CertificateKind is cert-manager's Certificate.
func CertificateKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "cert-manager.io", Version: "v1", Kind: "Certificate"}
}

// DNSEndpointKind is external-dns's DNSEndpoint.
func DNSEndpointKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "externaldns.k8s.io", Version: "v1alpha1", Kind: "DNSEndpoint"}
}

// HTTPRouteKind is the Gateway API's HTTPRoute.
func HTTPRouteKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"}
}

// PodMonitorKind is the Prometheus operator's PodMonitor.
func PodMonitorKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "PodMonitor"}
}

// PrometheusRuleKind is the Prometheus operator's PrometheusRule.
func PrometheusRuleKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "PrometheusRule"}
}

// object and list are the forms that JSON has without a Go type.
type (
	object = map[string]any
	list   = []any
)

// foreign builds an object of an optional API, whose Go types would draw in
// whole projects.
func foreign(t *v1alpha1.PBXTenant, kind schema.GroupVersionKind, name, component string, spec object) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: object{"spec": spec}}
	u.SetGroupVersionKind(kind)
	m := meta(t, name, component)
	u.SetNamespace(m.Namespace)
	u.SetName(m.Name)
	u.SetLabels(m.Labels)
	u.SetOwnerReferences(m.OwnerReferences)
	return u
}

// texts is a map of texts in that form.
func texts(in map[string]string) object {
	out := object{}
	for key, value := range in {
		out[key] = value
	}
	return out
}
