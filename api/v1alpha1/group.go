package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of every kind in this package.
const Group = "pbx.dipcast.io"

// Version is the API version of every kind in this package.
const Version = "v1alpha1"

// The kinds of this package.
const (
	KindPBXClass      = "PBXClass"
	KindPBXTenant     = "PBXTenant"
	KindExtensionPlan = "ExtensionPlan"
	KindSIPTrunk      = "SIPTrunk"
	KindCallFlow      = "CallFlow"
	KindNaverWorksBot = "NaverWorksBot"
)

// GroupVersion returns the group and version of this package.
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: Group, Version: Version}
}

// AddToScheme registers the six kinds and their lists.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion(),
		&PBXClass{}, &PBXClassList{},
		&PBXTenant{}, &PBXTenantList{},
		&ExtensionPlan{}, &ExtensionPlanList{},
		&SIPTrunk{}, &SIPTrunkList{},
		&CallFlow{}, &CallFlowList{},
		&NaverWorksBot{}, &NaverWorksBotList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion())
	return nil
}

// LocalRef names an object in the same namespace.
type LocalRef struct {
	// Name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="must be the name of an object: lower-case letters, digits, - and ., e.g. acme-works"
	Name string `json:"name"`
}

// IssuerRef names a cert-manager issuer.
type IssuerRef struct {
	// Name of the issuer.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="must be the name of an object: lower-case letters, digits, - and ., e.g. letsencrypt"
	Name string `json:"name"`
	// Kind is Issuer (of the tenant's namespace, the default) or ClusterIssuer.
	// +kubebuilder:validation:Enum=Issuer;ClusterIssuer
	// +kubebuilder:default=Issuer
	// +optional
	Kind string `json:"kind,omitempty"`
}

// Duration is a length of time as text: "20s", "1m30s", "2h". The rule of each
// field checks that and the limits at once, so that there is one message.
// +kubebuilder:validation:MaxLength=20
type Duration string
