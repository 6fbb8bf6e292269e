package rollout

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/podstate"
	"github.com/dipcast/dipcast/controllers/verdict"
	"github.com/dipcast/dipcast/pbx/conf"
)

const (
	// trialAgain is when an image that did not pass is tried once more.
	trialAgain = 2 * time.Minute
	// trialEnds is how long a program may take that only reads the document.
	trialEnds = time.Minute
	// causeMost bounds what a stranger's program may put into a condition.
	causeMost = 200
	// where the name of an image comes from.
	where = " (spec.image of the class, or the operator's --pbx-image)"
)

// TrialState is what has become of a trial.
type TrialState int

// The states of a trial.
const (
	TrialRuns TrialState = iota
	TrialPassed
	TrialFailed
	TrialRefused // the API server does not take its pod
)

// Trial is a pod that runs an image for a moment, on the node of the PBX that
// is to be replaced by it.
type Trial struct {
	Image       string // for which it was made
	Node        string
	State       TrialState
	Terminating bool
	Made        time.Time
	Running     time.Time // since when its program runs; zero: it does not
	Ended       time.Time // of one that passed
	Journal     int       // conf.Check.Journal of one that passed

	// Of one that failed or was refused: a reason of v1alpha1, what is wrong,
	// and what mends it.
	Reason, Cause, Cure string
}

// Holds reports whether a trial keeps others of the fleet from being begun: one
// that takes long does not.
func (t *Trial) Holds(now time.Time) bool {
	return t != nil && t.State == TrialRuns && now.Sub(t.Made) < trialAgain
}

// TrialOf reads a trial's pod, nil for none.
func TrialOf(pod *corev1.Pod) *Trial {
	if pod == nil {
		return nil
	}
	t := &Trial{
		Image: pod.Annotations[v1alpha1.AnnotationImage], Node: pod.Spec.NodeName,
		Made: pod.CreationTimestamp.Time, Terminating: pod.DeletionTimestamp != nil,
	}
	if len(pod.Status.ContainerStatuses) > 0 {
		t.read(&pod.Status.ContainerStatuses[0].State)
	}
	switch {
	case t.Terminating:
		t.State = TrialRuns
	case pod.Status.Phase == corev1.PodSucceeded:
		t.State = TrialPassed
	case pod.Status.Phase == corev1.PodFailed && t.State != TrialFailed:
		t.fail(v1alpha1.ReasonUnschedulable, "is not tried: the node does not take the pod ("+pod.Status.Reason+")", "make room on the node")
	}
	return t
}

// read reads the state of the trial's container.
func (t *Trial) read(s *corev1.ContainerState) {
	switch {
	case s.Running != nil:
		t.Running = s.Running.StartedAt.Time
	case s.Terminated != nil && s.Terminated.ExitCode == 0:
		t.Ended = s.Terminated.FinishedAt.Time
		var said conf.Check
		if json.Unmarshal([]byte(s.Terminated.Message), &said) == nil { // older images say nothing
			t.Journal = said.Journal
		}
	case s.Terminated != nil && s.Terminated.Reason == "OOMKilled":
		t.crash("it takes more memory than a trial has")
	case s.Terminated != nil:
		t.crash(podstate.LastWords(s.Terminated))
	case s.Waiting != nil && podstate.NoImage(s.Waiting.Reason):
		cause, cure := pull(s.Waiting)
		t.fail(v1alpha1.ReasonImagePull, cause, cure)
	case s.Waiting != nil && podstate.NoContainer(s.Waiting.Reason):
		t.crash(podstate.LastLine(s.Waiting.Message))
	}
}

func (t *Trial) fail(reason, cause, cure string) {
	t.State, t.Reason, t.Cause, t.Cure = TrialFailed, reason, cause, cure
}

func (t *Trial) crash(words string) {
	t.fail(v1alpha1.ReasonCrashing, "does not run: "+verdict.Short(words, causeMost), "name an image of the PBX that reads this operator's documents"+where)
}

// pull says why an image cannot be had. The kubelet's own words are of several
// forms for one cause, and would change from one look to the next.
func pull(w *corev1.ContainerStateWaiting) (cause, cure string) {
	said := strings.ToLower(w.Message)
	has := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(said, word) {
				return true
			}
		}
		return false
	}
	switch {
	case w.Reason == "InvalidImageName":
		return "cannot be had: that is no name of an image", "put the name right" + where
	case has("denied", "unauthorized", "forbidden", "authorization failed"):
		return "cannot be had: the registry refuses it", "put the image pull secrets right, or the name" + where
	case has("not found", "manifest unknown"):
		return "cannot be had: the registry does not have it", "push the image, or put the name right" + where
	}
	return "cannot be had", "check that the node reaches the registry, the image pull secrets, and the name" + where
}

// tried reports whether the wanted image has proven, where the PBX is, that it
// runs.
func (in Input) tried() bool {
	t := in.Trial
	return in.ofThis(t) && t.State == TrialPassed
}

func (in Input) ofThis(t *Trial) bool {
	return t != nil && t.Image == in.Wanted.Image && t.Node == in.Pod.Node.Name
}

// tries reports whether a trial has a purpose.
func (in Input) tries() bool {
	if in.Pod == nil || in.Pod.Terminating || in.down() {
		return false
	}
	c := in.change()
	return c.image && (!c.deletes || !in.nowhere())
}

// try has the wanted image tried before the PBX is touched.
func (in Input) try(u *v1alpha1.TenantUpdate) Decision {
	t := in.Trial
	if t != nil && t.State == TrialRefused {
		return in.untried(u, *t)
	}
	if t != nil && t.Terminating {
		return Decision{Update: u, Condition: in.trying(), After: unasked}
	}
	if !in.ofThis(t) {
		return Decision{Update: u, Action: StartTrial, Condition: in.trying()}
	}
	if t.State == TrialFailed {
		return in.untried(u, *t)
	}
	d := Decision{Update: u, Condition: in.trying(), After: trialAgain}
	if t.Running.IsZero() {
		return d
	}
	if d.After = t.Running.Add(trialEnds).Sub(in.Now); d.After <= 0 {
		hangs := *t
		hangs.crash("it does not end after reading the document")
		return in.untried(u, hangs)
	}
	return d
}

// untried tells why an image is not taken, and has it tried again in a while.
func (in Input) untried(u *v1alpha1.TenantUpdate, t Trial) Decision {
	d := Decision{Update: u, Condition: untried(in.Wanted.Image, in.Pod.Node.Name, t), After: trialAgain}
	if t.State == TrialRefused {
		return d
	}
	if d.After = t.Made.Add(trialAgain).Sub(in.Now); d.After <= 0 {
		d.Action, d.After = StartTrial, 0
	}
	return d
}

// trying keeps what was told of this image until it is known better.
func (in Input) trying() metav1.Condition {
	told := in.Told
	switch told.Reason {
	case v1alpha1.ReasonImagePull, v1alpha1.ReasonCrashing, v1alpha1.ReasonUnschedulable, v1alpha1.ReasonPodRefused:
		if strings.HasPrefix(told.Message, theImage(in.Wanted.Image)) {
			return condition(metav1.ConditionTrue, told.Reason, told.Message)
		}
	}
	return condition(metav1.ConditionTrue, v1alpha1.ReasonProgressing, fmt.Sprintf(
		"%sis tried on node %s before the PBX is replaced, which goes on with the one it has.", theImage(in.Wanted.Image), in.Pod.Node.Name))
}

func untried(image, node string, t Trial) metav1.Condition {
	return condition(metav1.ConditionTrue, t.Reason, verdict.Short(fmt.Sprintf(
		"%s%s (node %s); the PBX goes on with the one it has. %s: it is tried again every %s.",
		theImage(image), strings.TrimSuffix(t.Cause, "."), node, upper(t.Cure), span(trialAgain)), 600))
}

func theImage(image string) string { return "The new image " + image + " " }

// upper begins a sentence.
func upper(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
