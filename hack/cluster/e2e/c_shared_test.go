//go:build cluster

package e2e

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Two tenants share the only slot of their class, on two nodes. With one of the
// nodes dead the second waits, and its condition says why and what to do; the
// node comes back, and it runs.
func TestASlotIsSharedByTwoNodes(t *testing.T) {
	the.installed(t)
	ownClass(t, "e2e-one", "{from: 16000, to: 16085}", "")
	dead := otherNode(operatorNode(t)) // the operator stays, to tell what is wrong
	switchOff(t, dead)
	a := found(t, plan{name: "shares-a", class: "e2e-one"})
	a.ready()
	b := found(t, plan{name: "shares-b", class: "e2e-one"})
	c := condition(t, b.tenant(), v1alpha1.ConditionPodRunning, metav1.ConditionFalse, v1alpha1.ReasonUnschedulable)
	t.Logf("PodRunning=False %s: %s", c.Reason, c.Message)
	for _, word := range []string{"portPool of PBXClass e2e-one", "add a node", "node " + dead + " is not ready: bring it back"} {
		if !strings.Contains(c.Message, word) {
			t.Errorf("the condition does not say %q", word)
		}
	}
	condition(t, b.tenant(), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnschedulable)
	if pod := b.pod(); pod.Status.Phase != corev1.PodPending || pod.Spec.NodeName != "" {
		t.Errorf("the pod is %s on node %q", pod.Status.Phase, pod.Spec.NodeName)
	}

	switchOn(t, dead)
	first, second := a.ready(), b.ready()
	if *first.Status.Slot != *second.Status.Slot || first.Status.NodeName == second.Status.NodeName {
		t.Errorf("slots %d and %d on %s and %s: want one slot on two nodes",
			*first.Status.Slot, *second.Status.Slot, first.Status.NodeName, second.Status.NodeName)
	}
	condition(t, second, v1alpha1.ConditionPortsAllocated, metav1.ConditionTrue, v1alpha1.ReasonShared)
	va, vb := a.talk(a.desk("101"), "025550101"), b.talk(b.desk("101"), "025550101")
	va.end()
	vb.end()
}

// With no other node to share the slot on, a second tenant gets no ports, and
// is told what to do.
func TestASlotIsNotSharedOnOneNode(t *testing.T) {
	the.installed(t)
	ownClass(t, "e2e-solo", "{from: 16200, to: 16285}", "  scheduling: {nodeSelector: {kubernetes.io/hostname: n1}}\n")
	a := found(t, plan{name: "solo-a", class: "e2e-solo"})
	a.ready()
	b := found(t, plan{name: "solo-b", class: "e2e-solo"})
	c := condition(t, b.tenant(), v1alpha1.ConditionPortsAllocated, metav1.ConditionFalse, v1alpha1.ReasonNoPorts)
	t.Logf("PortsAllocated=False %s: %s", c.Reason, c.Message)
	for _, word := range []string{"e2e-solo", "widen", "add a node"} {
		if !strings.Contains(c.Message, word) {
			t.Errorf("the condition does not say %q", word)
		}
	}
	condition(t, b.tenant(), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNoPorts)

	// The first one goes, and the second gets its slot.
	kubectl(t, "-n", a.name, "delete", "pbxtenant", a.name)
	b.ready()
}
