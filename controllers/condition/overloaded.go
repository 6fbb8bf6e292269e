package condition

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/observer"
	"github.com/dipcast/dipcast/controllers/verdict"
	"github.com/dipcast/dipcast/pbx/conf"
)

// Overloaded tells whether the PBX refuses new calls for lack of something, of
// what, and the cure. How long it has been so is the condition's own time.
func Overloaded(class *v1alpha1.PBXClass, seen observer.Observation) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionOverloaded, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonWithinLimits}
	switch {
	case !seen.Reachable || seen.Report == nil:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonUnreachable, "the PBX has not told whether it is overloaded"
	case seen.Report.Overload == "":
		c.Message = "the PBX has room for calls"
	default:
		name := "its class"
		if class != nil {
			name = "PBXClass " + class.Name
		}
		var cure string
		c.Status = metav1.ConditionTrue
		c.Reason, cure = scarcity(seen.Report.Scarce, name)
		c.Message = verdict.Short(seen.Report.Overload+": "+cure, 600)
	}
	return c
}

// scarcity is the reason of an overload and its cure. What a newer PBX finds
// scarce, or an older one does not say, is told without a cure of its own.
func scarcity(s conf.Scarce, class string) (reason, cure string) {
	switch s {
	case conf.ScarceMemory:
		return v1alpha1.ReasonMemoryShort, "raise resources.limits.memory of " + class
	case conf.ScarceMedia:
		return v1alpha1.ReasonMediaLate, "other programs take the node's processors: raise resources.requests.cpu of " + class + ", or keep them off the node"
	case conf.ScarceTransactions:
		return v1alpha1.ReasonTransactionsFull, "somebody sends more requests than phones do: see the metrics dipcast_sip_*, and the log for who was banned"
	case conf.ScarceProcessor:
		return v1alpha1.ReasonProcessorShort, "raise resources.limits.cpu of " + class + " if it sets one, or add a node"
	}
	return v1alpha1.ReasonLoad, "the log of the PBX says more"
}
