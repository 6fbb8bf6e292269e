package compile

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// checkScheduling finds what no node's label and no taint can be. The API server
// would refuse every pod of such a class.
func checkScheduling(o Object, s *v1alpha1.ClassScheduling) []Problem {
	var out []Problem
	check := func(path, value string, wrong []string) {
		if len(wrong) == 0 {
			return
		}
		out = append(out, Problem{
			Object: o, Path: path, Value: value, Severity: Error, Reason: v1alpha1.ReasonInvalid,
			Message: "must be as labels of nodes are: " + strings.Join(wrong, "; "),
		})
	}
	const selector = "spec.scheduling.nodeSelector"
	for _, key := range slices.Sorted(maps.Keys(s.NodeSelector)) {
		check(selector, key, validation.IsQualifiedName(key))
		check(selector+"["+key+"]", s.NodeSelector[key], validation.IsValidLabelValue(s.NodeSelector[key]))
	}
	for i, t := range s.Tolerations {
		path := index("spec.scheduling.tolerations", i)
		if t.Key != "" {
			check(path+".key", t.Key, validation.IsQualifiedName(t.Key))
		}
		if t.Operator != corev1.TolerationOpLt && t.Operator != corev1.TolerationOpGt {
			check(path+".value", t.Value, validation.IsValidLabelValue(t.Value))
			continue
		}
		if _, err := strconv.ParseInt(t.Value, 10, 64); err != nil {
			out = append(out, Problem{
				Object: o, Path: path + ".value", Value: t.Value, Severity: Error, Reason: v1alpha1.ReasonInvalid,
				Message: "must be a whole number with operator " + string(t.Operator) + ": write one or set operator to Equal",
			})
		}
	}
	return out
}
