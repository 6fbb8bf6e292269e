package rollout

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// subject begins the sentences about a change.
func subject(reason, node string) string {
	switch reason {
	case ReasonPorts:
		return "The move to other host ports"
	case ReasonTemplate:
		return "A change of the pod template"
	case ReasonImage:
		return "A change of the image"
	case ReasonDocument:
		return "A change of the document that takes a new process"
	}
	if node == "" {
		return "The move to another node"
	}
	return "The move away from the cordoned node " + node
}

func condition(status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: v1alpha1.ConditionUpdating, Status: status, Reason: reason, Message: message}
}

func upToDate() metav1.Condition {
	return condition(metav1.ConditionFalse, v1alpha1.ReasonUpToDate, "No change waits for a new process.")
}

func waitingForCalls(reason, node string, most time.Duration, silent bool) metav1.Condition {
	if silent {
		return condition(metav1.ConditionTrue, v1alpha1.ReasonWaitingForCalls, fmt.Sprintf(
			"%s waits, since the PBX does not answer the operator and may have calls: it is made when it answers and has none, after %s (update.maxWait of the class) at the latest.",
			subject(reason, node), span(most)))
	}
	return condition(metav1.ConditionTrue, v1alpha1.ReasonWaitingForCalls, fmt.Sprintf(
		"%s waits for calls to end: it is made in the first moment without a call, after %s (update.maxWait of the class) at the latest.",
		subject(reason, node), span(most)))
}

func waitingForIdle(reason, node string, most time.Duration) metav1.Condition {
	return condition(metav1.ConditionTrue, v1alpha1.ReasonWaitingForCalls, fmt.Sprintf(
		"%s waits for a moment without a call; after %s (update.idleWait of the class) it is made with the calls going on.",
		subject(reason, node), span(most)))
}

func waitingForTurn(reason, node string, most int) metav1.Condition {
	return condition(metav1.ConditionTrue, v1alpha1.ReasonWaitingForTurn, fmt.Sprintf(
		"%s waits for its turn: at most %d tenants are replaced at a time (the operator's --max-updates).",
		subject(reason, node), most))
}

func halted(reason, node string, most int) metav1.Condition {
	return condition(metav1.ConditionTrue, v1alpha1.ReasonWaitingForTurn, fmt.Sprintf(
		"%s is held back: %d tenants were replaced and do not get ready, so no more are begun (the operator's --max-updates). "+
			"Look at tenants whose condition Updating says Progressing, and put the change right or take it back: all go on by themselves then.",
		subject(reason, node), most))
}

func draining(reason, node string) metav1.Condition {
	return condition(metav1.ConditionTrue, v1alpha1.ReasonDraining, subject(reason, node)+" is begun: no new calls are taken, and those that are up end.")
}

func progressing(reason, node string) metav1.Condition {
	return condition(metav1.ConditionTrue, v1alpha1.ReasonProgressing, subject(reason, node)+" is under way: the new process is not ready yet.")
}

func stuck(reason, node string, most int) metav1.Condition {
	return condition(metav1.ConditionTrue, v1alpha1.ReasonProgressing, fmt.Sprintf(
		"%s was made, and the new process does not get ready: the condition PodRunning says why. Put the change right or take it back; "+
			"until then the tenant holds one of the %d turns of the fleet (the operator's --max-updates).",
		subject(reason, node), most))
}

func nowhere(node string) metav1.Condition {
	return condition(metav1.ConditionTrue, v1alpha1.ReasonUnschedulable, fmt.Sprintf(
		"Node %s is cordoned, and no other node can take this tenant, its volume and its host ports included: it runs on there, and nothing is changed that takes a new pod. "+
			"Uncordon the node, or add one that the class's scheduling and addresses allow.", node))
}

func started(reason, node string) Note {
	return Note{Reason: NoteStarted, Message: subject(reason, node) + " begins: the PBX is replaced."}
}

func carried(reason, node string) string {
	return subject(reason, node) + " begins: the PBX is replaced, and the calls that are up go on."
}

func cut(reason, node string, policy v1alpha1.UpdatePolicy, waited time.Duration) string {
	if policy == v1alpha1.UpdateImmediate {
		return subject(reason, node) + " ends the calls that are up, since update.policy of the class is Immediate."
	}
	return fmt.Sprintf("%s ends the calls that are still up after %s (update.maxWait of the class).", subject(reason, node), span(waited))
}

func blind(reason, node string) string {
	return subject(reason, node) + " is made although the PBX does not answer: calls that do not end in time are cut."
}

func forced(node, why string) string {
	return fmt.Sprintf("The pod is removed without waiting for its node %s: %s.", node, why)
}

// span is a duration as a manifest says it: 2h, not 2h0m0s.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
