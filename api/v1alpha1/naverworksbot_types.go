package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NaverWorksBot is the tenant's bot on NAVER WORKS: it sends the cards and
// takes the presses. One per tenant.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=nwbot,categories=dipcast
// +kubebuilder:printcolumn:name="Tenant",type=string,JSONPath=".spec.tenantRef.name"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=".status.conditions[?(@.type=='Ready')].status"
// +kubebuilder:printcolumn:name="Credentials",type=string,JSONPath=".status.conditions[?(@.type=='CredentialsValid')].status"
// +kubebuilder:printcolumn:name="Callback",type=string,JSONPath=".status.conditions[?(@.type=='CallbackReachable')].status"
// +kubebuilder:printcolumn:name="Configured",type=string,JSONPath=".status.conditions[?(@.type=='BotConfigured')].status"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=".metadata.creationTimestamp"
type NaverWorksBot struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the bot.
	Spec NaverWorksBotSpec `json:"spec"`
	// Status is what the operator found.
	// +optional
	Status NaverWorksBotStatus `json:"status,omitempty"`
}

// NaverWorksBotSpec is the bot as the Developer Console shows it.
type NaverWorksBotSpec struct {
	// TenantRef is the tenant, in the same namespace.
	TenantRef LocalRef `json:"tenantRef"`
	// BotID of the Developer Console; at least 1.
	// +kubebuilder:validation:Minimum=1
	BotID int64 `json:"botID"`
	// DomainID of the company on NAVER WORKS; at least 1.
	// +kubebuilder:validation:Minimum=1
	DomainID int64 `json:"domainID"`
	// CredentialsRef is a Secret with the keys client-id, client-secret,
	// service-account, private-key (PKCS#8 PEM, RSA) and bot-secret.
	CredentialsRef LocalRef `json:"credentialsRef"`
	// Endpoints of NAVER WORKS. Default: the public service.
	// +kubebuilder:default={}
	// +optional
	Endpoints BotEndpoints `json:"endpoints,omitempty"`
	// Scopes of the access token. Default: bot, bot.read, user.read,
	// contact.read. At most 20.
	// +kubebuilder:default={"bot","bot.read","user.read","contact.read"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MaxLength=40
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[a-z.]+$')",message="must be a scope of the Developer Console in lower case, e.g. user.read"
	// +kubebuilder:validation:XValidation:rule="self.exists(s, s == 'bot' || s == 'bot.message')",message="must hold bot or bot.message, without which no card can be sent: add one"
	// +listType=set
	// +optional
	Scopes []string `json:"scopes,omitempty"`
	// Cards says which notices are sent. Default: all.
	// +kubebuilder:default={}
	// +optional
	Cards Cards `json:"cards,omitempty"`
	// ManageBot sets the callback URL, the callback events and the persistent
	// menu through the API. Default: true.
	// +kubebuilder:default=true
	// +optional
	ManageBot *bool `json:"manageBot,omitempty"`
}

// BotEndpoints are URLs of NAVER WORKS: https, or http on a loopback address.
type BotEndpoints struct {
	// API is the base of the API. Default: https://www.worksapis.com/v1.0.
	// +kubebuilder:default="https://www.worksapis.com/v1.0"
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[^/?#@ ]+(/[^?# ]*)?$') || self.matches('^http://(localhost|127[.][0-9]+[.][0-9]+[.][0-9]+|\\\\[::1\\\\])(:[0-9]+)?(/[^?# ]*)?$')",message="must be an https URL; plain http only on a loopback address such as http://127.0.0.1:9080"
	// +optional
	API string `json:"api,omitempty"`
	// Auth is the base of OAuth 2.0. Default:
	// https://auth.worksmobile.com/oauth2/v2.0.
	// +kubebuilder:default="https://auth.worksmobile.com/oauth2/v2.0"
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[^/?#@ ]+(/[^?# ]*)?$') || self.matches('^http://(localhost|127[.][0-9]+[.][0-9]+[.][0-9]+|\\\\[::1\\\\])(:[0-9]+)?(/[^?# ]*)?$')",message="must be an https URL; plain http only on a loopback address such as http://127.0.0.1:9080"
	// +optional
	Auth string `json:"auth,omitempty"`
	// Issuer of OpenID Connect, for the console's sign-in. Default:
	// https://auth.worksmobile.com.
	// +kubebuilder:default="https://auth.worksmobile.com"
	// +kubebuilder:validation:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.matches('^https://[^/?#@ ]+(/[^?# ]*)?$') || self.matches('^http://(localhost|127[.][0-9]+[.][0-9]+[.][0-9]+|\\\\[::1\\\\])(:[0-9]+)?(/[^?# ]*)?$')",message="must be an https URL; plain http only on a loopback address such as http://127.0.0.1:9080"
	// +optional
	Issuer string `json:"issuer,omitempty"`
}

// Cards says which notices are sent.
type Cards struct {
	// External calls that ring. Default: true.
	// +kubebuilder:default=true
	// +optional
	External *bool `json:"external,omitempty"`
	// Internal calls that ring. Default: true.
	// +kubebuilder:default=true
	// +optional
	Internal *bool `json:"internal,omitempty"`
	// Fax that came in. Default: true.
	// +kubebuilder:default=true
	// +optional
	Fax *bool `json:"fax,omitempty"`
	// Missed calls. Default: true.
	// +kubebuilder:default=true
	// +optional
	Missed *bool `json:"missed,omitempty"`
	// Voicemail that was left. Default: true.
	// +kubebuilder:default=true
	// +optional
	Voicemail *bool `json:"voicemail,omitempty"`
}

// NaverWorksBotStatus is what the operator found.
type NaverWorksBotStatus struct {
	// Conditions: Ready, Accepted, CredentialsValid, CallbackReachable,
	// BotConfigured.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// CallbackURL is what NAVER WORKS must call.
	// +kubebuilder:validation:MaxLength=1000
	// +optional
	CallbackURL string `json:"callbackURL,omitempty"`
	// Managed is what the operator has set on NAVER WORKS, and takes back when
	// the bot is deleted.
	// +optional
	Managed *ManagedBot `json:"managed,omitempty"`
}

// ManagedBot is what the operator has set on NAVER WORKS.
type ManagedBot struct {
	// BotID of the bot.
	BotID int64 `json:"botID"`
	// BaseURL of the console: the menu leads there, and the callback lies below
	// it.
	// +kubebuilder:validation:MaxLength=1000
	BaseURL string `json:"baseURL"`
}

// NaverWorksBotList is a list of bots.
//
// +kubebuilder:object:root=true
type NaverWorksBotList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NaverWorksBot `json:"items"`
}
