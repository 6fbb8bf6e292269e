package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CallFlow says where some numbers lead: by hours, menu, announcement, queue.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=flow,categories=dipcast
// +kubebuilder:printcolumn:name="Tenant",type=string,JSONPath=".spec.tenantRef.name"
// +kubebuilder:printcolumn:name="Numbers",type=string,JSONPath=".spec.numbers"
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=".status.conditions[?(@.type=='Accepted')].status"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=".status.conditions[?(@.type=='Accepted')].reason"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
type CallFlow struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the flow.
	Spec CallFlowSpec `json:"spec"`
	// Status is what the operator found.
	// +optional
	Status CallFlowStatus `json:"status,omitempty"`
}

// CallFlowSpec says where some numbers lead.
//
// +kubebuilder:validation:XValidation:rule="has(self.hours) || !has(self.whenClosed)",message="whenClosed needs hours: without hours a flow is always open; add hours or remove whenClosed"
type CallFlowSpec struct {
	// TenantRef is the tenant, in the same namespace.
	TenantRef LocalRef `json:"tenantRef"`
	// Numbers that lead here: DIDs of a trunk in national form, or internal
	// numbers of 1 to 8 digits. 1 to 100.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=20
	// +listType=set
	Numbers []string `json:"numbers"`
	// Hours of business in the tenant's time zone. Default: always open.
	// +optional
	Hours *Hours `json:"hours,omitempty"`
	// WhenOpen is what happens in business hours.
	WhenOpen Action `json:"whenOpen"`
	// WhenClosed is what happens outside of them. Default: the call ends.
	// +optional
	WhenClosed *Action `json:"whenClosed,omitempty"`
}

// Day is a day of the week.
// +kubebuilder:validation:Enum=Mon;Tue;Wed;Thu;Fri;Sat;Sun
type Day string

// Hours are business hours.
type Hours struct {
	// Open hours; where two overlap the flow is open. 1 to 50.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	Open []OpenHours `json:"open"`
	// Holidays are closed all day.
	// +optional
	Holidays *Holidays `json:"holidays,omitempty"`
}

// OpenHours are the same hours on some days.
//
// +kubebuilder:validation:XValidation:rule="self.from < self.to",message="from must be earlier than to: split hours over midnight into two entries, until 24:00 and from 00:00"
type OpenHours struct {
	// Days of the week: Mon, Tue, Wed, Thu, Fri, Sat, Sun.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	// +listType=set
	Days []Day `json:"days"`
	// From is when it opens, "10:00".
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:XValidation:rule="self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')",message="must be a time of day, e.g. \"10:00\""
	From string `json:"from"`
	// To is when it closes, "18:00"; "24:00" is the end of the day.
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:XValidation:rule="self.matches('^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$')",message="must be a time of day, e.g. \"18:00\", at most \"24:00\""
	To string `json:"to"`
}

// Holidays are days on which a flow is closed.
type Holidays struct {
	// Calendar of public holidays: KR. Default: none.
	// +kubebuilder:validation:Enum=KR
	// +optional
	Calendar string `json:"calendar,omitempty"`
	// Dates are further closed days, "2026-05-01". At most 200.
	// +kubebuilder:validation:MaxItems=200
	// +kubebuilder:validation:items:MaxLength=10
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[0-9]{4}-[0-9]{2}-[0-9]{2}$')",message="must be a day such as \"2026-05-01\""
	// +listType=set
	// +optional
	Dates []string `json:"dates,omitempty"`
}

// Action is what a flow does; exactly one field is set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.dial), has(self.menu), has(self.announce), has(self.voicemail), has(self.queue)].filter(x, x).size() == 1",message="exactly one of dial, menu, announce, voicemail and queue must be set"
type Action struct {
	// Dial an internal number.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	// +optional
	Dial string `json:"dial,omitempty"`
	// Menu asks the caller to press a key. Not served yet.
	// +optional
	Menu *Menu `json:"menu,omitempty"`
	// Announce speaks to the caller. Not served yet.
	// +optional
	Announce *Announce `json:"announce,omitempty"`
	// Voicemail is the extension or group whose mailbox takes a message. Not
	// served yet.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8
	// +optional
	Voicemail string `json:"voicemail,omitempty"`
	// Queue lets the caller wait for a free member. Not served yet.
	// +optional
	Queue *Queue `json:"queue,omitempty"`
}

// Target is where a menu's key or an announcement leads; exactly one field is
// set. A menu under a menu is another flow, dialled by its internal number.
//
// +kubebuilder:validation:XValidation:rule="[has(self.dial), has(self.voicemail), has(self.queue)].filter(x, x).size() == 1",message="exactly one of dial, voicemail and queue must be set"
type Target struct {
	// Dial an internal number.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=20
	// +optional
	Dial string `json:"dial,omitempty"`
	// Voicemail is the extension or group whose mailbox takes a message.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8
	// +optional
	Voicemail string `json:"voicemail,omitempty"`
	// Queue lets the caller wait for a free member.
	// +optional
	Queue *Queue `json:"queue,omitempty"`
}

// Prompt is what is spoken.
type Prompt struct {
	// Text to speak. 1 to 2000 characters.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2000
	Text string `json:"text"`
}

// Menu asks the caller to press a key.
//
// +kubebuilder:validation:XValidation:rule="self.keys.all(k, k.matches('^[0-9*#]$'))",message="keys must be single keys of a telephone: 0-9, * or #"
type Menu struct {
	// Prompt that names the keys.
	Prompt Prompt `json:"prompt"`
	// Keys and where each leads. 1 to 12.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=12
	Keys map[string]Target `json:"keys"`
	// Timeout of each wait for a key. Default: 5s; 1s to 60s.
	// +kubebuilder:default="5s"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('60s')",message="must be a length of time between 1s and 60s, e.g. 90s or 1m30s"
	// +optional
	Timeout Duration `json:"timeout,omitempty"`
	// Retries after no key or a wrong one. Default: 2; at most 9.
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9
	// +optional
	Retries *int32 `json:"retries,omitempty"`
	// Fallback is where the call goes after the last try. Default: it ends.
	// +optional
	Fallback *Target `json:"fallback,omitempty"`
}

// Announce speaks to the caller.
type Announce struct {
	// Prompt is embedded: text.
	Prompt `json:",inline"`
	// Then is where the call goes afterwards. Default: it ends.
	// +optional
	Then *Target `json:"then,omitempty"`
}

// Queue lets the caller wait for a free member of a group.
type Queue struct {
	// Group whose members answer; an internal number.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8
	Group string `json:"group"`
	// MaxWait of one caller. Default: 10m; 10s to 2h.
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}(ms|s|m|h))+$') && duration(self) >= duration('10s') && duration(self) <= duration('2h')",message="must be a length of time between 10s and 2h, e.g. 90s or 1m30s"
	// +optional
	MaxWait Duration `json:"maxWait,omitempty"`
}

// CallFlowStatus is what the operator found.
type CallFlowStatus struct {
	// Conditions: Accepted.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// CallFlowList is a list of flows.
//
// +kubebuilder:object:root=true
type CallFlowList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CallFlow `json:"items"`
}
