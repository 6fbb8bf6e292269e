package nodes_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/nodes"
)

type edit func(*corev1.Node)

func node(name string, edits ...edit) corev1.Node {
	n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	for _, e := range edits {
		e(&n)
	}
	return n
}

func label(key, value string) edit { return func(n *corev1.Node) { n.Labels[key] = value } }

func external(addresses ...string) edit { return address(corev1.NodeExternalIP, addresses) }

func internal(addresses ...string) edit { return address(corev1.NodeInternalIP, addresses) }

func address(kind corev1.NodeAddressType, addresses []string) edit {
	return func(n *corev1.Node) {
		for _, a := range addresses {
			n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: kind, Address: a})
		}
	}
}

func taint(key, value string, effect corev1.TaintEffect) edit {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Value: value, Effect: effect})
	}
}

func class(from v1alpha1.AdvertiseFrom, selector map[string]string, tolerations ...corev1.Toleration) *v1alpha1.PBXClass {
	c := &v1alpha1.PBXClass{}
	c.Spec.Network.Advertise.From = from
	if from == v1alpha1.AdvertiseStatic {
		c.Spec.Network.Advertise.Address = "198.51.100.7"
	}
	c.Spec.Scheduling = v1alpha1.ClassScheduling{NodeSelector: selector, Tolerations: tolerations}
	return c
}

// row is a set of nodes and what a class finds among them.
type row struct {
	name  string
	list  []corev1.Node
	class *v1alpha1.PBXClass
	want  nodes.Eligible
}

func find(t *testing.T, rows []row) {
	t.Helper()
	for _, tc := range rows {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, nodes.Of(tc.list, tc.class)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	find(t, []row{
		{"no node", nil, class(v1alpha1.AdvertiseNodeExternalIP, nil), nodes.Eligible{Advertise: map[string][]string{}}},
		{
			"sorted, those without an address apart",
			[]corev1.Node{
				node("n3", external("203.0.113.3")), node("n2", internal("10.0.0.2")),
				node("n1", internal("10.0.0.1"), external("203.0.113.1")), node("n0"),
			},
			class(v1alpha1.AdvertiseNodeExternalIP, nil),
			nodes.Eligible{
				Names:     []string{"n1", "n3"},
				Advertise: map[string][]string{"n1": {"203.0.113.1"}, "n3": {"203.0.113.3"}},
				Without:   []string{"n0", "n2"},
			},
		},
		{
			"a class without a choice takes external addresses",
			[]corev1.Node{node("n1", internal("10.0.0.1"), external("203.0.113.1"))},
			class("", nil),
			nodes.Eligible{Names: []string{"n1"}, Advertise: map[string][]string{"n1": {"203.0.113.1"}}},
		},
		{
			"internal addresses",
			[]corev1.Node{node("n1", internal("10.0.0.1"), external("203.0.113.1"))},
			class(v1alpha1.AdvertiseNodeInternalIP, nil),
			nodes.Eligible{Names: []string{"n1"}, Advertise: map[string][]string{"n1": {"10.0.0.1"}}},
		},
		{
			"static: one entry for all nodes, which count all the same",
			[]corev1.Node{node("n2"), node("n1", internal("10.0.0.1"))},
			class(v1alpha1.AdvertiseStatic, nil),
			nodes.Eligible{Names: []string{"n1", "n2"}, Advertise: map[string][]string{"": {"198.51.100.7"}}},
		},
		{
			"static without a node",
			nil, class(v1alpha1.AdvertiseStatic, nil),
			nodes.Eligible{Advertise: map[string][]string{"": {"198.51.100.7"}}},
		},
		{
			"the first of each family, in the node's order",
			[]corev1.Node{
				node("v4", external("203.0.113.1", "203.0.113.2")),
				node("v6", external("2001:db8::1", "2001:db8::2")),
				node("v4v6", external("203.0.113.3", "2001:db8::3", "203.0.113.4")),
				node("v6v4", external("2001:db8::5", "203.0.113.5")),
			},
			class(v1alpha1.AdvertiseNodeExternalIP, nil),
			nodes.Eligible{
				Names: []string{"v4", "v4v6", "v6", "v6v4"},
				Advertise: map[string][]string{
					"v4": {"203.0.113.1"}, "v6": {"2001:db8::1"},
					"v4v6": {"203.0.113.3", "2001:db8::3"}, "v6v4": {"2001:db8::5", "203.0.113.5"},
				},
			},
		},
	})
}

func TestOddAddressesAndSelectors(t *testing.T) {
	find(t, []row{
		{
			"what is no address is passed over; one form for one address",
			[]corev1.Node{node("n1", external("node.example", "0.0.0.0", "::", "", "::ffff:203.0.113.9", "2001:0db8::0001"))},
			class(v1alpha1.AdvertiseNodeExternalIP, nil),
			nodes.Eligible{Names: []string{"n1"}, Advertise: map[string][]string{"n1": {"203.0.113.9", "2001:db8::1"}}},
		},
		{
			"node selector: every label with its value",
			[]corev1.Node{
				node("both", internal("10.0.0.1"), label("site", "seoul"), label("pbx", "")),
				node("other", internal("10.0.0.2"), label("site", "busan"), label("pbx", "")),
				node("missing", internal("10.0.0.3"), label("site", "seoul")),
			},
			class(v1alpha1.AdvertiseNodeInternalIP, map[string]string{"site": "seoul", "pbx": ""}),
			nodes.Eligible{Names: []string{"both"}, Advertise: map[string][]string{"both": {"10.0.0.1"}}},
		},
		{
			"a node that is not selected is not missed for its address",
			[]corev1.Node{node("n1")},
			class(v1alpha1.AdvertiseNodeInternalIP, map[string]string{"site": "seoul"}),
			nodes.Eligible{Advertise: map[string][]string{}},
		},
	})
}

func TestTaints(t *testing.T) {
	const no, out, rather = corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute, corev1.TaintEffectPreferNoSchedule
	one := func(key string, op corev1.TolerationOperator, value string, effect corev1.TaintEffect) []corev1.Toleration {
		return []corev1.Toleration{{Key: key, Operator: op, Value: value, Effect: effect}}
	}
	for _, tc := range []struct {
		name        string
		taints      []edit
		tolerations []corev1.Toleration
		want        bool
	}{
		{"none", nil, nil, true},
		{"NoSchedule", []edit{taint("pbx", "only", no)}, nil, false},
		{"NoExecute", []edit{taint("pbx", "only", out)}, nil, false},
		{"PreferNoSchedule keeps nobody away", []edit{taint("pbx", "only", rather)}, nil, true},
		{"a cordon comes and goes", []edit{taint(corev1.TaintNodeUnschedulable, "", no)}, nil, true},
		{"a node that is not ready comes back", []edit{taint(corev1.TaintNodeNotReady, "", out)}, nil, true},
		{"a node that is unreachable comes back", []edit{taint(corev1.TaintNodeUnreachable, "", no)}, nil, true},
		{"equal", []edit{taint("pbx", "only", no)}, one("pbx", corev1.TolerationOpEqual, "only", no), true},
		{"equal is the default", []edit{taint("pbx", "only", no)}, one("pbx", "", "only", no), true},
		{"another value", []edit{taint("pbx", "only", no)}, one("pbx", corev1.TolerationOpEqual, "never", no), false},
		{"another key", []edit{taint("pbx", "only", no)}, one("sip", corev1.TolerationOpEqual, "only", no), false},
		{"another effect", []edit{taint("pbx", "only", out)}, one("pbx", corev1.TolerationOpEqual, "only", no), false},
		{"every effect", []edit{taint("pbx", "only", out)}, one("pbx", corev1.TolerationOpEqual, "only", ""), true},
		{"exists", []edit{taint("pbx", "only", no)}, one("pbx", corev1.TolerationOpExists, "", no), true},
		{"exists, every key", []edit{taint("pbx", "only", no)}, one("", corev1.TolerationOpExists, "", ""), true},
		{"equal without a key is nothing", []edit{taint("pbx", "", no)}, one("", corev1.TolerationOpEqual, "", ""), false},
		{"an operator of another age", []edit{taint("pbx", "5", no)}, one("pbx", "Near", "5", no), false},
		{"a taint below the limit", []edit{taint("pbx", "4", no)}, one("pbx", corev1.TolerationOpLt, "5", no), true},
		{"a taint at the limit", []edit{taint("pbx", "5", no)}, one("pbx", corev1.TolerationOpLt, "5", no), false},
		{"a taint above the limit", []edit{taint("pbx", "6", no)}, one("pbx", corev1.TolerationOpGt, "5", no), true},
		{"a limit that is no number", []edit{taint("pbx", "6", no)}, one("pbx", corev1.TolerationOpGt, "five", no), false},
		{"a taint that is no number", []edit{taint("pbx", "six", no)}, one("pbx", corev1.TolerationOpGt, "5", no), false},
		{"one of two taints", []edit{taint("pbx", "only", no), taint("gpu", "", no)}, one("pbx", corev1.TolerationOpExists, "", ""), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			list := []corev1.Node{node("n1", append(tc.taints, internal("10.0.0.1"))...)}
			got := nodes.Of(list, class(v1alpha1.AdvertiseNodeInternalIP, nil, tc.tolerations...))
			if len(got.Names) == 1 != tc.want || len(got.Without) != 0 {
				t.Errorf("%+v, want eligible %v", got, tc.want)
			}
		})
	}
}

func TestDeadNodesAreThoseThatMatterAndAreNotReady(t *testing.T) {
	node := func(name string, ready corev1.ConditionStatus) corev1.Node {
		return corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}},
		}
	}
	list := []corev1.Node{
		node("n4", corev1.ConditionUnknown), node("n1", corev1.ConditionTrue), node("n2", corev1.ConditionFalse), node("elsewhere", corev1.ConditionFalse),
	}
	got := nodes.Eligible{Names: []string{"n1", "n2", "n4"}}.Dead(list)
	if want := []string{"n2", "n4"}; !slices.Equal(got, want) {
		t.Errorf("dead are %v, want %v", got, want)
	}
}
