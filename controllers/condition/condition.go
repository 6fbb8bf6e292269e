package condition

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/observer"
	"github.com/dipcast/dipcast/controllers/verdict"
)

// Accepted sums up what the compiler said of all objects of a tenant: its own
// problems in full, the errors of others with the object's name.
func Accepted(problems []compile.Problem, self compile.Object) metav1.Condition {
	var errors, own []compile.Problem
	for _, p := range problems {
		if p.Severity == compile.Error {
			errors = append(errors, p)
		} else if p.Object == self {
			own = append(own, p)
		}
	}
	told := slices.Concat(errors, own)
	c := verdict.Accepted(told)
	if len(told) > 0 {
		c.Message = verdict.Lines(told, self)
	}
	return c
}

// ConfigApplied compares the document in the cluster, by its generation, with
// the one that the PBX runs.
func ConfigApplied(wanted string, problems []compile.Problem, seen observer.Observation) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionConfigApplied, Status: metav1.ConditionFalse}
	report := seen.Report
	switch {
	case wanted == "":
		c.Reason, c.Message = v1alpha1.ReasonWaiting, "there is no document yet: see the conditions Accepted and PortsAllocated"
	case compile.HasErrors(problems):
		c.Reason = firstError(problems).Reason
		c.Message = "the PBX goes on with the last good document: see the condition Accepted"
	case !seen.Reachable || report == nil:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonUnreachable, "the PBX has not told which document it runs"
	case report.Generation == wanted && len(report.Restart) > 0:
		c.Reason = v1alpha1.ReasonRestartPending
		c.Message = "a new process is needed for " + strings.Join(report.Restart, ", ") + ": it is replaced when no call is up"
	case report.Generation == wanted:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonApplied, "the PBX runs the newest document"
	case report.Refused != "" && (report.RefusedGeneration == wanted || report.RefusedGeneration == ""):
		c.Reason, c.Message = v1alpha1.ReasonRefused, "the PBX goes on with the last document, since it refuses the new one: "+report.Refused
	default:
		c.Reason, c.Message = v1alpha1.ReasonProgressing, "the PBX takes over the new document"
	}
	c.Message = verdict.Short(c.Message, 600)
	return c
}

func firstError(problems []compile.Problem) compile.Problem {
	for _, p := range problems {
		if p.Severity == compile.Error {
			return p
		}
	}
	return compile.Problem{Reason: v1alpha1.ReasonInvalid}
}

// TrunksUp sums up a tenant's trunks.
func TrunksUp(trunks []v1alpha1.SIPTrunk, seen observer.Observation) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionTrunksUp, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonUp, Message: "every trunk can take a call"}
	var down []string
	unknown := false
	for i := range trunks {
		ready := TrunkReady(trunks[i].Name, seen)
		switch ready.Status {
		case metav1.ConditionFalse:
			down = append(down, trunks[i].Name+": "+ready.Message)
		case metav1.ConditionUnknown:
			unknown = true
		}
	}
	switch {
	case len(trunks) == 0:
		c.Reason, c.Message = v1alpha1.ReasonNone, "there is no SIPTrunk: only internal calls are possible"
	case len(down) > 0:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonDown, verdict.Short(strings.Join(down, "; "), 600)
	case unknown:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonUnreachable, "the PBX has not told the state of every trunk"
	}
	return c
}

// TrunkReady is the condition Ready of one trunk.
func TrunkReady(name string, seen observer.Observation) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonUnreachable,
		Message: "the PBX has not told the trunk's state",
	}
	if seen.Report == nil || !seen.Reachable {
		return c
	}
	for _, t := range seen.Report.Trunks {
		if t.Name != name {
			continue
		}
		if t.Up {
			c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonUp, "calls can go both ways"
			return c
		}
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonDown, verdict.Short(t.Why, 600)
		if c.Message == "" {
			c.Message = "the carrier does not answer"
		}
	}
	return c
}

// nearLimit is the part of the class's calls above which a tenant is told.
const nearLimit = 90 // percent

// CapacityPressure compares what the PBX counts with what the class is made for.
func CapacityPressure(class *v1alpha1.PBXClass, seen observer.Observation) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionCapacityPressure, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonWithinLimits,
		Message: "phones and calls are within the class's figures",
	}
	if seen.Report == nil || class == nil {
		return c
	}
	limits := class.Spec.Limits
	var over []string
	if seen.Report.Registrations > int(limits.Registrations.Operating) {
		over = append(over, fmt.Sprintf("more phones are registered than the %d that PBXClass %s is made for; more than %d are refused",
			limits.Registrations.Operating, class.Name, limits.Registrations.Maximum))
	}
	if 100*seen.Report.ActiveCalls >= nearLimit*int(limits.ConcurrentCalls) {
		over = append(over, fmt.Sprintf("calls are near the %d that PBXClass %s allows at a time", limits.ConcurrentCalls, class.Name))
	}
	if len(over) > 0 {
		c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonOverOperating
		c.Message = strings.Join(over, "; ") + ": choose a larger class"
	}
	return c
}

// Ready is computed of the other conditions, and nowhere else: ports, a running
// pod, a PBX that answers. A manifest that is wrong or not in force yet does
// not make a working tenant unready; the reason tells of it.
func Ready(conditions []metav1.Condition, seen observer.Observation) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse}
	applied := meta.FindStatusCondition(conditions, v1alpha1.ConditionConfigApplied)
	ok := meta.FindStatusCondition(conditions, v1alpha1.ConditionAccepted)
	for _, needed := range []string{v1alpha1.ConditionPortsAllocated, v1alpha1.ConditionPodRunning} {
		is := meta.FindStatusCondition(conditions, needed)
		if is != nil && is.Status == metav1.ConditionTrue {
			continue
		}
		// Ports that a running pod has already are not taken from it.
		if is != nil && needed == v1alpha1.ConditionPortsAllocated && seen.Reachable && seen.Report != nil {
			continue
		}
		if ok != nil && ok.Status == metav1.ConditionFalse && (is == nil || is.Reason == v1alpha1.ReasonWaiting) {
			is = ok // the cause of the waiting
		}
		if is == nil {
			c.Reason, c.Message = v1alpha1.ReasonProgressing, "the tenant is being set up"
			return c
		}
		c.Reason, c.Message = is.Reason, is.Message
		return c
	}
	if !seen.Reachable || seen.Report == nil {
		c.Reason, c.Message = v1alpha1.ReasonUnreachable, "the PBX does not answer the operator"
		if seen.Error != "" {
			c.Message = verdict.Short(c.Message+": "+seen.Error, 600)
		}
		return c
	}
	c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonReady, "the PBX takes calls"
	switch {
	case ok != nil && ok.Status == metav1.ConditionFalse:
		c.Reason, c.Message = ok.Reason, "the PBX takes calls with the last good document: see the condition Accepted"
	case seen.Report.Draining:
		c.Reason, c.Message = v1alpha1.ReasonDraining, "the PBX takes no new calls for a moment: see the condition Updating"
	case applied != nil && applied.Status != metav1.ConditionTrue:
		c.Reason, c.Message = applied.Reason, "the PBX takes calls, and not all of the newest document is in force: see the condition ConfigApplied"
	}
	return c
}
