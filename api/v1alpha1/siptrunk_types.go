package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SIPTrunk is one line to a telephone company.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=trunk,categories=dipcast
// +kubebuilder:printcolumn:name="Tenant",type=string,JSONPath=".spec.tenantRef.name"
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=".status.conditions[?(@.type=='Accepted')].status"
// +kubebuilder:printcolumn:name="Up",type=string,JSONPath=".status.conditions[?(@.type=='Ready')].status"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=".status.conditions[?(@.type=='Accepted')].reason"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
type SIPTrunk struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the line.
	Spec SIPTrunkSpec `json:"spec"`
	// Status is what the operator found.
	// +optional
	Status SIPTrunkStatus `json:"status,omitempty"`
}

// FaxMode says how fax goes over a trunk.
// +kubebuilder:validation:Enum=T38;G711;Off
type FaxMode string

// The ways of fax.
const (
	FaxT38  FaxMode = "T38"
	FaxG711 FaxMode = "G711"
	FaxOff  FaxMode = "Off"
)

// CalledFrom says where an incoming INVITE names the called number.
// +kubebuilder:validation:Enum=RequestURI;To;PCalledPartyID
type CalledFrom string

// The places of the called number.
const (
	CalledFromRequestURI     CalledFrom = "RequestURI"
	CalledFromTo             CalledFrom = "To"
	CalledFromPCalledPartyID CalledFrom = "PCalledPartyID"
)

// Identity says how the caller number is presented.
// +kubebuilder:validation:Enum=From;PAssertedIdentity
type Identity string

// The ways to present a caller number.
const (
	IdentityFrom              Identity = "From"
	IdentityPAssertedIdentity Identity = "PAssertedIdentity"
)

// SIPTrunkSpec is one line to a telephone company.
type SIPTrunkSpec struct {
	// TenantRef is the tenant, in the same namespace.
	TenantRef LocalRef `json:"tenantRef"`
	// Hosts of the carrier, tried in order. 1 to 8.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +listType=atomic
	Hosts []TrunkHost `json:"hosts"`
	// Auth says how the carrier knows us and we know the carrier.
	Auth TrunkAuth `json:"auth"`
	// Numbers that arrive here (DIDs), national form. At most 1000.
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=20
	// +listType=set
	// +optional
	Numbers []string `json:"numbers,omitempty"`
	// CallerID is which numbers may be presented; nothing else is.
	CallerID CallerID `json:"callerID"`
	// Codecs in order of preference. Default: PCMA, PCMU. Calls of phones that
	// speak none of them are converted.
	// +kubebuilder:default={PCMA,PCMU}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +listType=set
	// +optional
	Codecs []Codec `json:"codecs,omitempty"`
	// Fax is T38, G711 or Off (default).
	// +kubebuilder:default="Off"
	// +optional
	Fax FaxMode `json:"fax,omitempty"`
	// MaxCalls at a time, both directions; 0 (default) = the class limit. At
	// most 1000.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +optional
	MaxCalls int32 `json:"maxCalls,omitempty"`
	// CalledFrom says where an incoming INVITE names the called number:
	// RequestURI (default), To or PCalledPartyID.
	// +kubebuilder:default=RequestURI
	// +optional
	CalledFrom CalledFrom `json:"calledFrom,omitempty"`
	// Identity says how the caller number is presented: From (default) or
	// PAssertedIdentity (both From and P-Asserted-Identity, RFC 3325).
	// +kubebuilder:default=From
	// +optional
	Identity Identity `json:"identity,omitempty"`
}

// TrunkTransport is what SIP runs over.
// +kubebuilder:validation:Enum=UDP;TCP;TLS
type TrunkTransport string

// The transports of a trunk.
const (
	TransportUDP TrunkTransport = "UDP"
	TransportTCP TrunkTransport = "TCP"
	TransportTLS TrunkTransport = "TLS"
)

// TrunkHost is one address of a carrier.
type TrunkHost struct {
	// Host is a name or an IP address. At most 253 characters.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="isIP(self) || self.matches('^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*[.]?$')",message="must be a host name or an IP address without a port, e.g. sip.carrier.example"
	Host string `json:"host"`
	// Port; 0 (default) follows SRV records, then 5060, or 5061 with TLS. At
	// most 65535.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	// +optional
	Port int32 `json:"port,omitempty"`
	// Transport is UDP (default), TCP or TLS. With TLS the carrier's certificate
	// must be for Host, of an authority that the system or the installation's
	// trusted CAs know.
	// +kubebuilder:default=UDP
	// +optional
	Transport TrunkTransport `json:"transport,omitempty"`
	// Weight among hosts; 1 (default) to 100.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	Weight int32 `json:"weight,omitempty"`
}

// TrunkAuth says how a trunk and the PBX know each other.
//
// +kubebuilder:validation:XValidation:rule="(has(self.register) && self.register) != has(self.ipAuthentication)",message="exactly one of register: true and ipAuthentication must be set: register with secretRef, or name the carrier's networks in ipAuthentication.allowedCIDRs"
// +kubebuilder:validation:XValidation:rule="!(has(self.register) && self.register) || has(self.secretRef)",message="register: true needs secretRef: name a Secret with the keys username and password"
type TrunkAuth struct {
	// Register sends REGISTER with the credentials of secretRef. Default: false.
	// +optional
	Register bool `json:"register,omitempty"`
	// SecretRef is a Secret with the keys username and password; answers also
	// the challenges of a carrier that knows us by address.
	// +optional
	SecretRef *LocalRef `json:"secretRef,omitempty"`
	// Realm is the only digest realm that is answered. Default: the first
	// host's name, or the realm first seen from it. At most 253 characters.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!self.matches('[\"\\\\\\\\\\x00-\\x1f\\x7f]')",message="must be the realm as the carrier writes it, without quotes, e.g. carrier.example"
	// +optional
	Realm string `json:"realm,omitempty"`
	// IPAuthentication knows the carrier by its address, in place of register.
	// +optional
	IPAuthentication *IPAuthentication `json:"ipAuthentication,omitempty"`
}

// IPAuthentication knows a carrier by its address.
type IPAuthentication struct {
	// AllowedCIDRs are networks, beside the hosts themselves, from which the
	// trunk's calls may come, e.g. 198.51.100.0/24. At most 64.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=49
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="must be a network such as 198.51.100.0/24"
	// +listType=set
	// +optional
	AllowedCIDRs []string `json:"allowedCIDRs,omitempty"`
}

// CallerID is which caller numbers may be presented.
type CallerID struct {
	// Default is presented where nothing better is permitted, national form.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	Default string `json:"default"`
	// Permitted numbers, national form; a trailing * stands for any rest:
	// "02-555-*". Default: the trunk's numbers. At most 100.
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=20
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[+0-9 -]+[*]?$')",message="must be a number in national form with at most one * at its end, e.g. 02-555-*"
	// +listType=set
	// +optional
	Permitted []string `json:"permitted,omitempty"`
}

// SIPTrunkStatus is what the operator found.
type SIPTrunkStatus struct {
	// Conditions: Ready (the trunk is registered or answers), Accepted.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// SIPTrunkList is a list of trunks.
//
// +kubebuilder:object:root=true
type SIPTrunkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []SIPTrunk `json:"items"`
}
