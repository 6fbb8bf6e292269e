package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// The components that owned objects are labelled with.
const (
	ComponentPBX    = "pbx"
	ComponentConfig = "config"
	ComponentData   = "data"
	ComponentWeb    = "web"
	ComponentSecret = "secret"
)

const (
	maxName  = 63 // of what becomes a DNS label or a label's value
	hashSize = 8
)

// reLabel is a name that every kind takes, Services too.
var reLabel = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)

// Name returns the name of a tenant's object: TENANT + suffix. Where that is
// no DNS label or longer than 63 characters, as a tenant named 3m or a.b makes
// it, what is wrong is replaced and a hash of the tenant's name keeps two
// tenants apart.
func Name(tenant, suffix string) string {
	return fitted(tenant, suffix, maxName-len(suffix))
}

// PBXName is the name of the StatefulSet, Service, PodDisruptionBudget,
// PodMonitor and PrometheusRule. It leaves room for the hash that the
// StatefulSet's controller appends in a label of the pod.
func PBXName(tenant string) string { return fitted(tenant, "-pbx", 52-len("-pbx")) }

// PodName is the name of the tenant's one pod.
func PodName(tenant string) string { return PBXName(tenant) + "-0" }

// ConfigName is the name of the Secret with the document.
func ConfigName(tenant string) string { return Name(tenant, "-config") }

// DataName is the name of the PersistentVolumeClaim.
func DataName(tenant string) string { return Name(tenant, "-data") }

// WebName is the name of the Ingress or HTTPRoute and of the DNSEndpoint.
func WebName(tenant string) string { return Name(tenant, "") }

// WebTLSName is the name of the console's Certificate and of its Secret.
func WebTLSName(tenant string) string { return Name(tenant, "-web-tls") }

// SIPTLSName is the name of the Certificate of SIP over TLS and of its Secret.
func SIPTLSName(tenant string) string { return Name(tenant, "-sip-tls") }

// SIPHost is the host of a tenant's SIP address records: the domain itself
// leads to the console.
func SIPHost(domain string) string { return "sip." + domain }

func fitted(tenant, suffix string, room int) string {
	if len(tenant) <= room && reLabel.MatchString(tenant) {
		return tenant + suffix
	}
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(tenant))
	if plain == "" || plain[0] < 'a' || plain[0] > 'z' {
		plain = "t" + plain
	}
	sum := sha256.Sum256([]byte(tenant))
	plain = strings.TrimRight(plain[:min(len(plain), room-hashSize-1)], "-")
	return plain + "-" + hex.EncodeToString(sum[:])[:hashSize] + suffix
}

// TenantLabel is the value of LabelTenant: the tenant's name, for it is also a
// label's value up to 63 characters.
func TenantLabel(tenant string) string {
	if len(tenant) <= maxName {
		return tenant
	}
	return Name(tenant, "")
}

// Selector is the set of labels that finds the tenant's pod.
func Selector(tenant string) map[string]string {
	return map[string]string{
		v1alpha1.LabelTenant:    TenantLabel(tenant),
		v1alpha1.LabelComponent: ComponentPBX,
	}
}

// Labels are those of every object that the operator makes for a tenant.
func Labels(tenant, component string) map[string]string {
	return map[string]string{
		v1alpha1.LabelTenant:           TenantLabel(tenant),
		v1alpha1.LabelComponent:        component,
		"app.kubernetes.io/name":       "dipcast",
		"app.kubernetes.io/instance":   TenantLabel(tenant),
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
