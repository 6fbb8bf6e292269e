package nodes_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/controllers/nodes"
)

func TestReaches(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2", Labels: map[string]string{
		corev1.LabelHostname: "n2", corev1.LabelTopologyZone: "z1", "disks": "4",
	}}}
	on := func(key string, op corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: op, Values: values}}}
	}
	named := func(name string) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{
			{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{name}},
		}}
	}
	both := on(corev1.LabelTopologyZone, corev1.NodeSelectorOpIn, "z1")
	both.MatchFields = named("n1").MatchFields
	for name, tc := range map[string]struct {
		terms []corev1.NodeSelectorTerm
		want  bool
	}{
		"a disk of another node":        {[]corev1.NodeSelectorTerm{on(corev1.LabelHostname, corev1.NodeSelectorOpIn, "n1")}, false},
		"a disk of this node":           {[]corev1.NodeSelectorTerm{on(corev1.LabelHostname, corev1.NodeSelectorOpIn, "n1", "n2")}, true},
		"a disk of this zone":           {[]corev1.NodeSelectorTerm{on(corev1.LabelTopologyZone, corev1.NodeSelectorOpIn, "z1")}, true},
		"one of two terms":              {[]corev1.NodeSelectorTerm{named("n1"), on(corev1.LabelTopologyZone, corev1.NodeSelectorOpExists)}, true},
		"by name":                       {[]corev1.NodeSelectorTerm{named("n2")}, true},
		"by another name":               {[]corev1.NodeSelectorTerm{named("n1")}, false},
		"the zone, but another name":    {[]corev1.NodeSelectorTerm{both}, false},
		"not this zone":                 {[]corev1.NodeSelectorTerm{on(corev1.LabelTopologyZone, corev1.NodeSelectorOpNotIn, "z1")}, false},
		"without a label that it lacks": {[]corev1.NodeSelectorTerm{on("old", corev1.NodeSelectorOpDoesNotExist)}, true},
		"more than it has":              {[]corev1.NodeSelectorTerm{on("disks", corev1.NodeSelectorOpGt, "4")}, false},
		"less than a number":            {[]corev1.NodeSelectorTerm{on("disks", corev1.NodeSelectorOpLt, "5")}, true},
		"an operator that nobody knows": {[]corev1.NodeSelectorTerm{on("disks", "Near", "4")}, false},
		"an empty term":                 {[]corev1.NodeSelectorTerm{{}}, false},
		"no term":                       {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			affinity := &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: tc.terms}}
			if got := nodes.Reaches(node, affinity); got != tc.want {
				t.Errorf("reaches: %t, want %t", got, tc.want)
			}
		})
	}
	for _, free := range []*corev1.VolumeNodeAffinity{nil, {}} {
		if !nodes.Reaches(node, free) {
			t.Errorf("%v keeps the volume from a node", free)
		}
	}
}
