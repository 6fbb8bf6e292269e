package rollout

import (
	"time"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The reasons of v1alpha1.TenantUpdate.
const (
	ReasonPorts    = "Ports"    // the tenant was moved to another slot
	ReasonTemplate = "Template" // the pod template is another one
	ReasonImage    = "Image"    // the image alone is another one
	ReasonDocument = "Document" // a part of the document takes a new process
	ReasonNode     = "Node"     // the node is cordoned
)

// Input is everything that a decision depends on.
type Input struct {
	Now     time.Time
	Policy  v1alpha1.UpdatePolicy // "" = Carry
	MaxWait time.Duration         // 0 = 2h
	// IdleWait is how long calls are waited for that go on over the change; 0 = not
	// at all.
	IdleWait time.Duration
	Wanted   Wanted
	Pod      *Pod         // nil: there is none
	Report   *conf.Report // of the running process; nil: it was not asked yet, or is Silent
	Silent   bool         // it does not answer
	Update   *v1alpha1.TenantUpdate

	// MovedPorts: the tenant's status holds previous ports.
	MovedPorts bool
	// OtherNodes is how many eligible, uncordoned nodes there are besides the
	// pod's own.
	OtherNodes int
	// NodeDeadAfter: see the package's comment; 0 = never.
	NodeDeadAfter time.Duration
	// MaxAtOnce is told in messages only; Turn holds the answer.
	MaxAtOnce int

	// Trial of an image; nil: there is none.
	Trial *Trial
	// Told is the condition Updating as it was told last.
	Told metav1.Condition

	// Turn is the fleet's answer, TurnUnasked before it was asked.
	Turn Turn
	// Quiet is the PBX's answer to Quiesce in this pass.
	Quiet Quiet
}

// Wanted is what the tenant's process should be made of.
type Wanted struct {
	Template   string // hash of the pod template without the image
	Image      string
	Generation string // of the document that was written
}

// Pod is the tenant's pod as the API server shows it.
type Pod struct {
	Template    string // v1alpha1.AnnotationTemplate
	Image       string // of the spec
	Generation  string // v1alpha1.AnnotationConfigGeneration
	Instance    string // of the process: the pod's UID and the container's ID
	Up          bool   // the process runs and has passed its start-up probe once
	Running     bool   // the process runs
	Ready       bool
	Crashing    bool // the kubelet waits before it starts the process again
	Terminating bool
	Node        Node
}

// Node is where the pod runs; its Name is empty before it was scheduled.
type Node struct {
	Name         string
	Gone         bool // there is no such node
	OutOfService bool // tainted node.kubernetes.io/out-of-service
	Cordoned     bool
	NotReady     time.Time // since when; zero = it is ready
}

// Turn is whether the fleet lets this tenant be replaced now.
type Turn int

// The answers of Turnstile.
const (
	TurnUnasked Turn = iota
	TurnGranted
	TurnBusy   // as many others as allowed are being replaced
	TurnHalted // and those do not become ready
)

// Quiet is the PBX's answer to a drain that is wanted only without calls.
type Quiet int

// The answers of the PBX.
const (
	QuietUnasked Quiet = iota
	QuietGranted       // it takes no new calls, and none is up
	QuietRefused       // calls are up, or it did not answer
)

// Action is what the caller does now.
type Action string

// The actions. After TakeTurn and Quiesce the caller puts the answer into the
// input and asks again; the others it does, and then stores Decision.Update.
const (
	None        Action = ""
	TakeTurn    Action = "TakeTurn"    // ask the fleet
	Quiesce     Action = "Quiesce"     // ask the PBX to take no new calls if none is up
	ForceDrain  Action = "ForceDrain"  // ask it to end its calls
	Resume      Action = "Resume"      // ask it to take calls again
	StartTrial  Action = "StartTrial"  // make a trial of the wanted image, in the place of one that is there
	EndTrial    Action = "EndTrial"    // delete the trial
	PatchImage  Action = "PatchImage"  // change the image of the running pod
	DeletePod   Action = "DeletePod"   // its successor is made of the new template
	MakeRoom    Action = "MakeRoom"    // the pod goes and its process waits for the next one: remove the pod, so that there can be one
	ForceDelete Action = "ForceDelete" // its node is dead: do not wait for it
)

// Decision is what to do and what to show.
type Decision struct {
	Update    *v1alpha1.TenantUpdate // nil: nothing waits
	Action    Action
	Drain     conf.Drain    // of Quiesce and ForceDrain; of PatchImage and DeletePod unless its Hold is 0
	Grace     time.Duration // of DeletePod; 0 = the pod's own
	Condition metav1.Condition
	After     time.Duration // ask again then; 0 = when something changes
	Notes     []Note        // events for the tenant
}

// Note is an event of an update.
type Note struct {
	Reason  string
	Message string
	Warning bool
}

// The reasons of Note.
const (
	NoteWaits   = "UpdateWaits"
	NoteStarted = "UpdateStarted"
	NoteDone    = "UpdateDone"
	NoteCut     = "CallsCut"
	NoteForced  = "PodForced"
)
