package rollout_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/rollout"
	"github.com/dipcast/dipcast/pbx/conf"
)

// journals is a class that carries calls, a process that writes them down and,
// where another image is wanted, one that reads that.
func journals(in *rollout.Input) {
	in.Policy, in.IdleWait = v1alpha1.UpdateCarry, 2*time.Minute
	in.Report.Journal = conf.JournalVersion
	if in.Pod.Image != in.Wanted.Image {
		passed(in)
		in.Trial.Journal = conf.JournalVersion
	}
}

// forgets is an image that reads no journal.
func forgets(in *rollout.Input) { in.Trial.Journal = 0 }

// older is a process that writes none.
func older(in *rollout.Input) { in.Report.Journal = 0 }

// lingers is a process that goes on until the next one takes its place.
func lingers(in *rollout.Input) { in.Report.Linger = conf.Duration(10 * time.Second) }

func drains(in *rollout.Input) { in.Policy = v1alpha1.UpdateDrain }

func unsaid(in *rollout.Input) { in.Policy = "" }

func noWait(in *rollout.Input) { in.IdleWait = 0 }

func callsAreCarried() []row {
	over := waits("Image", "pbx:2", 2*time.Minute)
	long := waits("Image", "pbx:2", 2*time.Hour)
	return []row{
		{"a short wait for none", healthy(image, calls, journals), "- | True WaitingForCalls after 2m0s | Image pbx:2 since -0s | UpdateWaits"},
		{"no policy is said", healthy(image, calls, journals, unsaid), "- | True WaitingForCalls after 2m0s | Image pbx:2 since -0s | UpdateWaits"},
		{"none in that time", healthy(image, granted, quiet, journals), "PatchImage | True Progressing after 10m0s | Image pbx:2 since -0s started -0s of pod/1 | UpdateStarted"},
		{"it is over", healthy(image, calls, journals, over), "TakeTurn | True WaitingForTurn | Image pbx:2 since -2m0s |"},
		{"over, no turn", healthy(image, calls, journals, over, queued), "- | True WaitingForTurn after 5m0s | Image pbx:2 since -2m0s |"},
		{"over, a turn", healthy(image, calls, journals, over, granted), "PatchImage | True Progressing after 10m0s | Image pbx:2 since -2m0s started -0s of pod/1 | UpdateStarted"},
		{"over, a call begins while the PBX is asked", healthy(image, journals, over, granted, refused), "PatchImage | True Progressing after 10m0s | Image pbx:2 since -2m0s started -0s of pod/1 | UpdateStarted"},
		{"no wait", healthy(image, calls, journals, noWait, granted), "PatchImage | True Progressing after 10m0s | Image pbx:2 since -0s started -0s of pod/1 | UpdateStarted"},
		{"immediate", healthy(image, calls, journals, immediate, granted), "PatchImage | True Progressing after 10m0s | Image pbx:2 since -0s started -0s of pod/1 | UpdateStarted"},
		{"the wait begins with the trial that passed", healthy(image, calls, journals, waits("Image", "pbx:2", time.Hour), func(in *rollout.Input) { in.Trial.Ended = now.Add(-time.Minute) }), "- | True WaitingForCalls after 1m0s | Image pbx:2 since -1h0m0s |"},
		{"template", healthy(template, calls, journals, granted, waits("Template", "t2", 2*time.Minute)), "DeletePod grace 30s | True Progressing after 10m0s | Template t2 since -2m0s started -0s of pod/1 | UpdateStarted"},
		{"document", healthy(document, calls, journals, granted, waits("Document", "g1", 2*time.Minute)), "DeletePod grace 30s | True Progressing after 10m0s | Document g1 since -2m0s started -0s of pod/1 | UpdateStarted"},
		{"template and image", healthy(template, image, calls, journals, granted, waits("Template", "t2", 2*time.Minute)), "DeletePod grace 30s | True Progressing after 10m0s | Template t2 since -2m0s started -0s of pod/1 | UpdateStarted"},
		{"done, the cache is behind", healthy(image, calls, journals, began("Image", "pbx:2", time.Second)), "PatchImage | True Progressing after 9m59s | Image pbx:2 since -1h0m1s started -1s of pod/1 | UpdateStarted"},
		{"done, the kubelet has not seen it", healthy(image, current, calls, journals, began("Image", "pbx:2", time.Second)), "- | True Progressing after 1m59s | Image pbx:2 since -1h0m1s started -1s of pod/1 |"},
		{"calls were to be ended, for an image that cannot take them", healthy(image, calls, drained, journals, began("Image", "pbx:2", 10*time.Second)), "PatchImage | True Progressing after 9m50s | Image pbx:2 since -1h0m10s started -10s of pod/1 | UpdateStarted"},

		{"policy Drain waits for their end", healthy(image, calls, journals, drains), "- | True WaitingForCalls after 2h0m0s | Image pbx:2 since -0s | UpdateWaits"},
		{"and ends none that can go on", healthy(image, calls, journals, drains, granted, long), "PatchImage | True Progressing after 10m0s | Image pbx:2 since -2h0m0s started -0s of pod/1 | UpdateStarted"},
		{"another node, not every phone follows", healthy(cordon, calls, journals, granted, waits("Node", "", time.Hour)), "- | True WaitingForCalls after 1h0m0s | Node  since -1h0m0s |"},
		{"another node, maxWait is over", healthy(cordon, calls, journals, granted, waits("Node", "", 2*time.Hour)), "DeletePod grace 30s | True Progressing after 10m0s | Node  since -2h0m0s started -0s of pod/1 | UpdateStarted"},

		{"the next image reads no journal", healthy(image, calls, journals, forgets, granted, over), "- | True WaitingForCalls after 1h58m0s | Image pbx:2 since -2m0s |"},
		{"and maxWait is over", healthy(image, calls, journals, forgets, granted, long), "ForceDrain {idle false end 20s hold 6m0s} | True Draining after 30s | Image pbx:2 since -2h0m0s started -0s of pod/1 | CallsCut"},
		{"the process writes none", healthy(image, calls, journals, older, granted, over), "- | True WaitingForCalls after 1h58m0s | Image pbx:2 since -2m0s |"},
		{"the process does not answer", healthy(image, journals, silent, granted, over), "- | True WaitingForCalls after 1h58m0s | Image pbx:2 since -2m0s |"},
		{"other ports", healthy(template, moved, calls, journals, granted, waits("Ports", "t2", 2*time.Minute)), "- | True WaitingForCalls after 1h58m0s | Ports t2 since -2m0s |"},
		{"other ports, maxWait is over", healthy(template, moved, calls, journals, granted, waits("Ports", "t2", 2*time.Hour)), "DeletePod grace 30s | True Progressing after 10m0s | Ports t2 since -2h0m0s started -0s of pod/1 | UpdateStarted"},
	}
}

func successorsOverlap() []row {
	cordoned := func(in *rollout.Input) { in.Pod.Node.Cordoned = true }
	stopped := func(in *rollout.Input) { in.Pod.Running = false }
	return []row{
		{"pod deleted by somebody", healthy(leaving, calls, lingers), "MakeRoom | False UpToDate | |"},
		{"and idle", healthy(leaving, lingers), "MakeRoom | False UpToDate | |"},
		{"for a template", healthy(template, leaving, calls, lingers, began("Template", "t2", time.Second)), "MakeRoom | True Progressing after 9m59s | Template t2 since -1h0m1s started -1s of pod/1 |"},
		{"its process has ended", healthy(leaving, lingers, stopped), "- | False UpToDate | |"},
		{"it was told to make room at once", healthy(leaving, lingers, drained), "- | False UpToDate | |"},
		{"it is not known to wait", healthy(leaving, unasked), "- | False UpToDate | |"},
		{"it does not answer", healthy(leaving, silent), "- | False UpToDate | |"},
		{"the next one goes elsewhere", healthy(leaving, lingers, cordoned), "- | False UpToDate | |"},
		{"nobody speaks for the node", healthy(leaving, lingers, node(rollout.Node{Name: "n1", NotReady: now.Add(-time.Second)})), "- | False UpToDate after 4m59s | |"},
		{"the node is gone", healthy(leaving, lingers, node(rollout.Node{Name: "n1", Gone: true})), "ForceDelete | False UpToDate | | PodForced"},

		{"in the same pod the next one begins when this one has ended", healthy(image, calls, journals, lingers, granted, waits("Image", "pbx:2", 2*time.Minute)), "PatchImage {idle false end 0s hold 1m0s} | True Progressing after 10m0s | Image pbx:2 since -2m0s started -0s of pod/1 | UpdateStarted"},
		{"on another node, too", healthy(cordon, calls, journals, lingers, granted, waits("Node", "", 2*time.Hour)), "DeletePod grace 30s {idle false end 0s hold 1m0s} | True Progressing after 10m0s | Node  since -2h0m0s started -0s of pod/1 | UpdateStarted"},
		{"not for a template", healthy(template, calls, journals, lingers, granted, waits("Template", "t2", 2*time.Minute)), "DeletePod grace 30s | True Progressing after 10m0s | Template t2 since -2m0s started -0s of pod/1 | UpdateStarted"},
	}
}

func TestTrialSaysWhatItsImageReads(t *testing.T) {
	for message, want := range map[string]int{
		`{"program":"1.1.0","journal":3}`: 3,
		`{"program":"1.1.0"}`:             0,
		``:                                0,
		`panic: no`:                       0,
		`{"journal":"many"}`:              0,
	} {
		pod := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{{
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: message}},
		}}}}
		if got := rollout.TrialOf(pod); got.State != rollout.TrialPassed || got.Journal != want {
			t.Errorf("%q: %+v, want journal %d", message, got, want)
		}
	}
}
