package rollout

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Admitted is the value of v1alpha1.AnnotationImage.
func Admitted(wanted, admitted string) string { return wanted + " " + admitted }

// PodOf reads what Decide needs of a pod and of its node, nil for no pod. A pod
// with a node's name whose node is nil counts as one whose node is gone.
func PodOf(pod *corev1.Pod, container string, node *corev1.Node) *Pod {
	if pod == nil {
		return nil
	}
	out := &Pod{
		Template:    pod.Annotations[v1alpha1.AnnotationTemplate],
		Generation:  pod.Annotations[v1alpha1.AnnotationConfigGeneration],
		Instance:    Instance(pod, container),
		Terminating: pod.DeletionTimestamp != nil,
		Node:        NodeOf(pod.Spec.NodeName, node),
	}
	for i := range pod.Spec.Containers {
		if c := &pod.Spec.Containers[i]; c.Name == container {
			out.Image = c.Image
			if wanted, admitted, _ := strings.Cut(pod.Annotations[v1alpha1.AnnotationImage], " "); admitted == c.Image {
				out.Image = wanted
			}
		}
	}
	for i := range pod.Status.ContainerStatuses {
		c := &pod.Status.ContainerStatuses[i]
		if c.Name != container {
			continue
		}
		out.Running = c.State.Running != nil
		out.Up = out.Running && c.Started != nil && *c.Started
		out.Crashing = c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff"
	}
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady {
			out.Ready = out.Up && c.Status == corev1.ConditionTrue
		}
	}
	return out
}

// Instance names the process in a pod's container: another pod and a restarted
// container have another one. It ends in / before the first start.
func Instance(pod *corev1.Pod, container string) string {
	for i := range pod.Status.ContainerStatuses {
		if c := &pod.Status.ContainerStatuses[i]; c.Name == container {
			return string(pod.UID) + "/" + c.ContainerID
		}
	}
	return string(pod.UID) + "/"
}

// NodeOf reads what Decide needs of a node, which is nil if it does not exist.
func NodeOf(name string, node *corev1.Node) Node {
	if name == "" || node == nil {
		return Node{Name: name, Gone: name != ""}
	}
	out := Node{Name: name, Cordoned: node.Spec.Unschedulable, NotReady: notReady(node)}
	for i := range node.Spec.Taints {
		out.OutOfService = out.OutOfService || node.Spec.Taints[i].Key == corev1.TaintNodeOutOfService
	}
	return out
}

// notReady is since when a node is not ready, zero if it is.
func notReady(node *corev1.Node) time.Time {
	for i := range node.Status.Conditions {
		c := &node.Status.Conditions[i]
		if c.Type != corev1.NodeReady {
			continue
		}
		if c.Status == corev1.ConditionTrue {
			return time.Time{}
		}
		return c.LastTransitionTime.Time
	}
	return node.CreationTimestamp.Time // no kubelet has ever spoken for it
}
