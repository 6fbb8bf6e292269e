package rollout_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/rollout"
	"github.com/dipcast/dipcast/pbx/conf"
)

var update = flag.Bool("update", false, "rewrite the golden file")

var now = time.Date(2030, 3, 4, 5, 6, 7, 0, time.UTC)

// ago is a time of status, that long before now.
func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// edit changes one thing of the input that a healthy, idle, current tenant has.
type edit func(*rollout.Input)

func healthy(edits ...edit) rollout.Input {
	in := rollout.Input{
		Now: now, Policy: v1alpha1.UpdateDrain, MaxWait: 2 * time.Hour, MaxAtOnce: 5, OtherNodes: 1,
		NodeDeadAfter: 5 * time.Minute,
		Wanted:        rollout.Wanted{Template: "t1", Image: "pbx:1", Generation: "g1"},
		Pod: &rollout.Pod{
			Template: "t1", Image: "pbx:1", Generation: "g1", Instance: "pod/1", Up: true, Running: true, Ready: true,
			Node: rollout.Node{Name: "n1"},
		},
		Report: &conf.Report{Version: conf.ReportVersion, Generation: "g1"},
	}
	for _, e := range edits {
		e(&in)
	}
	if p := in.Pod; p != nil && in.Wanted.Image != "" && p.Image != in.Wanted.Image && in.Trial == nil && p.Running && !p.Terminating {
		passed(&in)
	}
	return in
}

// passed is a trial of the wanted image that found nothing.
func passed(in *rollout.Input) {
	in.Trial = &rollout.Trial{Image: in.Wanted.Image, Node: in.Pod.Node.Name, State: rollout.TrialPassed}
}

func image(in *rollout.Input)     { in.Wanted.Image = "pbx:2" }
func template(in *rollout.Input)  { in.Wanted.Template = "t2" }
func moved(in *rollout.Input)     { in.MovedPorts = true }
func document(in *rollout.Input)  { in.Report.Restart = []string{"database"} }
func calls(in *rollout.Input)     { in.Report.ActiveCalls = 3 }
func drained(in *rollout.Input)   { in.Report.Draining = true }
func noPod(in *rollout.Input)     { in.Pod, in.Report = nil, nil }
func leaving(in *rollout.Input)   { in.Pod.Terminating, in.Pod.Ready = true, false }
func silent(in *rollout.Input)    { in.Report, in.Silent = nil, true }
func unasked(in *rollout.Input)   { in.Report, in.Silent = nil, false }
func granted(in *rollout.Input)   { in.Turn = rollout.TurnGranted }
func queued(in *rollout.Input)    { in.Turn = rollout.TurnBusy }
func halted(in *rollout.Input)    { in.Turn = rollout.TurnHalted }
func quiet(in *rollout.Input)     { in.Quiet = rollout.QuietGranted }
func refused(in *rollout.Input)   { in.Quiet = rollout.QuietRefused }
func immediate(in *rollout.Input) { in.Policy = v1alpha1.UpdateImmediate }
func cordon(in *rollout.Input)    { in.Pod.Node.Cordoned = true }
func alone(in *rollout.Input)     { in.OtherNodes = 0 }
func notReady(in *rollout.Input)  { in.Pod.Ready = false }

// pending is a pod whose process never came up.
func pending(in *rollout.Input) {
	in.Pod.Up, in.Pod.Running, in.Pod.Ready, in.Report, in.Silent = false, false, false, nil, false
	in.Pod.Node.Name = ""
}

// crashing is a process that does not stay up.
func crashing(in *rollout.Input) {
	in.Pod.Up, in.Pod.Running, in.Pod.Ready, in.Pod.Crashing, in.Report = false, false, false, true, nil
}

// reprobed is a process that runs and whose kubelet has begun anew: it counts
// as not started until it was probed again.
func reprobed(in *rollout.Input) { in.Pod.Up, in.Pod.Ready = false, false }

// current is a pod that is made of what image, template want.
func current(in *rollout.Input) {
	in.Pod.Image, in.Pod.Template = in.Wanted.Image, in.Wanted.Template
}

// another is a process that was not there when the update was begun.
func another(in *rollout.Input) { in.Pod.Instance = "pod/2" }

// node sets what is known of the pod's node.
func node(n rollout.Node) edit { return func(in *rollout.Input) { in.Pod.Node = n } }

// waits is an update that was seen that long ago.
func waits(reason, target string, d time.Duration) edit {
	return func(in *rollout.Input) {
		in.Update = &v1alpha1.TenantUpdate{Reason: reason, Target: target, Since: ago(d)}
	}
}

// began is an update whose process, pod/1, was told to go that long ago.
func began(reason, target string, d time.Duration) edit {
	return func(in *rollout.Input) {
		at := ago(d)
		in.Update = &v1alpha1.TenantUpdate{
			Reason: reason, Target: target, Since: ago(d + time.Hour), Started: true, StartedAt: &at, Replaces: "pod/1",
		}
	}
}

// show writes a decision as one line: action, grace, drain, condition, when
// again, update, notes.
func show(d rollout.Decision) string {
	var b strings.Builder
	action := d.Action
	if action == rollout.None {
		action = "-"
	}
	b.WriteString(string(action))
	if d.Grace > 0 {
		fmt.Fprintf(&b, " grace %s", d.Grace)
	}
	if d.Drain != (conf.Drain{}) {
		fmt.Fprintf(&b, " {idle %t end %s hold %s}", d.Drain.IfIdle, d.Drain.EndCallsAfter, d.Drain.Hold)
	}
	fmt.Fprintf(&b, " | %s %s", d.Condition.Status, d.Condition.Reason)
	if d.After > 0 {
		fmt.Fprintf(&b, " after %s", d.After)
	}
	b.WriteString(" |")
	if u := d.Update; u != nil {
		fmt.Fprintf(&b, " %s %s since -%s", u.Reason, u.Target, now.Sub(u.Since.Time))
		if u.Started {
			fmt.Fprintf(&b, " started -%s of %s", now.Sub(u.StartedAt.Time), u.Replaces)
		}
	}
	b.WriteString(" |")
	for _, n := range d.Notes {
		b.WriteString(" " + n.Reason)
	}
	return b.String()
}

type row struct {
	name string
	in   rollout.Input
	want string
}

func nothingWaits() []row {
	return []row{
		{"made of what is wanted", healthy(), "- | False UpToDate | |"},
		{"and busy", healthy(calls), "- | False UpToDate | |"},
		{"and silent", healthy(silent), "- | False UpToDate | |"},
		{"drained by a person", healthy(drained), "- | False UpToDate | |"},
		{"no pod yet", healthy(noPod), "- | False UpToDate | |"},
		{"pending", healthy(pending), "- | False UpToDate | |"},
		{"crashing for a reason of its own", healthy(crashing), "- | False UpToDate | |"},
		{"pod deleted by somebody", healthy(leaving), "- | False UpToDate | |"},
		{"wanted is not known yet", healthy(func(in *rollout.Input) { in.Wanted = rollout.Wanted{} }), "- | False UpToDate | |"},
		{"restart of a document that is not the newest", healthy(document, func(in *rollout.Input) { in.Wanted.Generation = "g2" }), "- | False UpToDate | |"},
		{"ports moved, pod on the new ones", healthy(moved), "- | False UpToDate | |"},
		{"cordoned, nowhere to go", healthy(cordon, alone), "- | True Unschedulable after 1m0s | |"},
		{"cordoned, crashing", healthy(crashing, cordon, alone), "- | True Unschedulable after 1m0s | |"},
	}
}

func callsAreUp() []row {
	return []row{
		{"image", healthy(image, calls), "- | True WaitingForCalls after 2h0m0s | Image pbx:2 since -0s | UpdateWaits"},
		{"image, seen before", healthy(image, calls, waits("Image", "pbx:2", time.Hour)), "- | True WaitingForCalls after 1h0m0s | Image pbx:2 since -1h0m0s |"},
		{"another image meanwhile keeps the place", healthy(image, calls, waits("Image", "pbx:1b", time.Hour)), "- | True WaitingForCalls after 1h0m0s | Image pbx:2 since -1h0m0s |"},
		{"template", healthy(template, calls), "- | True WaitingForCalls after 2h0m0s | Template t2 since -0s | UpdateWaits"},
		{"template and image", healthy(template, image, calls), "- | True WaitingForCalls after 2h0m0s | Template t2 since -0s | UpdateWaits"},
		{"ports", healthy(template, moved, calls), "- | True WaitingForCalls after 2h0m0s | Ports t2 since -0s | UpdateWaits"},
		{"document", healthy(document, calls), "- | True WaitingForCalls after 2h0m0s | Document g1 since -0s | UpdateWaits"},
		{"document, and nothing newer could be made", healthy(document, calls, func(in *rollout.Input) { in.Wanted.Generation = "" }), "- | True WaitingForCalls after 2h0m0s | Document  since -0s | UpdateWaits"},
		{"image and document", healthy(image, document, calls), "- | True WaitingForCalls after 2h0m0s | Image pbx:2 since -0s | UpdateWaits"},
		{"cordoned", healthy(cordon, calls), "- | True WaitingForCalls after 2h0m0s | Node  since -0s | UpdateWaits"},
		{"not ready, but with calls", healthy(image, calls, notReady), "- | True WaitingForCalls after 2h0m0s | Image pbx:2 since -0s | UpdateWaits"},
		{"drained by a person, calls go on", healthy(image, calls, drained), "- | True WaitingForCalls after 2h0m0s | Image pbx:2 since -0s | UpdateWaits"},
		{"a call begins while the PBX is asked", healthy(image, granted, refused), "- | True WaitingForCalls after 2s | Image pbx:2 since -0s | UpdateWaits"},
		{"shortly before maxWait", healthy(image, calls, waits("Image", "pbx:2", 2*time.Hour-time.Second)), "- | True WaitingForCalls after 1s | Image pbx:2 since -1h59m59s |"},
		{"no maxWait given", healthy(image, calls, func(in *rollout.Input) { in.MaxWait = 0 }), "- | True WaitingForCalls after 2h0m0s | Image pbx:2 since -0s | UpdateWaits"},
		{"maxWait is over", healthy(image, calls, waits("Image", "pbx:2", 2*time.Hour)), "TakeTurn | True WaitingForTurn | Image pbx:2 since -2h0m0s |"},
		{"and there is no turn", healthy(image, calls, queued, waits("Image", "pbx:2", 3*time.Hour)), "- | True WaitingForTurn after 5m0s | Image pbx:2 since -3h0m0s |"},
		{"and there is a turn", healthy(image, calls, granted, waits("Image", "pbx:2", 2*time.Hour)), "ForceDrain {idle false end 20s hold 6m0s} | True Draining after 30s | Image pbx:2 since -2h0m0s started -0s of pod/1 | CallsCut"},
		{"a call begins after maxWait while the PBX is asked", healthy(image, granted, refused, waits("Image", "pbx:2", 2*time.Hour)), "ForceDrain {idle false end 20s hold 6m0s} | True Draining after 30s | Image pbx:2 since -2h0m0s started -0s of pod/1 | CallsCut"},
		{"immediate", healthy(image, calls, immediate), "TakeTurn | True WaitingForTurn | Image pbx:2 since -0s |"},
		{"immediate, with a turn", healthy(image, calls, immediate, granted), "ForceDrain {idle false end 1s hold 6m0s} | True Draining after 30s | Image pbx:2 since -0s started -0s of pod/1 | CallsCut"},
	}
}

func noCallIsUp() []row {
	return []row{
		{"image", healthy(image), "TakeTurn | True WaitingForTurn | Image pbx:2 since -0s |"},
		{"no turn", healthy(image, queued), "- | True WaitingForTurn after 5m0s | Image pbx:2 since -0s | UpdateWaits"},
		{"no turn, seen before", healthy(image, queued, waits("Image", "pbx:2", time.Hour)), "- | True WaitingForTurn after 5m0s | Image pbx:2 since -1h0m0s |"},
		{"halted", healthy(image, halted), "- | True WaitingForTurn after 5m0s | Image pbx:2 since -0s | UpdateWaits"},
		{"a turn", healthy(image, granted), "Quiesce {idle true end 0s hold 1m0s} | True Draining | Image pbx:2 since -0s |"},
		{"drained by a person", healthy(image, granted, drained), "Quiesce {idle true end 0s hold 1m0s} | True Draining | Image pbx:2 since -0s |"},
		{"image, quiet", healthy(image, granted, quiet), "PatchImage | True Progressing after 10m0s | Image pbx:2 since -0s started -0s of pod/1 | UpdateStarted"},
		{"image and document, quiet", healthy(image, document, granted, quiet), "PatchImage | True Progressing after 10m0s | Image pbx:2 since -0s started -0s of pod/1 | UpdateStarted"},
		{"template, quiet", healthy(template, granted, quiet), "DeletePod | True Progressing after 10m0s | Template t2 since -0s started -0s of pod/1 | UpdateStarted"},
		{"template and image, quiet", healthy(template, image, granted, quiet), "DeletePod | True Progressing after 10m0s | Template t2 since -0s started -0s of pod/1 | UpdateStarted"},
		{"ports, quiet", healthy(template, moved, granted, quiet), "DeletePod | True Progressing after 10m0s | Ports t2 since -0s started -0s of pod/1 | UpdateStarted"},
		{"document, quiet", healthy(document, granted, quiet), "DeletePod | True Progressing after 10m0s | Document g1 since -0s started -0s of pod/1 | UpdateStarted"},
		{"cordoned, quiet", healthy(cordon, granted, quiet), "DeletePod | True Progressing after 10m0s | Node  since -0s started -0s of pod/1 | UpdateStarted"},
		{"cordoned with another image, quiet", healthy(cordon, image, granted, quiet), "DeletePod | True Progressing after 10m0s | Image pbx:2 since -0s started -0s of pod/1 | UpdateStarted"},
		{"cordoned, nowhere to go, image", healthy(cordon, alone, image, granted, quiet), "PatchImage | True Progressing after 10m0s | Image pbx:2 since -0s started -0s of pod/1 | UpdateStarted"},
		{"cordoned, nowhere to go, template", healthy(cordon, alone, template, granted, quiet), "- | True Unschedulable after 1m0s | |"},
		{"cordoned, nowhere to go, document", healthy(cordon, alone, document), "- | True Unschedulable after 1m0s | |"},
		{"cordoned, nowhere to go any more", healthy(cordon, alone, waits("Node", "", time.Hour)), "- | True Unschedulable after 1m0s | |"},
		{"immediate, quiet", healthy(template, immediate, granted, quiet), "DeletePod | True Progressing after 10m0s | Template t2 since -0s started -0s of pod/1 | UpdateStarted"},
		{"waited since, idle now", healthy(image, granted, quiet, waits("Image", "pbx:2", time.Hour)), "PatchImage | True Progressing after 10m0s | Image pbx:2 since -1h0m0s started -0s of pod/1 | UpdateStarted"},
		{"maxWait is over, idle now", healthy(image, granted, waits("Image", "pbx:2", 3*time.Hour)), "Quiesce {idle true end 0s hold 1m0s} | True Draining | Image pbx:2 since -3h0m0s |"},
	}
}

func noAnswer() []row {
	return []row{
		{"not asked yet", healthy(image, unasked), "- | True WaitingForCalls after 1s | Image pbx:2 since -0s | UpdateWaits"},
		{"not asked yet, maxWait is over", healthy(image, unasked, waits("Image", "pbx:2", 3*time.Hour)), "- | True WaitingForCalls after 1s | Image pbx:2 since -3h0m0s |"},
		{"not asked yet, immediate", healthy(image, unasked, immediate), "- | True WaitingForCalls after 1s | Image pbx:2 since -0s | UpdateWaits"},
		{"silent", healthy(image, silent), "- | True WaitingForCalls after 2h0m0s | Image pbx:2 since -0s | UpdateWaits"},
		{"silent since", healthy(image, silent, waits("Image", "pbx:2", time.Hour)), "- | True WaitingForCalls after 1h0m0s | Image pbx:2 since -1h0m0s |"},
		{"silent, maxWait is over", healthy(image, silent, waits("Image", "pbx:2", 2*time.Hour)), "TakeTurn | True WaitingForTurn | Image pbx:2 since -2h0m0s |"},
		{"silent and not ready, maxWait is over, a turn", healthy(image, silent, notReady, granted, waits("Image", "pbx:2", 2*time.Hour)), "DeletePod grace 30s | True Progressing after 10m0s | Image pbx:2 since -2h0m0s started -0s of pod/1 | UpdateStarted CallsCut"},
		{"silent to the operator alone, maxWait is over, a turn", healthy(image, silent, granted, waits("Image", "pbx:2", 2*time.Hour)), "DeletePod grace 5m0s | True Progressing after 10m0s | Image pbx:2 since -2h0m0s started -0s of pod/1 | UpdateStarted CallsCut"},
		{"silent, immediate, a turn", healthy(image, silent, immediate, granted), "DeletePod grace 30s | True Progressing after 10m0s | Image pbx:2 since -0s started -0s of pod/1 | UpdateStarted CallsCut"},
		{"silent and cordoned", healthy(cordon, silent), "- | True WaitingForCalls after 2h0m0s | Node  since -0s | UpdateWaits"},
	}
}

func neverUp() []row {
	return []row{
		{"pending, image", healthy(pending, image), "PatchImage | True Progressing | |"},
		{"pending, template", healthy(pending, template), "DeletePod grace 30s | True Progressing | |"},
		{"pending, ports", healthy(pending, template, moved), "DeletePod grace 30s | True Progressing | |"},
		{"crashing, image", healthy(crashing, image), "PatchImage | True Progressing | |"},
		{"crashing, template", healthy(crashing, template), "DeletePod grace 30s | True Progressing | |"},
		{"crashing, another document", healthy(crashing, func(in *rollout.Input) { in.Wanted.Generation = "g2" }), "DeletePod grace 30s | True Progressing | |"},
		{"crashing, document not told to it yet", healthy(crashing, func(in *rollout.Input) { in.Pod.Generation = "" }), "- | False UpToDate | |"},
		{"crashing and cordoned", healthy(crashing, cordon), "DeletePod grace 30s | True Progressing | |"},
		{"crashed while an update waited", healthy(crashing, image, waits("Image", "pbx:2", time.Hour)), "PatchImage | True Progressing | Image pbx:2 since -1h0m0s started -0s of pod/1 | UpdateStarted"},
		{"starting and silent, template", healthy(reprobed, silent, template), "DeletePod grace 30s | True Progressing | |"},
		{"starting, not asked yet", healthy(reprobed, unasked, image), "- | True WaitingForCalls after 1s | Image pbx:2 since -0s | UpdateWaits"},
		{"the kubelet began anew, calls are up", healthy(reprobed, calls, template), "- | True WaitingForCalls after 2h0m0s | Template t2 since -0s | UpdateWaits"},
		{"the kubelet began anew, calls were waited for", healthy(reprobed, calls, image, waits("Image", "pbx:2", time.Hour)), "- | True WaitingForCalls after 1h0m0s | Image pbx:2 since -1h0m0s |"},
		{"crashing, cordoned, nowhere to go, template", healthy(crashing, cordon, alone, template), "DeletePod grace 30s | True Progressing | |"},
	}
}

func underWay() []row {
	return []row{
		{"image patched, the kubelet has not seen it", healthy(image, current, began("Image", "pbx:2", time.Second)), "- | True Progressing after 1m59s | Image pbx:2 since -1h0m1s started -1s of pod/1 |"},
		{"image patched, the old process is drained", healthy(image, current, drained, began("Image", "pbx:2", time.Second)), "- | True Progressing after 1m59s | Image pbx:2 since -1h0m1s started -1s of pod/1 |"},
		{"image patched, nothing was to restart", healthy(image, current, began("Image", "pbx:2", 2*time.Minute)), "- | False UpToDate | | UpdateDone"},
		{"image patched, process not ready", healthy(image, current, another, notReady, silent, began("Image", "pbx:2", time.Minute)), "- | True Progressing after 9m0s | Image pbx:2 since -1h1m0s started -1m0s of pod/1 |"},
		{"image patched, cache behind, process asked", healthy(image, granted, began("Image", "pbx:2", time.Second)), "Quiesce {idle true end 0s hold 1m0s} | True Draining | Image pbx:2 since -1h0m1s started -1s of pod/1 |"},
		{"image patched, cache behind, process away", healthy(image, silent, began("Image", "pbx:2", time.Second)), "- | True Draining after 29s | Image pbx:2 since -1h0m1s started -1s of pod/1 |"},
		{"new process ready", healthy(image, current, another, began("Image", "pbx:2", time.Minute)), "- | False UpToDate | | UpdateDone"},
		{"pod ends", healthy(template, leaving, silent, began("Template", "t2", time.Second)), "- | True Progressing after 9m59s | Template t2 since -1h0m1s started -1s of pod/1 |"},
		{"pod is gone", healthy(template, noPod, began("Template", "t2", time.Second)), "- | True Progressing after 9m59s | Template t2 since -1h0m1s started -1s of pod/1 |"},
		{"new pod starts", healthy(template, current, another, pending, began("Template", "t2", 5*time.Second)), "- | True Progressing after 9m55s | Template t2 since -1h0m5s started -5s of pod/1 |"},
		{"new pod ready", healthy(template, current, another, began("Template", "t2", time.Minute)), "- | False UpToDate | | UpdateDone"},
		{"new pod on another node", healthy(another, node(rollout.Node{Name: "n2"}), began("Node", "", time.Minute)), "- | False UpToDate | | UpdateDone"},
		{"document in force in the new pod", healthy(another, began("Document", "g1", time.Minute)), "- | False UpToDate | | UpdateDone"},
		{"new pod does not get ready", healthy(image, current, another, crashing, began("Image", "pbx:2", 10*time.Minute)), "- | True Progressing | Image pbx:2 since -1h10m0s started -10m0s of pod/1 |"},
		{"pod does not come back", healthy(template, noPod, began("Template", "t2", time.Hour)), "- | True Progressing | Template t2 since -2h0m0s started -1h0m0s of pod/1 |"},
		{"new pod of the old template, not up", healthy(template, another, pending, began("Template", "t2", time.Second)), "DeletePod grace 30s | True Progressing | Template t2 since -1h0m1s started -1s of pod/2 |"},
		{"a bad image is put right", healthy(image, another, crashing, func(in *rollout.Input) { in.Pod.Image = "pbx:bad" }, began("Image", "pbx:bad", time.Hour)), "PatchImage | True Progressing | Image pbx:2 since -2h0m0s started -1h0m0s of pod/2 |"},
		{"a bad image is taken back", healthy(another, crashing, func(in *rollout.Input) { in.Pod.Image = "pbx:bad" }, began("Image", "pbx:bad", time.Hour)), "PatchImage | True Progressing | Image pbx:1 since -2h0m0s started -1h0m0s of pod/2 |"},
		{"the old image runs again", healthy(func(in *rollout.Input) { in.Pod.Instance = "pod/3" }, began("Image", "pbx:1", time.Hour)), "- | False UpToDate | | UpdateDone"},
		{"another change after the process came up", healthy(image, calls, another, began("Image", "pbx:1", time.Minute)), "- | True WaitingForCalls after 2h0m0s | Image pbx:2 since -0s | UpdateWaits"},
		{"pod deleted by somebody while an update waits", healthy(template, leaving, waits("Template", "t2", time.Hour)), "- | True Progressing after 10m0s | Template t2 since -1h0m0s started -0s of pod/1 |"},
		{"pod gone while an update waits", healthy(template, noPod, waits("Template", "t2", time.Hour)), "- | True Progressing after 10m0s | Template t2 since -1h0m0s started -0s of  |"},
		{"pod replaced by somebody before that was seen", healthy(template, current, another, waits("Template", "t2", time.Hour)), "- | False UpToDate | |"},
		{"status written by hand without a time", healthy(image, current, func(in *rollout.Input) {
			in.Update = &v1alpha1.TenantUpdate{Reason: "Image", Target: "pbx:2", Since: ago(time.Hour), Started: true, Replaces: "pod/1"}
		}), "- | False UpToDate | | UpdateDone"},
	}
}

func callsAreEnded() []row {
	forced := func(d time.Duration) edit { return began("Image", "pbx:2", d) }
	return []row{
		{"calls have time left", healthy(image, calls, drained, forced(10*time.Second)), "- | True Draining after 4m50s | Image pbx:2 since -1h0m10s started -10s of pod/1 |"},
		{"the last call ended", healthy(image, drained, forced(10*time.Second)), "Quiesce {idle true end 0s hold 1m0s} | True Draining | Image pbx:2 since -1h0m10s started -10s of pod/1 |"},
		{"and the PBX agrees", healthy(image, drained, quiet, forced(10*time.Second)), "PatchImage | True Progressing after 9m50s | Image pbx:2 since -1h0m10s started -10s of pod/1 | UpdateStarted"},
		{"and it does not", healthy(image, drained, refused, forced(10*time.Second)), "- | True Draining after 2s | Image pbx:2 since -1h0m10s started -10s of pod/1 |"},
		{"emergency calls go on", healthy(image, calls, drained, forced(time.Minute)), "- | True Draining after 4m0s | Image pbx:2 since -1h1m0s started -1m0s of pod/1 |"},
		{"emergency calls may end in a pod that is told to go", healthy(image, calls, drained, forced(5*time.Minute)), "DeletePod | True Progressing after 5m0s | Image pbx:2 since -1h5m0s started -5m0s of pod/1 | UpdateStarted"},
		{"the PBX takes calls again by itself", healthy(image, calls, forced(10*time.Second)), "ForceDrain {idle false end 20s hold 6m0s} | True Draining after 30s | Image pbx:2 since -1h0m10s started -10s of pod/1 |"},
		{"silent for a moment", healthy(image, silent, forced(10*time.Second)), "- | True Draining after 20s | Image pbx:2 since -1h0m10s started -10s of pod/1 |"},
		{"silent for longer", healthy(image, silent, forced(time.Minute)), "DeletePod grace 5m0s | True Progressing after 9m0s | Image pbx:2 since -1h1m0s started -1m0s of pod/1 | UpdateStarted"},
		{"another operator takes over, not asked yet", healthy(image, unasked, forced(time.Minute)), "- | True Draining after 1s | Image pbx:2 since -1h1m0s started -1m0s of pod/1 |"},
		{"taken back", healthy(calls, drained, forced(10*time.Second)), "Resume | False UpToDate | |"},
		{"taken back, not asked yet", healthy(unasked, forced(10*time.Second)), "- | True Draining after 1s | Image pbx:2 since -1h0m10s started -10s of pod/1 |"},
		{"taken back, the PBX takes calls already", healthy(calls, forced(10*time.Second)), "- | False UpToDate | |"},
		{"taken back, silent", healthy(silent, forced(10*time.Second)), "- | False UpToDate | |"},
		{"template taken back", healthy(drained, began("Template", "t2", 10*time.Second)), "Resume | False UpToDate | |"},
		{"document taken back", healthy(drained, began("Document", "g0", 10*time.Second)), "Resume | False UpToDate | |"},
		{"uncordoned", healthy(drained, began("Node", "", 10*time.Second)), "Resume | False UpToDate | |"},
		{"the other node went away", healthy(drained, cordon, alone, began("Node", "", 10*time.Second)), "Resume | True Unschedulable after 1m0s | |"},
		{"image taken back while it waits", healthy(calls, waits("Image", "pbx:2", time.Hour)), "- | False UpToDate | |"},
	}
}

func deadNodes() []row {
	gone := rollout.Node{Name: "n1", Gone: true}
	off := rollout.Node{Name: "n1", OutOfService: true, NotReady: now.Add(-time.Minute)}
	away := func(d time.Duration) rollout.Node { return rollout.Node{Name: "n1", NotReady: now.Add(-d)} }
	never := func(in *rollout.Input) { in.NodeDeadAfter = 0 }
	return []row{
		{"pod ends, node gone", healthy(leaving, silent, node(gone)), "ForceDelete | False UpToDate | | PodForced"},
		{"pod ends, node out of service", healthy(leaving, silent, node(off)), "ForceDelete | False UpToDate | | PodForced"},
		{"pod ends, node not ready for long", healthy(leaving, silent, node(away(5*time.Minute))), "ForceDelete | False UpToDate | | PodForced"},
		{"pod ends, node not ready for a while", healthy(leaving, silent, node(away(time.Minute))), "- | False UpToDate after 4m0s | |"},
		{"pod ends, node not ready, never guess", healthy(leaving, silent, never, node(away(time.Hour))), "- | False UpToDate | |"},
		{"never guess, but the administrator says so", healthy(leaving, silent, never, node(off)), "ForceDelete | False UpToDate | | PodForced"},
		{"pod ends on a node that is well", healthy(leaving), "- | False UpToDate | |"},
		{"pod ends that was never scheduled", healthy(pending, leaving), "- | False UpToDate | |"},
		{"pod was not told to go, node gone", healthy(silent, node(gone)), "- | False UpToDate | |"},
		{"pod was not told to go, node not ready for long", healthy(silent, node(away(time.Hour))), "- | False UpToDate | |"},
		{"under way, node gone", healthy(leaving, silent, node(gone), began("Node", "", time.Minute)), "ForceDelete | True Progressing after 9m0s | Node  since -1h1m0s started -1m0s of pod/1 | PodForced"},
		{"under way, node not ready for a while", healthy(leaving, silent, node(away(time.Minute)), began("Node", "", time.Minute)), "- | True Progressing after 4m0s | Node  since -1h1m0s started -1m0s of pod/1 |"},
	}
}

// table is every situation, by group.
func table() map[string][]row {
	return map[string][]row{
		"nothing waits": nothingWaits(), "calls are up": callsAreUp(), "no call is up": noCallIsUp(), "no answer": noAnswer(),
		"never up": neverUp(), "under way": underWay(), "calls are ended": callsAreEnded(), "dead nodes": deadNodes(), "trials": trials(),
		"calls are carried":  callsAreCarried(),
		"successors overlap": successorsOverlap(),
	}
}

func TestDecide(t *testing.T) {
	for group, rows := range table() {
		for _, tc := range rows {
			t.Run(group+"/"+tc.name, func(t *testing.T) {
				d := rollout.Decide(tc.in)
				if got := show(d); got != tc.want {
					t.Errorf("decision:\n got %s\nwant %s", got, tc.want)
				}
				if again := rollout.Decide(tc.in); !cmp.Equal(d, again) {
					t.Errorf("asked again: %s", cmp.Diff(d, again))
				}
				checkWords(t, d)
			})
		}
	}
}

// TestTexts shows every text that people read, in a file.
func TestTexts(t *testing.T) {
	seen := map[string]bool{}
	for _, rows := range table() {
		for _, tc := range rows {
			d := rollout.Decide(tc.in)
			seen[d.Condition.Reason+": "+d.Condition.Message] = true
			for _, n := range d.Notes {
				seen["event "+n.Reason+": "+n.Message] = true
			}
		}
	}
	got := []byte(strings.Join(slices.Sorted(maps.Keys(seen)), "\n") + "\n")
	if *update {
		if err := os.WriteFile("testdata/texts.txt", got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/texts.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("testdata/texts.txt (-want +got), rewrite with -update:\n%s", diff)
	}
}

// checkWords holds what every text of a decision keeps to.
func checkWords(t *testing.T, d rollout.Decision) {
	t.Helper()
	if d.Condition.Type != v1alpha1.ConditionUpdating || d.Condition.Status == "" || d.Condition.Reason == "" {
		t.Errorf("condition %+v is not whole", d.Condition)
	}
	texts := []string{d.Condition.Message}
	for _, n := range d.Notes {
		texts = append(texts, n.Message)
	}
	for _, text := range texts {
		if text == "" || len(text) > 600 || !strings.HasSuffix(text, ".") || strings.Contains(text, "0m0s") || strings.Contains(strings.ReplaceAll(text, "image pbx:2", ""), "pbx:") {
			t.Errorf("text %q", text)
		}
	}
}

// TestStored proves that what is stored in status gives the decision that was
// made from memory: whoever takes over goes on.
func TestStored(t *testing.T) {
	in := healthy(image, calls, granted, waits("Image", "pbx:2", 2*time.Hour))
	d := rollout.Decide(in)
	in.Update, in.Report.Draining, in.Turn = d.Update, true, rollout.TurnUnasked
	in.Now = now.Add(time.Second + 300*time.Millisecond)
	next := rollout.Decide(in)
	if next.Action != rollout.None || !cmp.Equal(next.Update, d.Update) {
		t.Errorf("went on with %s and %+v", show(next), next.Update)
	}
	if in.Update.Since.Nanosecond() != 0 || in.Update.StartedAt.Nanosecond() != 0 {
		t.Errorf("times are finer than the API server keeps them: %v", in.Update)
	}
}

// TestUnchangedInput: a decision shares nothing with what it was made of.
func TestUnchangedInput(t *testing.T) {
	in := healthy(image, quiet, granted, waits("Image", "old", time.Hour))
	before := in.Update.DeepCopy()
	rollout.Decide(in)
	if diff := cmp.Diff(before, in.Update); diff != "" {
		t.Errorf("the stored update was changed: %s", diff)
	}
}
