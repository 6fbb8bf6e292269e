package nodes

import (
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Eligible is where tenants of one class may run.
type Eligible struct {
	// Names of the nodes that can take a tenant, sorted.
	Names []string
	// Advertise maps node names to addresses, in the node's order, at most one
	// of each IP family. With from: Static it has the one entry "".
	Advertise map[string][]string
	// Without names the nodes that match but have no address of the wanted
	// kind, sorted. They are not among Names.
	Without []string
}

// Of returns where tenants of class may run.
func Of(list []corev1.Node, class *v1alpha1.PBXClass) Eligible {
	out := Eligible{Advertise: map[string][]string{}}
	from := class.Spec.Network.Advertise.From
	if from == v1alpha1.AdvertiseStatic {
		out.Advertise[""] = []string{class.Spec.Network.Advertise.Address}
	}
	for i := range list {
		node := &list[i]
		if !selected(node, class.Spec.Scheduling.NodeSelector) || !tolerated(node, class.Spec.Scheduling.Tolerations) {
			continue
		}
		if from != v1alpha1.AdvertiseStatic {
			addresses := advertised(node, from)
			if len(addresses) == 0 {
				out.Without = append(out.Without, node.Name)
				continue
			}
			out.Advertise[node.Name] = addresses
		}
		out.Names = append(out.Names, node.Name)
	}
	slices.Sort(out.Names)
	slices.Sort(out.Without)
	return out
}

// Dead returns the names of the eligible nodes that are not ready, sorted.
func (e Eligible) Dead(list []corev1.Node) []string {
	var names []string
	for i := range list {
		ready := slices.ContainsFunc(list[i].Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		})
		if !ready && slices.Contains(e.Names, list[i].Name) {
			names = append(names, list[i].Name)
		}
	}
	slices.Sort(names)
	return names
}

func selected(node *corev1.Node, selector map[string]string) bool {
	for key, value := range selector {
		if have, ok := node.Labels[key]; !ok || have != value {
			return false
		}
	}
	return true
}

// tolerated reports whether tolerations allow a pod on node. PreferNoSchedule
// keeps nobody away; what comes and goes with the node's health does not count.
func tolerated(node *corev1.Node, tolerations []corev1.Toleration) bool {
	for i := range node.Spec.Taints {
		taint := &node.Spec.Taints[i]
		if taint.Effect == corev1.TaintEffectPreferNoSchedule || passing(taint.Key) {
			continue
		}
		if !slices.ContainsFunc(tolerations, func(t corev1.Toleration) bool { return tolerates(t, taint) }) {
			return false
		}
	}
	return true
}

func passing(key string) bool {
	return key == corev1.TaintNodeUnschedulable || key == corev1.TaintNodeNotReady || key == corev1.TaintNodeUnreachable
}

// tolerates is the scheduler's rule.
func tolerates(t corev1.Toleration, taint *corev1.Taint) bool {
	if t.Effect != "" && t.Effect != taint.Effect {
		return false
	}
	if t.Key != "" && t.Key != taint.Key {
		return false
	}
	switch t.Operator {
	case corev1.TolerationOpExists:
		return true
	case "", corev1.TolerationOpEqual:
		return t.Key != "" && t.Value == taint.Value
	case corev1.TolerationOpLt, corev1.TolerationOpGt:
		limit, err := strconv.ParseInt(t.Value, 10, 64)
		value, errTaint := strconv.ParseInt(taint.Value, 10, 64)
		if t.Key == "" || err != nil || errTaint != nil {
			return false
		}
		return t.Operator == corev1.TolerationOpLt && value < limit || t.Operator == corev1.TolerationOpGt && value > limit
	default:
		return false
	}
}

// advertised returns the first address of each family, in the node's order.
func advertised(node *corev1.Node, from v1alpha1.AdvertiseFrom) []string {
	wanted := corev1.NodeExternalIP
	if from == v1alpha1.AdvertiseNodeInternalIP {
		wanted = corev1.NodeInternalIP
	}
	var out []string
	have := map[bool]bool{}
	for _, a := range node.Status.Addresses {
		ip, err := netip.ParseAddr(a.Address)
		if a.Type != wanted || err != nil || ip.IsUnspecified() || have[ip.Unmap().Is4()] {
			continue
		}
		have[ip.Unmap().Is4()] = true
		out = append(out, ip.Unmap().String())
	}
	return out
}
