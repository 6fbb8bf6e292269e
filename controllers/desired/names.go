package desired

import (
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// The components that owned objects are labelled with.
const (
	ComponentPBX    = "pbx"
	ComponentTrial  = "trial"
	ComponentConfig = "config"
	ComponentData   = "data"
	ComponentWeb    = "web"
	ComponentSecret = "secret"
	// ComponentCallback is the way to the operator's receivers.
	ComponentCallback = "callback"
)

// The kind takes names of at most 40 letters, digits and -, beginning with a
// letter: with each of these suffixes that is a DNS label, and there is room for
// the hash that the StatefulSet's controller appends in a label of the pod.

// PBXName is the name of the StatefulSet, Service, PodDisruptionBudget,
// PodMonitor and PrometheusRule.
func PBXName(tenant string) string { return tenant + "-pbx" }

// PodName is the name of the tenant's one pod.
func PodName(tenant string) string { return PBXName(tenant) + "-0" }

// TrialName is the name of the pod that tries an image.
func TrialName(tenant string) string { return tenant + "-trial" }

// ConfigName is the name of the Secret with the document.
func ConfigName(tenant string) string { return tenant + "-config" }

// DataName is the name of the PersistentVolumeClaim.
func DataName(tenant string) string { return tenant + "-data" }

// WebName is the name of the Ingress or HTTPRoute and of the DNSEndpoint.
func WebName(tenant string) string { return tenant }

// CallbackName is the name of the Service that leads to the operator's receivers.
func CallbackName(tenant string) string { return tenant + "-callback" }

// CallbackSliceName is the name of that Service's EndpointSlice.
func CallbackSliceName(tenant string, family discoveryv1.AddressType) string {
	return CallbackName(tenant) + "-" + strings.ToLower(string(family))
}

// WebTLSName is the name of the console's Certificate and of its Secret.
func WebTLSName(tenant string) string { return tenant + "-web-tls" }

// SIPTLSName is the name of the Certificate of SIP over TLS and of its Secret.
func SIPTLSName(tenant string) string { return tenant + "-sip-tls" }

// SIPHost is the host of a tenant's SIP address records: the domain itself
// leads to the console.
func SIPHost(domain string) string { return "sip." + domain }

// Selector is the set of labels that finds the tenant's pod.
func Selector(tenant string) map[string]string {
	return map[string]string{
		v1alpha1.LabelTenant:    tenant,
		v1alpha1.LabelComponent: ComponentPBX,
	}
}

// Labels are those of every object that the operator makes for a tenant.
func Labels(tenant, component string) map[string]string {
	return map[string]string{
		v1alpha1.LabelTenant:           tenant,
		v1alpha1.LabelComponent:        component,
		"app.kubernetes.io/name":       "dipcast",
		"app.kubernetes.io/instance":   tenant,
		"app.kubernetes.io/managed-by": v1alpha1.FieldOwner,
	}
}

// meta is the metadata of an object that goes with its tenant.
func meta(t *v1alpha1.PBXTenant, name, component string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: t.Namespace, Name: name,
		Labels:          Labels(t.Name, component),
		OwnerReferences: []metav1.OwnerReference{owner(t)},
	}
}

func owner(t *v1alpha1.PBXTenant) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion().String(), Kind: v1alpha1.KindPBXTenant, Name: t.Name, UID: t.UID,
		Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
	}
}
