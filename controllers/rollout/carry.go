package rollout

import (
	"time"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

// lingers reports whether the pod that is told to go can be removed at once: its
// process is known to go on until the next one takes its place, which can be on
// the same node. Without that the next pod is made when this one's end has been
// seen, a second later than it came.
func (in Input) lingers() bool {
	r, node := in.Report, in.Pod.Node
	return r != nil && r.Linger > 0 && !r.Draining && in.Pod.Running &&
		node.Name != "" && !node.Gone && !node.OutOfService && !node.Cordoned && node.NotReady.IsZero()
}

// carries reports whether the calls that are up go on over the change: this
// process writes them into its journal, and the next one reads that. It comes
// back to the same ports; on another node or in another slot it asks the phones
// to follow it.
func (in Input) carries(c change) bool {
	r := in.Report
	if r == nil || r.Journal < 1 {
		return false
	}
	return !c.image || in.tried() && in.Trial.Journal >= r.Journal
}

// soon reports whether calls are only worth a short wait: they go on over the
// change, and no phone has to follow them to another address.
func (in Input) soon(c change) bool {
	moves := c.reason == ReasonNode || c.reason == ReasonPorts
	return in.Policy != v1alpha1.UpdateDrain && !moves && in.carries(c)
}

// patience is how long calls may still hold up the change. An image that could
// not be taken for days does not cut them in the moment in which it is put right.
func (in Input) patience(u *v1alpha1.TenantUpdate, c change) time.Duration {
	if in.Policy == v1alpha1.UpdateImmediate {
		return 0
	}
	since, wait := u.Since.Time, in.MaxWait
	if c.image && in.Trial.Ended.After(since) {
		since = in.Trial.Ended
	}
	if in.soon(c) {
		wait = in.IdleWait
	}
	return since.Add(wait).Sub(in.Now)
}

// carry replaces the process under its calls. One that hangs is ended without its
// word, and its journal is what counts. Where the next process can only begin
// when this one has ended it is told so, and hands its calls over at once.
func (in Input) carry(u *v1alpha1.TenantUpdate, c change) Decision {
	d := in.replace(u, c, 0)
	if d.Action == DeletePod {
		d.Grace = blindGrace
	}
	if in.Report.Linger > 0 && (d.Action == PatchImage || c.reason == ReasonNode) {
		d.Drain.Hold = conf.Duration(quietHold)
	}
	d.Notes = []Note{{Reason: NoteStarted, Message: carried(c.reason, in.Pod.Node.Name)}}
	return d
}
