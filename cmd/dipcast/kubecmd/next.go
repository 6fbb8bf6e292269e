package kubecmd

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/cmd/dipcast/doctor"
	"github.com/dipcast/dipcast/controllers/desired"
)

// causes are the conditions in the order in which a tenant comes up: the
// first that is bad is to be cured first.
func causes() []string {
	return []string{
		v1alpha1.ConditionAccepted, v1alpha1.ConditionPortsAllocated, v1alpha1.ConditionPodRunning,
		v1alpha1.ConditionConfigApplied, v1alpha1.ConditionOverloaded, v1alpha1.ConditionTrunksUp, v1alpha1.ConditionExposed,
		v1alpha1.ConditionCredentialsValid, v1alpha1.ConditionCallbackReachable, v1alpha1.ConditionBotConfigured,
		v1alpha1.ConditionDirectorySynced, v1alpha1.ConditionUpdating, v1alpha1.ConditionCapacityPressure,
	}
}

// next says what to do about a tenant, most basic cause first.
func next(d *tenantDetail) string {
	if len(d.Conditions) == 0 {
		return "the operator has not looked at this tenant: kubectl dipcast doctor tells whether it runs"
	}
	for _, o := range d.Objects {
		for _, c := range o.Conditions {
			if c.Type == v1alpha1.ConditionAccepted && c.Status == metav1.ConditionFalse {
				return fmt.Sprintf("correct %s %s as its message says and apply it again; %s", o.Kind, o.Name, meanwhile(d))
			}
		}
	}
	for _, t := range causes() {
		i := slices.IndexFunc(d.Conditions, func(c metav1.Condition) bool { return c.Type == t })
		if i < 0 {
			continue
		}
		if wrong, _ := doctor.Bad(d.Conditions[i]); wrong {
			return step(d, d.Conditions[i])
		}
	}
	for _, o := range d.Objects {
		if c, t := summary(o.Conditions); t == bad {
			return fmt.Sprintf("%s %s: %s; kubectl dipcast doctor %s -n %s checks it from here", o.Kind, o.Name, c.Reason, d.Name, d.Namespace)
		}
	}
	if d.Ready != string(metav1.ConditionTrue) {
		return fmt.Sprintf("kubectl dipcast doctor %s -n %s", d.Name, d.Namespace)
	}
	if len(d.Objects) == 0 {
		return "apply an ExtensionPlan and a SIPTrunk with tenantRef.name: " + d.Name
	}
	return "nothing: it takes calls"
}

// meanwhile is what a refused manifest means for the telephones.
func meanwhile(d *tenantDetail) string {
	if d.Pod == nil && d.Ready != string(metav1.ConditionTrue) {
		return "until then there is no PBX"
	}
	return "the PBX goes on with the last good manifests"
}

// step is the cure of one bad condition.
func step(d *tenantDetail, c metav1.Condition) string {
	ns := " -n " + d.Namespace
	switch c.Reason {
	case v1alpha1.ReasonNoPorts:
		return "kubectl edit pbxclass " + d.Class + ": widen network.portPool; or add a node"
	case v1alpha1.ReasonUnschedulable, v1alpha1.ReasonImagePull, v1alpha1.ReasonPodRefused:
		return "do as the message says; kubectl describe statefulset " + desired.PBXName(d.Name) + ns + " and doctor tell more"
	case v1alpha1.ReasonCrashing:
		return "kubectl dipcast logs " + d.Name + ns + " --previous"
	case v1alpha1.ReasonWaitingForCalls:
		return "wait for the calls to end, or end them: kubectl dipcast drain " + d.Name + ns + " --end-calls-after 1m"
	case v1alpha1.ReasonProgressing:
		if d.Pod != nil && d.Pod.Phase == terminating {
			return "wait for the pod to end; if node " + d.Pod.Node + " is dead it does not: kubectl dipcast doctor " + d.Name + ns + " tells what then"
		}
		return "wait: " + c.Type + " is under way"
	case v1alpha1.ReasonWaitingForTurn, v1alpha1.ReasonWaiting, v1alpha1.ReasonDraining:
		return "wait: " + c.Type + " is under way"
	case v1alpha1.ReasonSecretMissing, v1alpha1.ReasonSecretInvalid:
		return "make or correct the Secret that the message names; the operator notices by itself"
	case v1alpha1.ReasonOverOperating:
		return "give the tenant a larger class (spec.className) before calls or phones are refused"
	}
	switch c.Type {
	case v1alpha1.ConditionOverloaded:
		return "do as the message of Overloaded says: new calls are refused since " + c.LastTransitionTime.UTC().Format(time.RFC3339)
	case v1alpha1.ConditionAccepted:
		return "correct the manifest as the message says and apply it again; " + meanwhile(d)
	case v1alpha1.ConditionTrunksUp, v1alpha1.ConditionExposed:
		return "kubectl dipcast doctor " + d.Name + ns + " checks it from here"
	}
	return "do as the message of " + c.Type + " says; kubectl dipcast doctor " + d.Name + ns + " tells more"
}
