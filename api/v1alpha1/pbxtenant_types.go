package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PBXTenant is one company's PBX.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=pbxt,categories=dipcast
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=".status.conditions[?(@.type=='Ready')].status"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=".status.conditions[?(@.type=='Ready')].reason"
// +kubebuilder:printcolumn:name="Trunks",type=string,JSONPath=".status.conditions[?(@.type=='TrunksUp')].status"
// +kubebuilder:printcolumn:name="Applied",type=string,JSONPath=".status.conditions[?(@.type=='ConfigApplied')].status"
// +kubebuilder:printcolumn:name="Phones",type=integer,JSONPath=".status.registrations"
// +kubebuilder:printcolumn:name="Calls",type=integer,JSONPath=".status.activeCalls"
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=".status.address"
// +kubebuilder:printcolumn:name="Class",type=string,priority=1,JSONPath=".spec.className"
// +kubebuilder:printcolumn:name="Node",type=string,priority=1,JSONPath=".status.nodeName"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 40",message="metadata.name must have at most 40 characters, since names of Secrets and pods are made from it: choose a shorter one"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$')",message="metadata.name must begin with a letter and hold lower-case letters, digits and - only, since names of Services and pods are made from it: choose one such as acme"
type PBXTenant struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the company as its administrator describes it.
	Spec PBXTenantSpec `json:"spec"`
	// Status is what the operator and the PBX report.
	// +optional
	Status PBXTenantStatus `json:"status,omitempty"`
}

// DeletionPolicy says what becomes of the volume of a deleted tenant.
// +kubebuilder:validation:Enum=Retain;Delete
type DeletionPolicy string

// The deletion policies.
const (
	DeletionRetain DeletionPolicy = "Retain"
	DeletionDelete DeletionPolicy = "Delete"
)

// PBXTenantSpec is the company as its administrator describes it.
type PBXTenantSpec struct {
	// ClassName is the PBXClass. Default: the class with spec.default: true.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ClassName string `json:"className,omitempty"`
	// DisplayName of the company, for people. Default: the object's name. At
	// most 100 characters.
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="!self.matches('[\\x00-\\x1f\\x7f]')",message="must not hold line breaks or other control characters: phones show one line"
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// Domain is the SIP domain and digest realm, and the host of the console
	// and the callback; unique in the cluster, at most 253 lower-case characters.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$')",message="must be a domain name in lower case with at least one dot, e.g. acme.pbx.example.com"
	Domain string `json:"domain"`
	// Locale of texts for the tenant's people, BCP 47. Default: ko-KR.
	// +kubebuilder:default=ko-KR
	// +kubebuilder:validation:MaxLength=35
	// +optional
	Locale string `json:"locale,omitempty"`
	// TimeZone of hours and of shown times, IANA name. Default: Asia/Seoul.
	// +kubebuilder:default=Asia/Seoul
	// +kubebuilder:validation:MaxLength=64
	// +optional
	TimeZone string `json:"timeZone,omitempty"`
	// Numbering is how people of this company dial.
	// +kubebuilder:default={}
	// +optional
	Numbering Numbering `json:"numbering,omitempty"`
	// Media is what audio calls may use.
	// +kubebuilder:default={}
	// +optional
	Media Media `json:"media,omitempty"`
	// Recording is which calls are recorded.
	// +kubebuilder:default={}
	// +optional
	Recording Recording `json:"recording,omitempty"`
	// SIPTLS gives the certificate of SIP over TLS and over secure WebSocket,
	// for the domain. Default: neither is served.
	// +optional
	SIPTLS *SIPTLS `json:"sipTLS,omitempty"`
	// Web is the console, the REST interface and the callback.
	// +kubebuilder:default={}
	// +optional
	Web Web `json:"web,omitempty"`
	// Storage is the tenant's volume.
	// +kubebuilder:default={}
	// +optional
	Storage Storage `json:"storage,omitempty"`
	// Database says where records live. Default: SQLite on the tenant's volume.
	// +optional
	Database Database `json:"database,omitempty"`
	// Outbound guards outbound calls against fraud.
	// +kubebuilder:default={}
	// +optional
	Outbound Outbound `json:"outbound,omitempty"`
	// Suspend closes outbound calls; inbound and emergency calls stay open.
	// Default: false.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// DeletionPolicy of the volume: Retain (default) or Delete.
	// +kubebuilder:default=Retain
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// Numbering is how people dial.
type Numbering struct {
	// Country, ISO 3166-1 alpha-2. Only KR is served.
	// +kubebuilder:default=KR
	// +kubebuilder:validation:Enum=KR
	// +optional
	Country string `json:"country,omitempty"`
	// AreaCode of the company with its leading 0, dialled before local
	// numbers. Default: "02".
	// +kubebuilder:default="02"
	// +kubebuilder:validation:MaxLength=3
	// +kubebuilder:validation:XValidation:rule="self.matches('^0[2-6][0-9]?$')",message="must be an area code with its leading 0, e.g. \"02\" or \"031\""
	// +optional
	AreaCode string `json:"areaCode,omitempty"`
	// OutsidePrefix is dialled before outside numbers; "" means that outside
	// numbers are dialled as they are. Default: "9"; at most 2 digits.
	// +kubebuilder:default="9"
	// +kubebuilder:validation:MaxLength=2
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]*$')",message="must be at most two digits, or \"\" for no prefix"
	// +optional
	OutsidePrefix *string `json:"outsidePrefix,omitempty"`
	// Emergency numbers, dialled with or without the prefix and permitted
	// always. Default: 112 and 119. At most 20 of 2 to 6 digits.
	// +kubebuilder:default={"112","119"}
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[0-9]{2,6}$')",message="must be 2 to 6 digits, e.g. \"119\""
	// +kubebuilder:validation:items:MaxLength=6
	// +listType=set
	// +optional
	Emergency []string `json:"emergency,omitempty"`
}

// Codec is an audio codec by its RTP name.
// +kubebuilder:validation:Enum=PCMA;PCMU;G722;opus
type Codec string

// The codecs.
const (
	CodecPCMA Codec = "PCMA"
	CodecPCMU Codec = "PCMU"
	CodecG722 Codec = "G722"
	CodecOpus Codec = "opus"
)

// SRTPMode says whether audio is encrypted.
// +kubebuilder:validation:Enum=Disabled;Optional;Required
type SRTPMode string

// The modes of SRTP.
const (
	SRTPDisabled SRTPMode = "Disabled"
	SRTPOptional SRTPMode = "Optional"
	SRTPRequired SRTPMode = "Required"
)

// Media is what audio calls may use.
type Media struct {
	// Codecs in order of preference. Default: PCMA, PCMU. A call takes one that
	// both sides speak wherever there is one; between others audio is converted,
	// which costs processor time: about 0.3 % of a core for a call with G722 on
	// one side, 2 % with opus.
	// +kubebuilder:default={PCMA,PCMU}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +listType=set
	// +optional
	Codecs []Codec `json:"codecs,omitempty"`
	// SRTP is Disabled, Optional (default: encrypted where the phone asks for it)
	// or Required. Keys come in SDP or by DTLS; Disabled means no browser phones.
	// +kubebuilder:default=Optional
	// +optional
	SRTP SRTPMode `json:"srtp,omitempty"`
}

// RecordingMode says which calls are recorded.
// +kubebuilder:validation:Enum=Off;OnDemand;All
type RecordingMode string

// The modes of recording.
const (
	RecordingOff      RecordingMode = "Off"
	RecordingOnDemand RecordingMode = "OnDemand"
	RecordingAll      RecordingMode = "All"
)

// Recording is which calls are recorded and how long they are kept.
type Recording struct {
	// Mode is Off (default), OnDemand or All.
	// +kubebuilder:default="Off"
	// +optional
	Mode RecordingMode `json:"mode,omitempty"`
	// Retention is how long recordings are kept, in days or hours: "90d",
	// "12h". Default: 90d; at most 9999d.
	// +kubebuilder:default="90d"
	// +kubebuilder:validation:MaxLength=6
	// +kubebuilder:validation:XValidation:rule="self.matches('^[1-9][0-9]{0,3}[dh]$')",message="must be a number of days or hours, e.g. 90d or 12h"
	// +optional
	Retention string `json:"retention,omitempty"`
	// EncryptionKeyRef is a Secret that recordings are encrypted with.
	// +optional
	EncryptionKeyRef *LocalRef `json:"encryptionKeyRef,omitempty"`
}

// SIPTLS gives a certificate.
//
// +kubebuilder:validation:XValidation:rule="has(self.issuerRef) != has(self.secretRef)",message="exactly one of issuerRef and secretRef must be set: name the issuer, or the Secret with tls.crt and tls.key"
type SIPTLS struct {
	// IssuerRef is a cert-manager issuer that makes the certificate.
	// +optional
	IssuerRef *IssuerRef `json:"issuerRef,omitempty"`
	// SecretRef is a Secret of type kubernetes.io/tls.
	// +optional
	SecretRef *LocalRef `json:"secretRef,omitempty"`
}

// Web is the console, the REST interface and the callback.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.gatewayRef) && has(self.ingressClassName))",message="only one of ingressClassName and gatewayRef may be set: remove one"
type Web struct {
	// IngressClassName of the tenant's Ingress. Default: the cluster's default class.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="must be the name of an object: lower-case letters, digits, - and ., e.g. nginx"
	// +optional
	IngressClassName *string `json:"ingressClassName,omitempty"`
	// GatewayRef is a Gateway in place of an Ingress.
	// +optional
	GatewayRef *GatewayRef `json:"gatewayRef,omitempty"`
	// TLS gives the certificate of the console. Default: the ingress's own.
	// +optional
	TLS *SIPTLS `json:"tls,omitempty"`
	// ExternalURL is where people and NAVER WORKS reach the console when that
	// is not https://DOMAIN. https, or http on a loopback address; no path.
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^https://[^/?#@ ]+$') || self.matches('^http://(localhost|127[.][0-9]+[.][0-9]+[.][0-9]+|\\\\[::1\\\\])(:[0-9]+)?$')",message="must be https://HOST without a path, e.g. https://pbx.example.com; plain http only on a loopback address"
	// +optional
	ExternalURL string `json:"externalURL,omitempty"`
	// Administrators are NAVER WORKS users (login e-mail or user ID) who see
	// every call of the company. Default: none. At most 100.
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:items:XValidation:rule="!self.matches('[ \\t\\r\\n]')",message="must be a NAVER WORKS login e-mail or user ID without blanks, e.g. haneul@acme.example"
	// +listType=set
	// +optional
	Administrators []string `json:"administrators,omitempty"`
	// PhoneOrigins are web pages, beside the console, from which browsers may
	// connect as phones over secure WebSocket: https://HOST. Default: none. At
	// most 20.
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MaxLength=300
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^https://[a-z0-9.-]+(:[0-9]+)?$')",message="must be https://HOST in small letters without a path, e.g. https://phone.example.com"
	// +listType=set
	// +optional
	PhoneOrigins []string `json:"phoneOrigins,omitempty"`
}

// SIPTLSSecret is the name of the Secret with the certificate of SIP over TLS: the
// one that is named, or the one that cert-manager makes; empty: none is wanted.
func (t *PBXTenant) SIPTLSSecret() string {
	switch s := t.Spec.SIPTLS; {
	case s == nil:
		return ""
	case s.SecretRef != nil:
		return s.SecretRef.Name
	default:
		return t.Name + "-sip-tls"
	}
}

// GatewayRef names a Gateway of gateway.networking.k8s.io.
type GatewayRef struct {
	// Name of the Gateway.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="must be the name of an object: lower-case letters, digits, - and ., e.g. public"
	Name string `json:"name"`
	// Namespace of the Gateway. Default: the tenant's.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",message="must be the name of a namespace: lower-case letters, digits and -, e.g. gateways"
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// SectionName is the listener. Default: any.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="must be the name of a listener: lower-case letters, digits, - and ., e.g. https"
	// +optional
	SectionName string `json:"sectionName,omitempty"`
}

// Storage is the tenant's volume.
type Storage struct {
	// Size of the volume, bytes with a unit. Default: 20Gi.
	// +kubebuilder:default="20Gi"
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",message="must be a size such as 20Gi"
	// +optional
	Size string `json:"size,omitempty"`
	// StorageClassName of the volume. Default: the cluster's default class.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",message="must be the name of a StorageClass: lower-case letters, digits, - and ., e.g. fast"
	// +optional
	StorageClassName string `json:"storageClassName,omitempty"`
}

// Database says where records live.
type Database struct {
	// PostgresSecretRef is a Secret whose key dsn is a PostgreSQL URL.
	// Default: SQLite on the tenant's volume.
	// +optional
	PostgresSecretRef *LocalRef `json:"postgresSecretRef,omitempty"`
}

// OutboundPolicy says how far people may call.
// +kubebuilder:validation:Enum=None;Internal;Domestic;International
type OutboundPolicy string

// The outbound policies.
const (
	OutboundNone          OutboundPolicy = "None"
	OutboundInternal      OutboundPolicy = "Internal"
	OutboundDomestic      OutboundPolicy = "Domestic"
	OutboundInternational OutboundPolicy = "International"
)

// Outbound guards outbound calls against fraud.
type Outbound struct {
	// Policy is None, Internal, Domestic (default) or International.
	// Emergency numbers are open under every policy.
	// +kubebuilder:default=Domestic
	// +optional
	Policy OutboundPolicy `json:"policy,omitempty"`
	// MaxCallsPerMinute of the whole company to the outside; 0 = no limit.
	// Default: 30; at most 10000.
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000
	// +optional
	MaxCallsPerMinute *int32 `json:"maxCallsPerMinute,omitempty"`
	// DailyMinutes of all outside calls of the company in one day; 0 = no
	// limit. Default: 600; at most 1000000.
	// +kubebuilder:default=600
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	// +optional
	DailyMinutes *int32 `json:"dailyMinutes,omitempty"`
}

// PBXTenantStatus is what the operator and the PBX report.
type PBXTenantStatus struct {
	// ObservedGeneration is the spec that the status tells of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, Accepted, PortsAllocated, ConfigApplied, PodRunning,
	// TrunksUp, CapacityPressure, Overloaded, Updating, Exposed.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Address is where phones register, a SIP URI.
	// +optional
	Address string `json:"address,omitempty"`
	// Domain is the one in force: that of spec once it was accepted. It stays this
	// tenant's while spec names another one that was refused.
	// +optional
	Domain string `json:"domain,omitempty"`
	// Slot is the number of the tenant's block of host ports, from 0.
	// +optional
	Slot *int32 `json:"slot,omitempty"`
	// Ports of the slot.
	// +optional
	Ports *TenantPorts `json:"ports,omitempty"`
	// PreviousPorts are those that the pod still has while it waits to be
	// moved to Ports. Nobody else gets them before it has moved.
	// +optional
	PreviousPorts *TenantPorts `json:"previousPorts,omitempty"`
	// PortsClass is the class that Ports were cut from.
	// +optional
	PortsClass string `json:"portsClass,omitempty"`
	// NodeName is where the PBX runs.
	// +optional
	NodeName string `json:"nodeName,omitempty"`
	// Registrations is how many phones are registered.
	// +kubebuilder:default=0
	// +optional
	Registrations int32 `json:"registrations"`
	// ActiveCalls is how many calls are up.
	// +kubebuilder:default=0
	// +optional
	ActiveCalls int32 `json:"activeCalls"`
	// ConfigGeneration is the document that the PBX runs.
	// +optional
	ConfigGeneration string `json:"configGeneration,omitempty"`
	// Update is the change that waits for a new process, if there is one.
	// +optional
	Update *TenantUpdate `json:"update,omitempty"`
}

// TenantUpdate is a change that waits for a new process.
type TenantUpdate struct {
	// Reason is why: Image, Template, Ports, Document or Node.
	Reason string `json:"reason"`
	// Target names what the tenant is updated to.
	// +optional
	Target string `json:"target,omitempty"`
	// Since is when it began to wait; maxWait of the class counts from here.
	Since metav1.Time `json:"since"`
	// Started is set once the pod is being replaced; the tenant then counts
	// among those that the fleet replaces at a time.
	// +optional
	Started bool `json:"started,omitempty"`
	// StartedAt is when Started was set.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// Replaces is the process that goes: the pod's UID and the container's ID.
	// +optional
	Replaces string `json:"replaces,omitempty"`
}

// TenantPorts are the host ports of a slot.
type TenantPorts struct {
	// SIP over UDP and TCP.
	SIP int32 `json:"sip"`
	// SIPS is SIP over TLS.
	SIPS int32 `json:"sips"`
	// WSS is SIP over WebSocket.
	// +optional
	WSS int32 `json:"wss,omitempty"`
	// HTTP of the console, on the node's internal address.
	HTTP int32 `json:"http"`
	// Admin is metrics and health.
	// +optional
	Admin int32 `json:"admin,omitempty"`
	// RTP range, "20020-20219".
	RTP string `json:"rtp"`
}

// PBXTenantList is a list of tenants.
//
// +kubebuilder:object:root=true
type PBXTenantList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PBXTenant `json:"items"`
}
