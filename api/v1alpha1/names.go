package v1alpha1

// The condition types. A condition's message is stable and holds no time.
const (
	// ConditionReady is the one condition that scripts wait for: on a tenant,
	// that it takes calls with the manifests as they are; on a bot, that cards
	// are sent and presses arrive.
	ConditionReady = "Ready"
	// ConditionAccepted tells whether the compiler could use the object; its
	// message lists what is wrong and the cure. Present on every kind.
	ConditionAccepted = "Accepted"
	// ConditionPortsAllocated tells whether the tenant has a slot of host ports.
	ConditionPortsAllocated = "PortsAllocated"
	// ConditionConfigApplied tells whether the PBX runs the newest document.
	ConditionConfigApplied = "ConfigApplied"
	// ConditionPodRunning tells whether the tenant's pod runs.
	ConditionPodRunning = "PodRunning"
	// ConditionTrunksUp tells whether every trunk is registered or answers.
	ConditionTrunksUp = "TrunksUp"
	// ConditionCapacityPressure is true above the operating number of
	// registrations or near the limit of calls.
	ConditionCapacityPressure = "CapacityPressure"
	// ConditionCredentialsValid tells whether NAVER WORKS takes the bot's
	// credentials.
	ConditionCredentialsValid = "CredentialsValid"
	// ConditionCallbackReachable tells whether the callback URL answers.
	ConditionCallbackReachable = "CallbackReachable"
	// ConditionBotConfigured tells whether callback and menu are set.
	ConditionBotConfigured = "BotConfigured"
)

// The reasons of conditions, also those of the compiler's problems.
const (
	ReasonAccepted        = "Accepted"        // nothing is wrong
	ReasonInvalid         = "Invalid"         // a value that cannot work
	ReasonDuplicate       = "Duplicate"       // a number or name that exists twice
	ReasonNotFound        = "NotFound"        // a reference to something that does not exist
	ReasonConflict        = "Conflict"        // two values that exclude each other
	ReasonLimitExceeded   = "LimitExceeded"   // more than the class sells
	ReasonSecretMissing   = "SecretMissing"   // a Secret, or a key of it, does not exist
	ReasonSecretInvalid   = "SecretInvalid"   // a Secret's content cannot be used
	ReasonLoop            = "Loop"            // forwarding leads back to where it began
	ReasonNotServed       = "NotServed"       // known, and not served by this version yet
	ReasonNoPorts         = "NoPorts"         // the class has no free slot
	ReasonInsecure        = "Insecure"        // works, and should not be left so
	ReasonWaiting         = "Waiting"         // the operator waits for something
	ReasonProgressing     = "Progressing"     // a change is on its way
	ReasonUnreadable      = "Unreadable"      // a manifest that is no YAML or no object
	ReasonSchemaViolation = "SchemaViolation" // what the API server would refuse
)

// Labels, annotations and finalizers that the operator writes and reads.
const (
	// LabelTenant names the tenant that an owned object belongs to.
	LabelTenant = "pbx.dipcast.io/tenant"
	// LabelClass names the tenant's class.
	LabelClass = "pbx.dipcast.io/class"
	// LabelGenerated marks Secrets whose content the operator made.
	LabelGenerated = "pbx.dipcast.io/generated"
	// AnnotationConfigGeneration on the pod makes the kubelet refresh the
	// mounted document at once.
	AnnotationConfigGeneration = "pbx.dipcast.io/config-generation"
	// FinalizerTenant frees the slot of a deleted tenant.
	FinalizerTenant = "pbx.dipcast.io/tenant"
	// FinalizerBot unsets what the operator set on NAVER WORKS.
	FinalizerBot = "pbx.dipcast.io/bot"
)

// The keys of Secrets that manifests refer to.
const (
	KeyPassword       = "password"        // of an extension or a trunk
	KeyUsername       = "username"        // of a trunk
	KeyPIN            = "pin"             // of a conference
	KeyToken          = "token"           // of Secret TENANT-api
	KeySession        = "key"             // of Secret TENANT-session
	KeyDSN            = "dsn"             // of a database
	KeyClientID       = "client-id"       // of a bot, with the four below
	KeyClientSecret   = "client-secret"   //
	KeyServiceAccount = "service-account" //
	KeyPrivateKey     = "private-key"     // PKCS#8 PEM
	KeyBotSecret      = "bot-secret"      //
)
