package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ExtensionPlan is a set of internal numbers of one tenant: a site, a
// department. A tenant may have many.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=extp,categories=dipcast
// +kubebuilder:printcolumn:name="Tenant",type=string,JSONPath=".spec.tenantRef.name"
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=".status.conditions[?(@.type=='Accepted')].status"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=".status.conditions[?(@.type=='Accepted')].reason"
// +kubebuilder:printcolumn:name="Directory",type=string,JSONPath=".status.conditions[?(@.type=='DirectorySynced')].reason"
// +kubebuilder:printcolumn:name="People",type=integer,JSONPath=".status.directory.count"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
type ExtensionPlan struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the numbers.
	Spec ExtensionPlanSpec `json:"spec"`
	// Status is what the operator found.
	// +optional
	Status ExtensionPlanStatus `json:"status,omitempty"`
}

// ExtensionPlanSpec is the numbers of one plan.
type ExtensionPlanSpec struct {
	// TenantRef is the tenant, in the same namespace.
	TenantRef LocalRef `json:"tenantRef"`
	// Extensions of people and rooms. At most 1000 in one plan.
	// +kubebuilder:validation:MaxItems=1000
	// +listType=map
	// +listMapKey=number
	// +optional
	Extensions []Extension `json:"extensions,omitempty"`
	// Ranges of plain phones without a person. At most 50.
	// +kubebuilder:validation:MaxItems=50
	// +listType=map
	// +listMapKey=from
	// +optional
	Ranges []ExtensionRange `json:"ranges,omitempty"`
	// Directory takes extensions from a directory.
	// +optional
	Directory *Directory `json:"directory,omitempty"`
	// Groups ring several extensions. At most 200.
	// +kubebuilder:validation:MaxItems=200
	// +listType=map
	// +listMapKey=number
	// +optional
	Groups []RingGroup `json:"groups,omitempty"`
	// Conferences are rooms to meet in. At most 100.
	// +kubebuilder:validation:MaxItems=100
	// +listType=map
	// +listMapKey=number
	// +optional
	Conferences []Conference `json:"conferences,omitempty"`
	// Pages are numbers that speak through loudspeakers. At most 100.
	// +kubebuilder:validation:MaxItems=100
	// +listType=map
	// +listMapKey=number
	// +optional
	Pages []Page `json:"pages,omitempty"`
}

// Extension is one internal number with its phones and, often, its person.
type Extension struct {
	// Number that is dialled, and the SIP user name; 2 to 8 digits.
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{2,8}$')",message="must be 2 to 8 digits, e.g. \"101\""
	Number string `json:"number"`
	// DisplayName is shown on phones and cards. At most 64 characters.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="!self.matches('[\\x00-\\x1f\\x7f]')",message="must not hold line breaks or other control characters: phones show one line"
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// WorksUser is who gets the card and may press: the NAVER WORKS login
	// e-mail or user ID. Default: nobody.
	// +kubebuilder:validation:MaxLength=254
	// +optional
	WorksUser string `json:"worksUser,omitempty"`
	// Mobile is the number of "pull to my mobile", national form. Default:
	// from the directory.
	// +kubebuilder:validation:MaxLength=20
	// +optional
	Mobile string `json:"mobile,omitempty"`
	// DID are outside numbers that ring this extension; each must be among
	// the numbers of a trunk. At most 20.
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MaxLength=20
	// +listType=set
	// +optional
	DID []string `json:"did,omitempty"`
	// MaxContacts is how many phones may be registered at a time. Default: 3;
	// 1 to 20.
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	// +optional
	MaxContacts int32 `json:"maxContacts,omitempty"`
	// SecretRef is a Secret with the key password, 12 to 128 characters.
	// Default: TENANT-ext-NUMBER, made by the operator.
	// +optional
	SecretRef *LocalRef `json:"secretRef,omitempty"`
	// NoAnswer says what becomes of a call that nobody answers. Default: it
	// ends after 30 s.
	// +optional
	NoAnswer *NoAnswer `json:"noAnswer,omitempty"`
	// AutoAnswer lets pulled calls ask the phone to answer by itself.
	// Default: false.
	// +optional
	AutoAnswer bool `json:"autoAnswer,omitempty"`
}

// NoAnswer is where an unanswered call goes.
type NoAnswer struct {
	// After is how long the phones ring. Default: 30s; 5s to 180s.
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}(ms|s|m|h))+$') && duration(self) >= duration('5s') && duration(self) <= duration('180s')",message="must be a length of time between 5s and 180s, e.g. 90s or 1m30s"
	// +optional
	After Duration `json:"after,omitempty"`
	// To is an internal number, an outside number as it is dialled without
	// prefix, or voicemail. Default: the call ends.
	// +kubebuilder:validation:MaxLength=20
	// +optional
	To string `json:"to,omitempty"`
}

// ExtensionRange is a run of plain phones. Each number has its own password.
//
// +kubebuilder:validation:XValidation:rule="self.from.size() == self.to.size()",message="from and to must have the same number of digits"
// +kubebuilder:validation:XValidation:rule="self.from.size() != self.to.size() || self.from <= self.to",message="from must not be greater than to: swap them"
type ExtensionRange struct {
	// From is the first number; 2 to 8 digits.
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{2,8}$')",message="must be 2 to 8 digits, e.g. \"200\""
	From string `json:"from"`
	// To is the last number, included; 2 to 8 digits.
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{2,8}$')",message="must be 2 to 8 digits, e.g. \"249\""
	To string `json:"to"`
	// MaxContacts of each number. Default: 1; 1 to 20.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=20
	// +optional
	MaxContacts int32 `json:"maxContacts,omitempty"`
}

// DirectoryFrom says which directory.
// +kubebuilder:validation:Enum=NaverWorks
type DirectoryFrom string

// DirectoryNaverWorks is the directory of the tenant's NaverWorksBot.
const DirectoryNaverWorks DirectoryFrom = "NaverWorks"

// Directory takes extensions from a directory.
type Directory struct {
	// From is NaverWorks.
	// +kubebuilder:default=NaverWorks
	// +optional
	From DirectoryFrom `json:"from,omitempty"`
	// OrgUnit limits it to one organisation unit by ID. Default: everybody.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	OrgUnit string `json:"orgUnit,omitempty"`
	// NumberField is the user's field with the extension: telephone (default),
	// employeeNumber or location. It may hold more than the extension, such as
	// "02-555-0101 (내선 101)".
	// +kubebuilder:default=telephone
	// +kubebuilder:validation:XValidation:rule="self in ['telephone', 'employeeNumber', 'location']",message="must be telephone, employeeNumber or location"
	// +kubebuilder:validation:MaxLength=64
	// +optional
	NumberField string `json:"numberField,omitempty"`
	// MaxRemoval is how many of the plan's directory extensions may vanish at
	// once, in percent. More, if that are three or more, or all of them, are
	// kept until they are approved: see status.directory.pending. 100 asks
	// never. Default: 20; 0 to 100.
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	MaxRemoval *int32 `json:"maxRemoval,omitempty"`
	// Apply is Automatic (default), or DryRun: then status.directory.pending
	// shows what would change, and nothing does.
	// +kubebuilder:default=Automatic
	// +optional
	Apply DirectoryApply `json:"apply,omitempty"`
}

// DirectoryApply says whether the directory's changes are put in force.
// +kubebuilder:validation:Enum=Automatic;DryRun
type DirectoryApply string

// The ways to apply a directory.
const (
	DirectoryAutomatic DirectoryApply = "Automatic"
	DirectoryDryRun    DirectoryApply = "DryRun"
)

// The fields of a user that may hold the extension.
const (
	FieldTelephone      = "telephone"
	FieldEmployeeNumber = "employeeNumber"
	FieldLocation       = "location"
)

// GroupStrategy is the order in which a group rings.
// +kubebuilder:validation:Enum=RingAll;Sequential;RoundRobin;LongestIdle
type GroupStrategy string

// The strategies of a group.
const (
	StrategyRingAll     GroupStrategy = "RingAll"
	StrategySequential  GroupStrategy = "Sequential"
	StrategyRoundRobin  GroupStrategy = "RoundRobin"
	StrategyLongestIdle GroupStrategy = "LongestIdle"
)

// RingGroup is a number that rings several extensions.
type RingGroup struct {
	// Number that is dialled; 2 to 8 digits.
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{2,8}$')",message="must be 2 to 8 digits, e.g. \"600\""
	Number string `json:"number"`
	// DisplayName is shown on phones and cards. At most 64 characters.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="!self.matches('[\\x00-\\x1f\\x7f]')",message="must not hold line breaks or other control characters: phones show one line"
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// Strategy is RingAll (default), Sequential, RoundRobin or LongestIdle.
	// +kubebuilder:default=RingAll
	// +optional
	Strategy GroupStrategy `json:"strategy,omitempty"`
	// Members are extension numbers of the tenant, in order. 1 to 100.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=8
	// +listType=set
	Members []string `json:"members"`
	// Timeout of the group (RingAll) or of each member (Sequential). Default:
	// 25s; 5s to 180s.
	// +kubebuilder:default="25s"
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}(ms|s|m|h))+$') && duration(self) >= duration('5s') && duration(self) <= duration('180s')",message="must be a length of time between 5s and 180s, e.g. 90s or 1m30s"
	// +optional
	Timeout Duration `json:"timeout,omitempty"`
	// NoAnswer is an internal number, an outside number, or voicemail, for
	// calls that no member answers. Default: the call ends.
	// +kubebuilder:validation:MaxLength=20
	// +optional
	NoAnswer string `json:"noAnswer,omitempty"`
}

// Conference is a room to meet in.
type Conference struct {
	// Number that is dialled; 2 to 8 digits.
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{2,8}$')",message="must be 2 to 8 digits, e.g. \"700\""
	Number string `json:"number"`
	// PINSecretRef is a Secret with the key pin. Default: no PIN.
	// +optional
	PINSecretRef *LocalRef `json:"pinSecretRef,omitempty"`
	// Record the room. Default: false.
	// +optional
	Record bool `json:"record,omitempty"`
}

// Page is a number that speaks through loudspeakers.
//
// +kubebuilder:validation:XValidation:rule="has(self.members) || has(self.multicast)",message="members or multicast must be set: name the phones, or the multicast address"
type Page struct {
	// Number that is dialled; 2 to 8 digits.
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9]{2,8}$')",message="must be 2 to 8 digits, e.g. \"800\""
	Number string `json:"number"`
	// Members are extension numbers. At most 100.
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=8
	// +listType=set
	// +optional
	Members []string `json:"members,omitempty"`
	// Multicast is an IPv4 multicast address and port, "239.10.0.1:5004".
	// +kubebuilder:validation:MaxLength=21
	// +optional
	Multicast string `json:"multicast,omitempty"`
}

// ExtensionPlanStatus is what the operator found.
type ExtensionPlanStatus struct {
	// Conditions: Accepted, and DirectorySynced with spec.directory.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Directory is what was taken from the directory. It is in force like
	// spec.extensions, also while the directory cannot be read.
	// +optional
	Directory *DirectoryStatus `json:"directory,omitempty"`
}

// DirectoryStatus is what was taken from the directory.
type DirectoryStatus struct {
	// Count of the extensions below.
	// +optional
	Count int32 `json:"count,omitempty"`
	// Extensions in force, by number. At most 5000.
	// +kubebuilder:validation:MaxItems=5000
	// +listType=atomic
	// +optional
	Extensions []DirectoryExtension `json:"extensions,omitempty"`
	// Pending is what the directory says and is not in force: with apply
	// DryRun everything, otherwise a removal that waits to be approved.
	// +optional
	Pending *DirectoryPending `json:"pending,omitempty"`
	// Notes are about members of the directory that got no extension, or
	// another one than they might expect, with the cure. At most 21.
	// +kubebuilder:validation:MaxItems=21
	// +listType=atomic
	// +optional
	Notes []string `json:"notes,omitempty"`
}

// DirectoryExtension is one internal number with its person.
type DirectoryExtension struct {
	// Number that is dialled.
	// +kubebuilder:validation:MaxLength=8
	Number string `json:"number"`
	// DisplayName is the person's name.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// WorksUser is the person's NAVER WORKS user ID.
	// +kubebuilder:validation:MaxLength=254
	WorksUser string `json:"worksUser"`
	// Mobile is the person's mobile number, national form.
	// +kubebuilder:validation:MaxLength=20
	// +optional
	Mobile string `json:"mobile,omitempty"`
}

// DirectoryPending is what the directory says and is not in force.
type DirectoryPending struct {
	// Add, Change and Remove count extensions.
	// +optional
	Add int32 `json:"add,omitempty"`
	// Change counts extensions that keep their number.
	// +optional
	Change int32 `json:"change,omitempty"`
	// Remove counts extensions whose number would vanish.
	// +optional
	Remove int32 `json:"remove,omitempty"`
	// Hash names this removal. To approve it, set it as the annotation
	// pbx.dipcast.io/approve-removal of the plan.
	// +optional
	Hash string `json:"hash,omitempty"`
	// Examples are the first of them by number. At most 20.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Examples []DirectoryChange `json:"examples,omitempty"`
}

// DirectoryChange is one extension that would change.
type DirectoryChange struct {
	// Number of the extension.
	// +kubebuilder:validation:MaxLength=8
	Number string `json:"number"`
	// Change is Add, Change or Remove.
	// +kubebuilder:validation:Enum=Add;Change;Remove
	Change string `json:"change"`
	// DisplayName of the person who has or gets it.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	DisplayName string `json:"displayName,omitempty"`
}

// The kinds of DirectoryChange.
const (
	ChangeAdd    = "Add"
	ChangeChange = "Change"
	ChangeRemove = "Remove"
)

// ExtensionPlanList is a list of plans.
//
// +kubebuilder:object:root=true
type ExtensionPlanList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ExtensionPlan `json:"items"`
}
