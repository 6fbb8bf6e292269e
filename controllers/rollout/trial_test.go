package rollout_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/rollout"
)

// trial sets what is known of a trial of pbx:2 on node n1.
func trial(edit func(*rollout.Trial)) edit {
	return func(in *rollout.Input) {
		in.Trial = &rollout.Trial{Image: "pbx:2", Node: "n1", Made: now.Add(-10 * time.Second)}
		edit(in.Trial)
	}
}

func runs(*rollout.Trial) {}

func noImage(t *rollout.Trial) {
	t.State, t.Reason, t.Cause, t.Cure = rollout.TrialFailed, v1alpha1.ReasonImagePull, "cannot be had", "check the name"
}

func old(t *rollout.Trial)      { noImage(t); t.Made = now.Add(-2 * time.Minute) }
func another1(t *rollout.Trial) { noImage(t); t.Image = "pbx:1b" }
func elsewhere(t *rollout.Trial) {
	t.State, t.Node = rollout.TrialPassed, "n9"
}
func ending(t *rollout.Trial)   { t.Terminating = true }
func begun(t *rollout.Trial)    { t.Running = now.Add(-10 * time.Second) }
func hangs(t *rollout.Trial)    { t.Running = now.Add(-time.Minute) }
func lately(t *rollout.Trial)   { t.State, t.Ended = rollout.TrialPassed, now.Add(-time.Hour) }
func finished(t *rollout.Trial) { t.State = rollout.TrialPassed }
func notTaken(t *rollout.Trial) {
	*t = rollout.Trial{State: rollout.TrialRefused, Reason: v1alpha1.ReasonPodRefused, Cause: "is not tried: exceeded quota", Cure: "allow it"}
}

// untold is before there was a trial.
func untold(in *rollout.Input) { in.Trial = &rollout.Trial{} }

// known is what the condition said of an image when it failed.
func known(image string) edit {
	return func(in *rollout.Input) {
		in.Told = metav1.Condition{Reason: v1alpha1.ReasonImagePull, Message: "The new image " + image + " cannot be had."}
	}
}

func trials() []row {
	return []row{
		{"none yet, calls are up", healthy(image, calls, untold), "StartTrial | True Progressing | Image pbx:2 since -0s | UpdateWaits"},
		{"none yet, idle", healthy(image, granted, quiet, untold), "StartTrial | True Progressing | Image pbx:2 since -0s | UpdateWaits"},
		{"none yet, immediate", healthy(image, immediate, granted, untold), "StartTrial | True Progressing | Image pbx:2 since -0s | UpdateWaits"},
		{"none yet, not asked yet", healthy(image, unasked, untold), "StartTrial | True Progressing | Image pbx:2 since -0s | UpdateWaits"},
		{"none yet, silent since long", healthy(image, silent, granted, untold, waits("Image", "pbx:2", 3*time.Hour)), "StartTrial | True Progressing | Image pbx:2 since -3h0m0s |"},
		{"template and image", healthy(template, image, untold), "StartTrial | True Progressing | Template t2 since -0s | UpdateWaits"},
		{"cordoned and image", healthy(cordon, image, untold), "StartTrial | True Progressing | Image pbx:2 since -0s | UpdateWaits"},
		{"it runs", healthy(image, granted, trial(runs)), "- | True Progressing after 2m0s | Image pbx:2 since -0s | UpdateWaits"},
		{"its program runs", healthy(image, trial(begun)), "- | True Progressing after 50s | Image pbx:2 since -0s | UpdateWaits"},
		{"its program does not end", healthy(image, trial(hangs)), "- | True Crashing after 1m50s | Image pbx:2 since -0s | UpdateWaits"},
		{"of another image", healthy(image, trial(another1)), "StartTrial | True Progressing | Image pbx:2 since -0s | UpdateWaits"},
		{"on another node", healthy(image, granted, trial(elsewhere)), "StartTrial | True Progressing | Image pbx:2 since -0s | UpdateWaits"},
		{"it is deleted by somebody", healthy(image, trial(ending)), "- | True Progressing after 1s | Image pbx:2 since -0s | UpdateWaits"},
		{"it fails", healthy(image, granted, trial(noImage)), "- | True ImagePull after 1m50s | Image pbx:2 since -0s | UpdateWaits"},
		{"it fails, with calls", healthy(image, calls, trial(noImage), waits("Image", "pbx:2", 3*time.Hour)), "- | True ImagePull after 1m50s | Image pbx:2 since -3h0m0s |"},
		{"it failed and is made again", healthy(image, trial(old), waits("Image", "pbx:2", time.Hour)), "StartTrial | True ImagePull | Image pbx:2 since -1h0m0s |"},
		{"made again, and nothing new is known", healthy(image, trial(runs), known("pbx:2"), waits("Image", "pbx:2", time.Hour)), "- | True ImagePull after 2m0s | Image pbx:2 since -1h0m0s |"},
		{"what is told is of another image", healthy(image, trial(runs), known("pbx:1b"), waits("Image", "pbx:2", time.Hour)), "- | True Progressing after 2m0s | Image pbx:2 since -1h0m0s |"},
		{"the API server refuses it", healthy(image, trial(notTaken), waits("Image", "pbx:2", time.Hour)), "- | True PodRefused after 2m0s | Image pbx:2 since -1h0m0s |"},
		{"calls have the whole time after it passed", healthy(image, calls, trial(lately), waits("Image", "pbx:2", 50*time.Hour)), "- | True WaitingForCalls after 1h0m0s | Image pbx:2 since -50h0m0s |"},
		{"immediate does not wait for that", healthy(image, calls, immediate, granted, trial(lately), waits("Image", "pbx:2", 50*time.Hour)), "ForceDrain {idle false end 1s hold 6m0s} | True Draining after 30s | Image pbx:2 since -50h0m0s started -0s of pod/1 | CallsCut"},
		{"another image while calls are ended", healthy(image, calls, drained, trial(another1), began("Image", "pbx:1b", time.Minute)), "Resume | True Progressing after 1s | Image pbx:2 since -1h1m0s |"},
		{"another image, the PBX takes calls again", healthy(image, calls, trial(another1), began("Image", "pbx:1b", time.Minute)), "StartTrial | True Progressing | Image pbx:2 since -1h1m0s |"},
		{"another image, not asked yet", healthy(image, unasked, trial(another1), began("Image", "pbx:1b", time.Minute)), "- | True Draining after 1s | Image pbx:2 since -1h1m0s started -1m0s of pod/1 |"},
		{"a document alone is not tried", healthy(document, granted, quiet), "DeletePod | True Progressing after 10m0s | Document g1 since -0s started -0s of pod/1 | UpdateStarted"},
		{"done", healthy(image, current, another, trial(finished), began("Image", "pbx:2", time.Minute)), "EndTrial | False UpToDate | | UpdateDone"},
		{"taken back", healthy(trial(finished), waits("Image", "pbx:2", time.Hour)), "EndTrial | False UpToDate | |"},
		{"taken back, deleted already", healthy(trial(ending)), "- | False UpToDate | |"},
		{"the pod went", healthy(image, noPod, trial(finished), waits("Image", "pbx:2", time.Hour)), "EndTrial | True Progressing after 10m0s | Image pbx:2 since -1h0m0s started -0s of  |"},
		{"the process crashed", healthy(image, crashing, trial(noImage)), "PatchImage | True Progressing | |"},
		{"nowhere to go", healthy(cordon, alone, image, template, trial(noImage)), "EndTrial | True Unschedulable after 1m0s | |"},
	}
}

func TestTrialOf(t *testing.T) {
	state := func(phase corev1.PodPhase, s corev1.ContainerState) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.AnnotationImage: "pbx:2"}, CreationTimestamp: ago(time.Minute)},
			Spec:       corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "pbx", Image: "mirror/pbx:2"}}},
			Status:     corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{State: s}}},
		}
	}
	waiting := func(reason, message string) *corev1.Pod {
		return state(corev1.PodPending, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}})
	}
	ended := func(code int32, message string) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: message, FinishedAt: ago(time.Second)}}
	}
	full := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "OutOfpods", Message: "used: 110"}}
	for _, tc := range []struct {
		name   string
		pod    *corev1.Pod
		state  rollout.TrialState
		reason string
		cause  string
	}{
		{"it begins", waiting("ContainerCreating", ""), rollout.TrialRuns, "", ""},
		{"it runs", state(corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(time.Second)}}), rollout.TrialRuns, "", ""},
		{"it passed", state(corev1.PodSucceeded, ended(0, "")), rollout.TrialPassed, "", ""},
		{"not the end of the pod yet", state(corev1.PodRunning, ended(0, "")), rollout.TrialRuns, "", ""},
		{"it failed", state(corev1.PodFailed, ended(1, "starting\npbx: document: version 99\n")), rollout.TrialFailed, v1alpha1.ReasonCrashing, "does not run: pbx: document: version 99"},
		{"it says nothing", state(corev1.PodFailed, ended(3, "")), rollout.TrialFailed, v1alpha1.ReasonCrashing, "does not run: it ended with code 3; see its log"},
		{"it says much", state(corev1.PodFailed, ended(3, strings.Repeat("x", 4000))), rollout.TrialFailed, v1alpha1.ReasonCrashing, "does not run: " + strings.Repeat("x", 197) + "..."},
		{"no name", waiting("InvalidImageName", "couldn't parse"), rollout.TrialFailed, v1alpha1.ReasonImagePull, "cannot be had: that is no name of an image"},
		{"no image", waiting("ErrImagePull", "registry.example/pbx:2: not found"), rollout.TrialFailed, v1alpha1.ReasonImagePull, "cannot be had: the registry does not have it"},
		{"no image for a while", waiting("ImagePullBackOff", `Back-off pulling image "pbx:2": ErrImagePull: registry.example/pbx:2: not found`), rollout.TrialFailed, v1alpha1.ReasonImagePull, "cannot be had: the registry does not have it"},
		{"no right", waiting("ErrImagePull", "pull access denied, repository does not exist or may require authorization"), rollout.TrialFailed, v1alpha1.ReasonImagePull, "cannot be had: the registry refuses it"},
		{"no registry", waiting("ErrImagePull", "dial tcp: i/o timeout"), rollout.TrialFailed, v1alpha1.ReasonImagePull, "cannot be had"},
		{"no program", waiting("CreateContainerError", "no command specified"), rollout.TrialFailed, v1alpha1.ReasonCrashing, "does not run: no command specified"},
		{"no room", full, rollout.TrialFailed, v1alpha1.ReasonUnschedulable, "is not tried: the node does not take the pod (OutOfpods)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := rollout.TrialOf(tc.pod)
			if got.State != tc.state || got.Reason != tc.reason || got.Cause != tc.cause || (got.Cure == "") != (tc.cause == "") {
				t.Errorf("got %+v", got)
			}
			if tc.pod != full && (got.Image != "pbx:2" || got.Node != "n1" || got.Made != ago(time.Minute).Time) {
				t.Errorf("it is of %s on %s, made %s", got.Image, got.Node, got.Made)
			}
			if holds := got.Holds(now); holds != (tc.state == rollout.TrialRuns && tc.pod != full) || got.Holds(now.Add(time.Minute)) {
				t.Errorf("it holds a place: %t", holds)
			}
		})
	}
	if rollout.TrialOf(nil) != nil {
		t.Error("a trial without a pod")
	}
}
