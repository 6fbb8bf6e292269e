package podstate

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/verdict"
)

// Input is what is known of a tenant's pod.
type Input struct {
	Pod *corev1.Pod // nil: there is none
	// Refusals are messages of events that tell why no pod could be made.
	Refusals []string
	Claim    *corev1.PersistentVolumeClaim // nil: there is none
	Class    *v1alpha1.PBXClass            // nil: not known
	Slot     int
	// SharedOn are the nodes where the slot's ports are in use by others.
	SharedOn []string
	// Dead are the nodes of the class that are not ready, by name.
	Dead []string
	// Draining tells that the PBX refuses new calls on purpose, which makes it
	// not ready.
	Draining bool
}

// Of returns the condition PodRunning.
func Of(in Input) metav1.Condition {
	status, reason, message := judge(in)
	return metav1.Condition{
		Type: v1alpha1.ConditionPodRunning, Status: status, Reason: reason, Message: verdict.Short(message, 600),
	}
}

// judge asks the checks in the order in which a pod comes up.
func judge(in Input) (metav1.ConditionStatus, string, string) {
	if in.Pod == nil {
		return absent(in)
	}
	if slices.Contains(in.Dead, in.Pod.Spec.NodeName) && !isReady(in.Pod) {
		return metav1.ConditionFalse, v1alpha1.ReasonUnreachable, "node " + in.Pod.Spec.NodeName +
			" is not ready, and the pod is on it: bring the node back; if it is off for good, taint it " +
			"node.kubernetes.io/out-of-service=:NoExecute, and the pod moves"
	}
	if in.Pod.DeletionTimestamp != nil {
		return metav1.ConditionFalse, v1alpha1.ReasonProgressing, "the pod ends; the calls that are up may end first"
	}
	if message := unscheduled(in); message != "" {
		return metav1.ConditionFalse, v1alpha1.ReasonUnschedulable, message
	}
	for i := range in.Pod.Status.ContainerStatuses {
		if reason, message := broken(&in.Pod.Status.ContainerStatuses[i]); reason != "" {
			return metav1.ConditionFalse, reason, message
		}
	}
	if in.Pod.Status.Phase == corev1.PodFailed {
		return metav1.ConditionFalse, v1alpha1.ReasonCrashing, strings.TrimSuffix(
			"the pod has failed: "+in.Pod.Status.Reason+": "+in.Pod.Status.Message, ": ")
	}
	if isReady(in.Pod) {
		return metav1.ConditionTrue, v1alpha1.ReasonRunning, "the pod runs on node " + in.Pod.Spec.NodeName
	}
	if in.Draining && started(in.Pod) {
		return metav1.ConditionTrue, v1alpha1.ReasonDraining, "the pod runs on node " + in.Pod.Spec.NodeName + " and takes no new calls"
	}
	if in.Pod.Spec.NodeName == "" {
		return metav1.ConditionFalse, v1alpha1.ReasonProgressing, "the pod waits for a node"
	}
	return metav1.ConditionFalse, v1alpha1.ReasonProgressing, "the pod starts on node " + in.Pod.Spec.NodeName
}

func absent(in Input) (metav1.ConditionStatus, string, string) {
	for _, refusal := range in.Refusals {
		if strings.Contains(refusal, "violates PodSecurity") {
			return metav1.ConditionFalse, v1alpha1.ReasonPodRefused, "the namespace's pod security level forbids host networking, which a PBX needs: " +
				"label the namespace pod-security.kubernetes.io/enforce=privileged"
		}
	}
	if len(in.Refusals) > 0 {
		return metav1.ConditionFalse, v1alpha1.ReasonPodRefused, "the API server refuses the pod: " + in.Refusals[0]
	}
	return metav1.ConditionFalse, v1alpha1.ReasonProgressing, "the pod is not made yet"
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func started(pod *corev1.Pod) bool {
	return len(pod.Status.ContainerStatuses) > 0 && !slices.ContainsFunc(pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		return c.State.Running == nil
	})
}

// broken returns what keeps a container from running; an empty reason means
// nothing that is known.
func broken(c *corev1.ContainerStatus) (reason, message string) {
	waiting := c.State.Waiting
	if waiting == nil {
		return "", ""
	}
	switch {
	case NoImage(waiting.Reason):
		return v1alpha1.ReasonImagePull, fmt.Sprintf(
			"image %s cannot be had (%s): check the name, that the nodes reach the registry, and the image pull secrets", c.Image, waiting.Reason)
	case waiting.Reason == "CrashLoopBackOff":
		return v1alpha1.ReasonCrashing, "the PBX does not stay up: " + LastWords(c.LastTerminationState.Terminated)
	case NoContainer(waiting.Reason):
		return v1alpha1.ReasonCrashing, "the container cannot be started: " + LastLine(waiting.Message)
	default:
		return "", ""
	}
}

// NoImage reports whether a kubelet's reason to wait is that it does not get
// the image.
func NoImage(reason string) bool {
	switch reason {
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable":
		return true
	}
	return false
}

// NoContainer reports whether it is that the container cannot be started.
func NoContainer(reason string) bool {
	switch reason {
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		return true
	}
	return false
}

// LastWords is why a container ended: the end of what it wrote, which
// Kubernetes keeps where a container fails.
func LastWords(end *corev1.ContainerStateTerminated) string {
	switch {
	case end == nil:
		return "see its log"
	case end.Reason == "OOMKilled":
		return "it needs more memory than resources.limits of the class allow: raise them"
	case LastLine(end.Message) != "":
		return LastLine(end.Message)
	default:
		return fmt.Sprintf("it ended with code %d; see its log", end.ExitCode)
	}
}

// LastLine is the end of a text, bounded.
func LastLine(text string) string {
	text = strings.TrimRight(text, "\r\n ")
	return verdict.Short(strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:]), 400)
}
