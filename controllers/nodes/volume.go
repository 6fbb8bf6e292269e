package nodes

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// Reaches reports whether a volume with that affinity can be used on a node, by
// the scheduler's rule: one term is enough, and an empty one matches no node.
func Reaches(node *corev1.Node, affinity *corev1.VolumeNodeAffinity) bool {
	if affinity == nil || affinity.Required == nil {
		return true
	}
	return slices.ContainsFunc(affinity.Required.NodeSelectorTerms, func(term corev1.NodeSelectorTerm) bool {
		if len(term.MatchExpressions)+len(term.MatchFields) == 0 {
			return false
		}
		// The one field that may be named is the node's name.
		return matches(term.MatchExpressions, labels.Set(node.Labels)) &&
			matches(term.MatchFields, labels.Set{"metadata.name": node.Name})
	})
}

func matches(all []corev1.NodeSelectorRequirement, have labels.Set) bool {
	return !slices.ContainsFunc(all, func(r corev1.NodeSelectorRequirement) bool {
		is, err := labels.NewRequirement(r.Key, operator(r.Operator), r.Values)
		return err != nil || !is.Matches(have)
	})
}

// operator is the same word in the language of labels.
func operator(o corev1.NodeSelectorOperator) selection.Operator {
	switch o {
	case corev1.NodeSelectorOpIn:
		return selection.In
	case corev1.NodeSelectorOpNotIn:
		return selection.NotIn
	case corev1.NodeSelectorOpExists:
		return selection.Exists
	case corev1.NodeSelectorOpDoesNotExist:
		return selection.DoesNotExist
	case corev1.NodeSelectorOpGt:
		return selection.GreaterThan
	case corev1.NodeSelectorOpLt:
		return selection.LessThan
	default:
		return ""
	}
}
