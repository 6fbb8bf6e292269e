package podstate

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// unscheduled returns why no node can take the pod, and the cure; empty: one
// can, or it is not known yet.
func unscheduled(in Input) string {
	if in.Pod.Spec.NodeName != "" {
		return ""
	}
	said, found := "", false
	for _, c := range in.Pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			said, found = c.Message, true
		}
	}
	if !found {
		return ""
	}
	if claim := unbound(in.Claim, said); claim != "" {
		return claim
	}
	var causes []string
	for _, known := range append(causesOf(in), taints(in, said)...) {
		if strings.Contains(said, known.fragment) {
			causes = append(causes, known.cause)
		}
	}
	// What was there when the pod was looked at last is no reason any more.
	said, _, _ = strings.Cut(said, " preemption:")
	if len(causes) == 0 {
		return "no node can take the pod: " + strings.TrimSpace(said)
	}
	return strings.Join(causes, "; ") + " (" + strings.TrimSuffix(strings.TrimSpace(said), ".") + ")"
}

// cause is a fragment of the scheduler's message and what it means here.
type cause struct{ fragment, cause string }

func causesOf(in Input) []cause {
	class := classOf(in)
	ports := "the ports of slot " + strconv.Itoa(in.Slot) + " are in use by another program on every node that is left: free them, add a node, or move the portPool of " + class
	if len(in.SharedOn) > 0 {
		ports = fmt.Sprintf("slot %d is shared with another tenant that runs on node %s: add a node or widen the portPool of %s",
			in.Slot, strings.Join(in.SharedOn, ", "), class)
	}
	return []cause{
		{"didn't have free ports", ports},
		{"Insufficient ", "no node has enough left of what resources.requests of " + class + " ask: add a node or ask for less"},
		{"Too many pods", "the nodes hold as many pods as they may: add a node"},
		{"didn't match Pod's node affinity/selector", "no other node has the labels of scheduling.nodeSelector of " + class + ": label a node or change it"},
		{"were unschedulable", "nodes are cordoned: uncordon one or add a node"},
		{"volume node affinity conflict", "the volume is bound to a node that cannot take the pod: bring that node back"},
		{"no nodes available", "the cluster has no node: add one"},
	}
}

func classOf(in Input) string {
	if in.Class == nil {
		return "its class"
	}
	return "PBXClass " + in.Class.Name
}

const tainted = "untolerated taint"

// taints are why nodes with a taint are left out: Kubernetes puts one on every
// node that is dead, and does not say which is which.
func taints(in Input, said string) []cause {
	var list []cause
	switch len(in.Dead) {
	case 0:
	case 1:
		list = append(list, cause{tainted, "node " + in.Dead[0] + " is not ready: bring it back or add a node"})
	default:
		list = append(list, cause{tainted, "nodes " + strings.Join(in.Dead, ", ") + " are not ready: bring one back or add a node"})
	}
	count := 0
	if before, _, ok := strings.Cut(said, " node(s) had "+tainted); ok {
		count, _ = strconv.Atoi(before[strings.LastIndexByte(before, ' ')+1:])
	}
	if len(in.Dead) == 0 || count > len(in.Dead) {
		list = append(list, cause{tainted, "nodes have taints that scheduling.tolerations of " + classOf(in) + " do not tolerate: tolerate them or remove the taints"})
	}
	return list
}

// unbound tells of a volume that keeps the pod from a node.
func unbound(claim *corev1.PersistentVolumeClaim, said string) string {
	if claim == nil {
		if strings.Contains(said, "persistentvolumeclaim") {
			return "the volume's claim does not exist yet"
		}
		return ""
	}
	if claim.Status.Phase == corev1.ClaimBound || !strings.Contains(strings.ToLower(said), "persistentvolume") {
		return ""
	}
	class := "the cluster's default storage class"
	if claim.Spec.StorageClassName != nil && *claim.Spec.StorageClassName != "" {
		class = "storage class " + *claim.Spec.StorageClassName
	}
	return fmt.Sprintf("volume %s is not bound: check that %s exists and can make a volume, or name another one in spec.storage.storageClassName",
		claim.Name, class)
}
