package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// PBXClass is one product of the managed service provider: limits, ports and
// scheduling of every tenant that names it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=pbxc,categories=dipcast
// +kubebuilder:printcolumn:name="Default",type=boolean,JSONPath=".spec.default"
// +kubebuilder:printcolumn:name="Calls",type=integer,JSONPath=".spec.limits.concurrentCalls"
// +kubebuilder:printcolumn:name="Extensions",type=integer,JSONPath=".spec.limits.extensions"
// +kubebuilder:printcolumn:name="Tenants",type=integer,JSONPath=".status.tenants"
// +kubebuilder:printcolumn:name="Free",type=integer,JSONPath=".status.free"
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=".status.conditions[?(@.type=='Accepted')].status"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
type PBXClass struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the product as it is sold.
	Spec PBXClassSpec `json:"spec"`
	// Status is what the operator found.
	// +optional
	Status PBXClassStatus `json:"status,omitempty"`
}

// PBXClassSpec is the product as it is sold.
type PBXClassSpec struct {
	// Default makes this the class of tenants without className. At most one
	// class may be the default. Default: false.
	// +optional
	Default bool `json:"default,omitempty"`
	// Limits of each tenant of this class.
	Limits ClassLimits `json:"limits"`
	// Network says which host ports and addresses tenants of this class use.
	Network ClassNetwork `json:"network"`
	// Scheduling says on which nodes tenants of this class run. Default: any.
	// +optional
	Scheduling ClassScheduling `json:"scheduling,omitempty"`
	// Update says how a new version reaches a running tenant.
	// +kubebuilder:default={}
	// +optional
	Update ClassUpdate `json:"update,omitempty"`
	// Image of the PBX. Default: the operator's own version. At most 500 characters.
	// +kubebuilder:validation:MaxLength=500
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || self.matches('^(([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[[][0-9a-fA-F:]+[]])(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[a-f0-9]{64})?$')",message="must be the name of an image, e.g. registry.example/dipcast/pbx:1.0"
	// +optional
	Image string `json:"image,omitempty"`
	// Resources of the PBX container. Default: none asked, none limited.
	// +optional
	Resources Resources `json:"resources,omitempty"`
}

// Resources of the PBX container.
//
// +kubebuilder:validation:XValidation:rule="!has(self.requests) || !has(self.limits) || !has(self.requests.cpu) || !has(self.limits.cpu) || !isQuantity(string(self.requests.cpu)) || !isQuantity(string(self.limits.cpu)) || quantity(string(self.requests.cpu)).compareTo(quantity(string(self.limits.cpu))) <= 0",message="requests.cpu must not be greater than limits.cpu: lower the first or raise the second"
// +kubebuilder:validation:XValidation:rule="!has(self.requests) || !has(self.limits) || !has(self.requests.memory) || !has(self.limits.memory) || !isQuantity(string(self.requests.memory)) || !isQuantity(string(self.limits.memory)) || quantity(string(self.requests.memory)).compareTo(quantity(string(self.limits.memory))) <= 0",message="requests.memory must not be greater than limits.memory: lower the first or raise the second"
type Resources struct {
	// Requests are what a node must have free for a tenant. Default: none.
	// +optional
	Requests ResourceAmounts `json:"requests,omitempty"`
	// Limits are what a tenant may use at most. Default: none.
	// +optional
	Limits ResourceAmounts `json:"limits,omitempty"`
}

// ResourceAmounts are amounts of what a node has.
type ResourceAmounts struct {
	// CPU in cores, "500m" or 2. More than 0.
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",message="must be a number of cores above 0, such as 500m or 2"
	// +optional
	CPU *intstr.IntOrString `json:"cpu,omitempty"`
	// Memory in bytes with a unit, "512Mi". More than 0.
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",message="must be an amount of memory above 0, such as 512Mi"
	// +optional
	Memory *intstr.IntOrString `json:"memory,omitempty"`
}

// ClassLimits are the figures that a product is sold by.
//
// +kubebuilder:validation:XValidation:rule="self.registrations.operating <= self.registrations.maximum",message="registrations.operating must not be greater than registrations.maximum: lower the first or raise the second"
type ClassLimits struct {
	// Extensions of one tenant, of plans and ranges together; 1 to 10000.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Extensions int32 `json:"extensions"`
	// Registrations of one tenant; every registered phone counts.
	Registrations RegistrationLimits `json:"registrations"`
	// ConcurrentCalls of one tenant, recorded or not; 1 to 1000. It also sizes
	// the tenant's slot of host ports: eight RTP ports a call.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	ConcurrentCalls int32 `json:"concurrentCalls"`
}

// RegistrationLimits are how many phones may be registered at a time.
type RegistrationLimits struct {
	// Operating number: more is allowed, and shown as the condition
	// CapacityPressure; 1 to 30000.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=30000
	Operating int32 `json:"operating"`
	// Maximum number: more is refused with 503; 1 to 30000.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=30000
	Maximum int32 `json:"maximum"`
}

// ClassNetwork is where tenants of a class listen.
type ClassNetwork struct {
	// PortPool is the range of host ports that the slots of this class are cut
	// from. Pools of two classes may not overlap.
	PortPool PortPool `json:"portPool"`
	// Advertise says which address is told to phones and trunks.
	// +kubebuilder:default={from: NodeExternalIP}
	// +optional
	Advertise Advertise `json:"advertise,omitempty"`
}

// PortPool is a range of host ports, both ends included.
//
// +kubebuilder:validation:XValidation:rule="self.from < self.to",message="portPool.from must be lower than portPool.to: swap them"
type PortPool struct {
	// From is the first port; 1024 to 32766.
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=32766
	From int32 `json:"from"`
	// To is the last port; at most 32767, since the kernel hands out the ports
	// above by itself.
	// +kubebuilder:validation:Minimum=1025
	// +kubebuilder:validation:Maximum=32767
	To int32 `json:"to"`
}

// AdvertiseFrom says where an advertised address comes from.
// +kubebuilder:validation:Enum=NodeExternalIP;NodeInternalIP;Static
type AdvertiseFrom string

// The sources of an advertised address.
const (
	AdvertiseNodeExternalIP AdvertiseFrom = "NodeExternalIP"
	AdvertiseNodeInternalIP AdvertiseFrom = "NodeInternalIP"
	AdvertiseStatic         AdvertiseFrom = "Static"
)

// Advertise says which address is written into SIP and SDP.
//
// +kubebuilder:validation:XValidation:rule="self.from == 'Static' ? has(self.address) && self.address.size() > 0 : !has(self.address) || self.address.size() == 0",message="address goes with from: Static and with nothing else: set from to Static and give the address, or remove address"
type Advertise struct {
	// From is NodeExternalIP (default), NodeInternalIP or Static.
	// +kubebuilder:default=NodeExternalIP
	// +optional
	From AdvertiseFrom `json:"from,omitempty"`
	// Address is the IPv4 or IPv6 address of from: Static.
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="self.size() == 0 || (isIP(self) && (ip(self).isGlobalUnicast() || ip(self).isLoopback()))",message="must be an IPv4 or IPv6 address that phones can reach, e.g. 203.0.113.10"
	// +optional
	Address string `json:"address,omitempty"`
}

// ClassScheduling says on which nodes tenants run.
type ClassScheduling struct {
	// NodeSelector is a set of labels that a node must have. At most 32.
	// +kubebuilder:validation:MaxProperties=32
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// Tolerations of node taints. At most 32.
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:XValidation:rule="!has(self.operator) || self.operator in ['', 'Exists', 'Equal', 'Lt', 'Gt']",message="operator must be Exists, Equal, Lt or Gt"
	// +kubebuilder:validation:items:XValidation:rule="!has(self.effect) || self.effect in ['', 'NoSchedule', 'PreferNoSchedule', 'NoExecute']",message="effect must be NoSchedule, PreferNoSchedule or NoExecute, or absent for all"
	// +kubebuilder:validation:items:XValidation:rule="(has(self.key) && self.key.size() > 0) || (has(self.operator) && self.operator == 'Exists')",message="key must be set, unless operator is Exists"
	// +kubebuilder:validation:items:XValidation:rule="!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value.size() == 0",message="value must be absent with operator Exists: remove it or set operator to Equal"
	// +kubebuilder:validation:items:XValidation:rule="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",message="tolerationSeconds goes with effect: NoExecute and with nothing else: set that or remove it"
	// +listType=atomic
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
}

// UpdatePolicy says when a running tenant is replaced.
// +kubebuilder:validation:Enum=Carry;Drain;Immediate
type UpdatePolicy string

// The update policies.
const (
	UpdateCarry     UpdatePolicy = "Carry"
	UpdateDrain     UpdatePolicy = "Drain"
	UpdateImmediate UpdatePolicy = "Immediate"
)

// ClassUpdate says how a new version reaches a running tenant.
type ClassUpdate struct {
	// Policy is Carry (default: the first moment without a call within idleWait;
	// then the calls that are up go on over the change), Drain (wait until the
	// calls have ended, at most maxWait) or Immediate. Calls are ended only where
	// they cannot go on: after maxWait, with Immediate at once.
	// +kubebuilder:default=Carry
	// +optional
	Policy UpdatePolicy `json:"policy,omitempty"`
	// IdleWait is how long a change waits for a moment without calls that can go
	// on over it. Default: 2m; 0s to 24h.
	// +kubebuilder:default="2m"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}(ms|s|m|h))+$') && duration(self) <= duration('24h')",message="must be a length of time of at most 24h, e.g. 90s or 1m30s; 0s: do not wait"
	// +optional
	IdleWait Duration `json:"idleWait,omitempty"`
	// MaxWait is the longest wait for calls that cannot go on over a change.
	// Default: 2h; 1m to 24h.
	// +kubebuilder:default="2h"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}(ms|s|m|h))+$') && duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="must be a length of time between 1m and 24h, e.g. 90s or 1m30s"
	// +optional
	MaxWait Duration `json:"maxWait,omitempty"`
}

// PBXClassStatus is what the operator found about a class.
type PBXClassStatus struct {
	// Conditions: Accepted.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Slots is how many tenants the port pool holds on one node.
	// +kubebuilder:default=0
	// +optional
	Slots int32 `json:"slots,omitempty"`
	// Nodes is how many nodes tenants of this class may run on.
	// +kubebuilder:default=0
	// +optional
	Nodes int32 `json:"nodes,omitempty"`
	// Tenants is how many tenants have ports of this class.
	// +kubebuilder:default=0
	// +optional
	Tenants int32 `json:"tenants,omitempty"`
	// Free is how many more tenants find a slot, on all nodes together.
	// +kubebuilder:default=0
	// +optional
	Free int32 `json:"free,omitempty"`
}

// PBXClassList is a list of classes.
//
// +kubebuilder:object:root=true
type PBXClassList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PBXClass `json:"items"`
}
