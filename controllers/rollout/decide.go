package rollout

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

const (
	defaultMaxWait = 2 * time.Hour

	// quietHold bounds how long a PBX refuses calls for nothing if the operator
	// dies between asking it and replacing it.
	quietHold = time.Minute
	// endCalls is the warning that calls get before they are ended; with the
	// policy Immediate there is none to speak of.
	endCalls    = 20 * time.Second
	endCallsNow = time.Second
	// afterEnd is when a drained PBX has ended its calls. What is left then are
	// emergency calls, which it never ends; they get lastCalls before the pod
	// is deleted with its own grace, in which they may go on.
	afterEnd   = 30 * time.Second
	lastCalls  = 5 * time.Minute
	forcedHold = lastCalls + time.Minute
	// blindGrace is for a process that does not answer: it is told to end, and
	// made to if it hangs. One that the kubelet finds ready does not hang, the
	// operator alone cannot reach it: it gets lastCalls.
	blindGrace = 30 * time.Second

	// askAgain follows a PBX that had no calls in its report and has some now.
	askAgain = 2 * time.Second
	// unasked is how soon a PBX has been asked that the operator does not know yet.
	unasked = time.Second
	// turnAgain is the latest look of a waiting tenant at the fleet, which
	// wakes it when its turn comes.
	turnAgain = 5 * time.Minute
	// nodesAgain is the latest look at the nodes of a tenant that cannot leave its
	// own.
	nodesAgain = time.Minute
	// restarts bounds how long the kubelet takes to notice another image.
	restarts = 2 * time.Minute
	// stuckAfter is when a new process that is not ready counts as stuck.
	stuckAfter = 10 * time.Minute
)

// Decide says what is done about a tenant's update now.
func Decide(in Input) Decision {
	if in.MaxWait <= 0 {
		in.MaxWait = defaultMaxWait
	}
	if in.Update != nil {
		in.Update = in.Update.DeepCopy()
	}
	d := in.decide()
	if d.Action == None && in.Trial != nil && !in.Trial.Terminating && !in.tries() {
		d.Action = EndTrial
	}
	return d
}

func (in Input) decide() Decision {
	switch {
	case in.Pod == nil:
		return in.absent()
	case in.Pod.Terminating:
		return in.leaving()
	}
	c := in.change()
	switch {
	case c.reason == "":
		return in.unchanged()
	case in.down():
		return in.replaceDown(c)
	case c.deletes && in.nowhere():
		return in.stay()
	}
	return in.replaceUp(c)
}

// down reports whether the process serves nobody. One that runs is asked: a
// kubelet that begins anew takes back that its pods have started until it has
// probed them again, while their calls go on.
func (in Input) down() bool {
	if in.Pod.Up {
		return false
	}
	return !in.Pod.Running || in.Report == nil && in.Silent
}

// change is why the process is not as it should be, and what it takes.
type change struct {
	reason  string // "" = it is as it should be
	target  string
	deletes bool // a patch of the image does not do
	image   bool // whatever else there is, the image is another one
}

// change compares the pod with what is wanted.
func (in Input) change() change {
	pod, wanted := in.Pod, in.Wanted
	template := wanted.Template != "" && pod.Template != wanted.Template
	image := wanted.Image != "" && pod.Image != wanted.Image
	node := pod.Node.Cordoned && in.OtherNodes > 0
	c := change{deletes: template || node || !image, image: image}
	switch {
	case template && in.MovedPorts:
		c.reason, c.target = ReasonPorts, wanted.Template
	case template:
		c.reason, c.target = ReasonTemplate, wanted.Template
	case image:
		c.reason, c.target = ReasonImage, wanted.Image
	case in.restart():
		c.reason, c.target = ReasonDocument, wanted.Generation
	case node:
		c.reason = ReasonNode
	}
	return c
}

// restart reports whether the newest document takes a new process: the running
// one says so, or the kubelet lets a crashed one wait that could run with it.
func (in Input) restart() bool {
	if in.Pod.Crashing {
		return in.Wanted.Generation != "" && in.Pod.Generation != "" && in.Pod.Generation != in.Wanted.Generation
	}
	r := in.Report
	return r != nil && len(r.Restart) > 0 && (in.Wanted.Generation == "" || r.Generation == in.Wanted.Generation)
}

// nowhere reports whether a deleted pod could not be placed again.
func (in Input) nowhere() bool { return in.Pod.Node.Cordoned && in.OtherNodes == 0 }

// absent decides without a pod: its successor is made of what is wanted.
func (in Input) absent() Decision {
	if in.Update == nil {
		return Decision{Condition: upToDate()}
	}
	replaces := ""
	if in.Pod != nil {
		replaces = in.Pod.Instance
	}
	return in.progress(in.begin(in.Update, replaces))
}

// leaving decides while the pod is told to go.
func (in Input) leaving() Decision {
	d := in.absent()
	dead, after := in.dead()
	switch {
	case dead != "":
		d.Action = ForceDelete
		d.Notes = append(d.Notes, Note{Reason: NoteForced, Warning: true, Message: forced(in.Pod.Node.Name, dead)})
	case in.lingers():
		d.Action = MakeRoom
	case after > 0 && (d.After == 0 || after < d.After):
		d.After = after
	}
	return d
}

// dead says why the pod's node counts as dead, or when it may.
func (in Input) dead() (why string, after time.Duration) {
	node := in.Pod.Node
	switch {
	case node.Name == "":
		return "", 0
	case node.Gone:
		return "the node does not exist any more", 0
	case node.OutOfService:
		return "the node has the taint node.kubernetes.io/out-of-service", 0
	case node.NotReady.IsZero() || in.NodeDeadAfter <= 0:
		return "", 0
	}
	if after := node.NotReady.Add(in.NodeDeadAfter).Sub(in.Now); after > 0 {
		return "", after
	}
	return "the node has not been ready for the operator's --node-dead-after", 0
}

// unchanged decides for a pod that is made of what is wanted.
func (in Input) unchanged() Decision {
	u := in.Update
	if u == nil || !u.Started {
		return in.stay()
	}
	if in.Pod.Instance != u.Replaces {
		if in.Pod.Ready {
			return in.done()
		}
		return in.progress(u)
	}
	if u.Reason != ReasonImage || u.Target != in.Wanted.Image {
		return in.stay() // the change was taken back before the process was replaced
	}
	left := startedAt(u).Add(restarts).Sub(in.Now)
	if in.Pod.Ready && left <= 0 {
		return in.done() // the kubelet found nothing to restart
	}
	d := in.progress(u)
	if left > 0 && (d.After == 0 || left < d.After) {
		d.After = left
	}
	return d
}

func (in Input) done() Decision {
	return Decision{
		Condition: upToDate(),
		Notes:     []Note{{Reason: NoteDone, Message: subject(in.Update.Reason, in.Pod.Node.Name) + " is done: the new process is ready."}},
	}
}

// stay lets the process run on. If its calls were to be ended for a change that
// does not come, it takes calls again.
func (in Input) stay() Decision {
	d := Decision{Condition: upToDate()}
	if in.nowhere() {
		d.Condition, d.After = nowhere(in.Pod.Node.Name), nodesAgain
	}
	u := in.Update
	if u == nil || !u.Started || u.Replaces != in.Pod.Instance || in.Silent {
		return d
	}
	switch {
	case in.Report == nil:
		return Decision{Update: u, Condition: draining(u.Reason, in.Pod.Node.Name), After: unasked}
	case in.Report.Draining:
		d.Action = Resume
	}
	return d
}

// begin marks an update as under way.
func (in Input) begin(u *v1alpha1.TenantUpdate, replaces string) *v1alpha1.TenantUpdate {
	if !u.Started {
		at := metav1.NewTime(in.Now).Rfc3339Copy()
		u.Started, u.StartedAt, u.Replaces = true, &at, replaces
	}
	if u.StartedAt == nil { // of a status that was written by hand
		at := metav1.NewTime(in.Now).Rfc3339Copy()
		u.StartedAt = &at
	}
	return u
}

// progress waits for the new process.
func (in Input) progress(u *v1alpha1.TenantUpdate) Decision {
	node := ""
	if in.Pod != nil {
		node = in.Pod.Node.Name
	}
	u = in.begin(u, u.Replaces)
	left := u.StartedAt.Add(stuckAfter).Sub(in.Now)
	if left <= 0 {
		return Decision{Update: u, Condition: stuck(u.Reason, node, in.MaxAtOnce)}
	}
	return Decision{Update: u, Condition: progressing(u.Reason, node), After: left}
}

// replaceDown replaces a process that serves nobody: it has no calls, and
// nobody loses anything. An update that was waiting or under way goes on as
// such; else none is kept, so that tenants that are broken for a reason of
// their own do not hold the fleet's turns.
func (in Input) replaceDown(c change) Decision {
	d := Decision{Action: PatchImage, Condition: progressing(c.reason, in.Pod.Node.Name)}
	if c.deletes {
		d.Action, d.Grace = DeletePod, blindGrace
	}
	if u := in.Update; u != nil {
		began := u.Started
		d.Update = in.begin(u, in.Pod.Instance)
		d.Update.Reason, d.Update.Target, d.Update.Replaces = c.reason, c.target, in.Pod.Instance
		if !began {
			d.Notes = []Note{started(c.reason, in.Pod.Node.Name)}
		}
	}
	return d
}

// replaceUp replaces a process that may have calls.
func (in Input) replaceUp(c change) Decision {
	u, fresh := in.Update, false
	if u == nil || u.Started && u.Replaces != in.Pod.Instance {
		// The process of an earlier update is up already: this is another one.
		u = &v1alpha1.TenantUpdate{Since: metav1.NewTime(in.Now).Rfc3339Copy()}
		fresh = true
	}
	u.Reason, u.Target = c.reason, c.target
	var d Decision
	switch {
	case c.image && !in.tried():
		d = in.tryFirst(u, c)
	case u.Started:
		return in.finish(u, c)
	default:
		d = in.await(u, c)
	}
	if fresh && (d.Action == None || d.Action == StartTrial) {
		d.Notes = []Note{{Reason: NoteWaits, Message: d.Condition.Message}}
	}
	return d
}

// tryFirst has the image tried. If calls were to be ended for a change that was
// tried, and now it is another image, the PBX takes calls again until then.
func (in Input) tryFirst(u *v1alpha1.TenantUpdate, c change) Decision {
	if !u.Started {
		return in.try(u)
	}
	if in.Report == nil && !in.Silent {
		return Decision{Update: u, Condition: draining(c.reason, in.Pod.Node.Name), After: unasked}
	}
	u.Started, u.StartedAt, u.Replaces = false, nil, ""
	if in.Report != nil && in.Report.Draining {
		return Decision{Update: u, Action: Resume, Condition: in.trying(), After: unasked}
	}
	return in.try(u)
}

// await waits for the moment in which the process may be replaced.
func (in Input) await(u *v1alpha1.TenantUpdate, c change) Decision {
	left := in.patience(u, c)
	node := in.Pod.Node.Name
	busy := in.Report == nil || in.Report.ActiveCalls > 0 || in.Quiet == QuietRefused
	switch {
	case in.Report == nil && !in.Silent:
		return Decision{Update: u, After: unasked, Condition: in.waiting(c)}
	case busy && left > 0:
		if in.Quiet == QuietRefused {
			left = min(left, askAgain)
		}
		return Decision{Update: u, After: left, Condition: in.waiting(c)}
	case in.Turn == TurnUnasked:
		return Decision{Update: u, Action: TakeTurn, Condition: waitingForTurn(c.reason, node, in.MaxAtOnce)}
	case in.Turn == TurnBusy:
		return Decision{Update: u, After: turnAgain, Condition: waitingForTurn(c.reason, node, in.MaxAtOnce)}
	case in.Turn == TurnHalted:
		return Decision{Update: u, After: turnAgain, Condition: halted(c.reason, node, in.MaxAtOnce)}
	case in.Report == nil:
		d := in.replace(u, c, in.blindGrace())
		d.Notes = append(d.Notes, Note{Reason: NoteCut, Warning: true, Message: blind(c.reason, node)})
		return d
	case busy && in.carries(c):
		return in.carry(u, c)
	case busy:
		return in.force(u, c)
	}
	return in.quiesce(u, c)
}

// waiting tells what calls are waited for.
func (in Input) waiting(c change) metav1.Condition {
	if in.soon(c) {
		return waitingForIdle(c.reason, in.Pod.Node.Name, in.IdleWait)
	}
	return waitingForCalls(c.reason, in.Pod.Node.Name, in.MaxWait, in.Silent)
}

// quiesce makes sure with the PBX itself that no call begins any more, and
// then replaces it.
func (in Input) quiesce(u *v1alpha1.TenantUpdate, c change) Decision {
	if in.Quiet == QuietGranted {
		return in.replace(u, c, 0)
	}
	return Decision{
		Update: u, Action: Quiesce, Condition: draining(c.reason, in.Pod.Node.Name),
		Drain: conf.Drain{IfIdle: true, Hold: conf.Duration(quietHold)},
	}
}

// force ends the calls.
func (in Input) force(u *v1alpha1.TenantUpdate, c change) Decision {
	warning := endCalls
	if in.Policy == v1alpha1.UpdateImmediate {
		warning = endCallsNow
	}
	node := in.Pod.Node.Name
	began := u.Started
	d := Decision{
		Update: in.begin(u, in.Pod.Instance), Action: ForceDrain, Condition: draining(c.reason, node), After: afterEnd,
		Drain: conf.Drain{EndCallsAfter: conf.Duration(warning), Hold: conf.Duration(forcedHold)},
	}
	if !began {
		d.Notes = []Note{{Reason: NoteCut, Warning: true, Message: cut(c.reason, node, in.Policy, in.MaxWait)}}
	}
	return d
}

func (in Input) blindGrace() time.Duration {
	if in.Pod.Ready && in.Policy != v1alpha1.UpdateImmediate {
		return lastCalls
	}
	return blindGrace
}

// replace does it. Only a patch of the image keeps node, ports and pod.
func (in Input) replace(u *v1alpha1.TenantUpdate, c change, grace time.Duration) Decision {
	d := Decision{Action: PatchImage}
	if c.deletes || grace > 0 {
		d.Action, d.Grace = DeletePod, grace
	}
	d.Update = in.begin(u, in.Pod.Instance)
	d.Condition = progressing(c.reason, in.Pod.Node.Name)
	d.After = max(d.Update.StartedAt.Add(stuckAfter).Sub(in.Now), time.Second)
	d.Notes = []Note{started(c.reason, in.Pod.Node.Name)}
	return d
}

// finish goes on with a process whose calls were told to end, or that was
// replaced already while the cache still shows it.
func (in Input) finish(u *v1alpha1.TenantUpdate, c change) Decision {
	u = in.begin(u, in.Pod.Instance)
	since := in.Now.Sub(u.StartedAt.Time)
	wait := Decision{Update: u, Condition: draining(c.reason, in.Pod.Node.Name)}
	switch {
	case in.Report == nil && (!in.Silent || since < afterEnd):
		wait.After = max(afterEnd-since, unasked)
		return wait
	case in.Report == nil:
		return in.replace(u, c, in.blindGrace())
	case in.Report.ActiveCalls == 0 && in.Quiet != QuietRefused:
		return in.quiesce(u, c)
	case in.carries(c):
		return in.carry(u, c)
	case since >= lastCalls:
		c.deletes = true
		return in.replace(u, c, 0)
	case !in.Report.Draining:
		return in.force(u, c)
	}
	wait.After = lastCalls - since
	if in.Quiet == QuietRefused {
		wait.After = min(wait.After, askAgain)
	}
	return wait
}
