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
	// ConditionOverloaded is true while the PBX refuses new calls, since there is
	// more to do than it can carry. Calls that are up go on, and so does Ready.
	ConditionOverloaded = "Overloaded"
	// ConditionUpdating is true while a change waits for a new process: for the
	// calls to end, for the tenant's turn in the fleet, for the new pod.
	ConditionUpdating = "Updating"
	// ConditionExposed tells whether console and callback have a way in: the
	// Ingress or the route, and the certificate.
	ConditionExposed = "Exposed"
	// ConditionDirectorySynced tells whether the plan's extensions are those of
	// the directory.
	ConditionDirectorySynced = "DirectorySynced"
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
	ReasonAccepted         = "Accepted"         // nothing is wrong
	ReasonInvalid          = "Invalid"          // a value that cannot work
	ReasonDuplicate        = "Duplicate"        // a number or name that exists twice
	ReasonNotFound         = "NotFound"         // a reference to something that does not exist
	ReasonConflict         = "Conflict"         // two values that exclude each other
	ReasonLimitExceeded    = "LimitExceeded"    // more than the class sells
	ReasonSecretMissing    = "SecretMissing"    // a Secret, or a key of it, does not exist
	ReasonSecretInvalid    = "SecretInvalid"    // a Secret's content cannot be used
	ReasonLoop             = "Loop"             // forwarding leads back to where it began
	ReasonNotServed        = "NotServed"        // known, and not served by this version yet
	ReasonNoPorts          = "NoPorts"          // the class has no free slot
	ReasonInsecure         = "Insecure"         // works, and should not be left so
	ReasonWaiting          = "Waiting"          // the operator waits for something
	ReasonProgressing      = "Progressing"      // a change is on its way
	ReasonReady            = "Ready"            // everything is as it should be
	ReasonRunning          = "Running"          // the pod runs and is ready
	ReasonApplied          = "Applied"          // what was wanted is in force
	ReasonAllocated        = "Allocated"        // the tenant has its own slot
	ReasonShared           = "Shared"           // the tenant shares its slot, on another node
	ReasonUnschedulable    = "Unschedulable"    // no node can take the pod
	ReasonPodRefused       = "PodRefused"       // the API server refuses the pod
	ReasonCrashing         = "Crashing"         // the PBX does not stay up
	ReasonImagePull        = "ImagePull"        // the image cannot be had
	ReasonUnreachable      = "Unreachable"      // something does not answer
	ReasonRefused          = "Refused"          // the PBX refuses the document
	ReasonRestartPending   = "RestartPending"   // a part of it waits for a new process
	ReasonWaitingForCalls  = "WaitingForCalls"  // calls are up; a change waits for their end
	ReasonWaitingForTurn   = "WaitingForTurn"   // too many other tenants change now
	ReasonDraining         = "Draining"         // no new calls are taken
	ReasonUpToDate         = "UpToDate"         // nothing waits
	ReasonUp               = "Up"               // every trunk can take a call
	ReasonDown             = "Down"             // a trunk cannot
	ReasonNone             = "None"             // there is none, and none is needed
	ReasonWithinLimits     = "WithinLimits"     // below the operating figures
	ReasonOverOperating    = "OverOperating"    // above the operating figures
	ReasonProcessorShort   = "ProcessorShort"   // the PBX gets too little of the processors
	ReasonMemoryShort      = "MemoryShort"      // its memory is nearly used up
	ReasonMediaLate        = "MediaLate"        // packets of calls wait too long
	ReasonTransactionsFull = "TransactionsFull" // too many SIP requests are open
	ReasonLoad             = "Load"             // the PBX does not say of what
	ReasonValid            = "Valid"            // the credentials were proven by a token
	ReasonUnauthorized     = "Unauthorized"     // NAVER WORKS answers 401
	ReasonForbidden        = "Forbidden"        // NAVER WORKS answers 403
	ReasonRateLimited      = "RateLimited"      // NAVER WORKS answers 429
	ReasonConfigured       = "Configured"       // callback and menu are as wanted
	ReasonUnmanaged        = "Unmanaged"        // spec.manageBot is false
	ReasonReachable        = "Reachable"        // the callback URL answers as ours
	ReasonSynced           = "Synced"           // the directory's extensions are in force
	ReasonDryRun           = "DryRun"           // the directory's changes are only shown
	ReasonMassRemoval      = "MassRemoval"      // more would go than the limit allows
	ReasonTerminating      = "Terminating"      // the object is being deleted
	ReasonUnreadable       = "Unreadable"       // a manifest that is no YAML or no object
	ReasonSchemaViolation  = "SchemaViolation"  // what the API server would refuse
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
	// AnnotationConfigAsked on the pod is when its kubelet was asked again for
	// the document, which it had not refreshed: seconds since 1970.
	AnnotationConfigAsked = "pbx.dipcast.io/config-asked"
	// LabelComponent tells what an owned object is for: pbx, trial,
	// config, data, web.
	LabelComponent = "app.kubernetes.io/component"
	// LabelWatched marks Secrets that manifests of a tenant refer to. The
	// operator sets it and watches no other Secret.
	LabelWatched = "pbx.dipcast.io/watched"
	// AnnotationTemplate on the pod names the pod template that it was made of,
	// without the image: another one takes a new pod.
	AnnotationTemplate = "pbx.dipcast.io/template"
	// AnnotationRTP on the pod is its range of RTP ports, FROM-TO, which belongs to
	// its slot and is not declared: other ports take a new pod.
	AnnotationRTP = "pbx.dipcast.io/rtp"
	// AnnotationApproveRemoval on a plan approves the removal that
	// status.directory.pending.hash names.
	AnnotationApproveRemoval = "pbx.dipcast.io/approve-removal"
	// AnnotationApplied on an owned object is a hash of what was applied last.
	AnnotationApplied = "pbx.dipcast.io/applied"
	// AnnotationImage on the pod is "WANTED ADMITTED" where the cluster runs
	// another image than the one that was asked for, as registry mirrors do. On a
	// trial it is the image that was asked for.
	AnnotationImage = "pbx.dipcast.io/image"
	// FieldOwner is the operator's name in server-side apply.
	FieldOwner = "dipcast-operator"
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
	KeyDocument       = "document.json"   // of Secret TENANT-config
	KeyDSN            = "dsn"             // of a database
	KeyClientID       = "client-id"       // of a bot, with the four below
	KeyClientSecret   = "client-secret"   //
	KeyServiceAccount = "service-account" //
	KeyPrivateKey     = "private-key"     // PKCS#8 PEM
	KeyBotSecret      = "bot-secret"      //
)
