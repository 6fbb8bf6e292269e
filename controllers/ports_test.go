package controllers_test

import (
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/kubetest"
)

// TestPortsAreInTheStatusBeforeThePod compares the API server's own clock: one
// counter counts all writes.
func TestPortsAreInTheStatusBeforeThePod(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	written, err := cluster.Client.Watch(t.Context(), &v1alpha1.PBXTenantList{}, client.InNamespace(at.namespace))
	if err != nil {
		t.Fatal(err)
	}
	defer written.Stop()
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := kubetest.Tenant(at.namespace, "acme", at.class)
	cluster.Create(t, tenant)
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: desired.PBXName("acme")}}
	made := ""
	cluster.Wait(t, set, "a StatefulSet", func(exists bool) bool {
		if exists && made == "" {
			made = set.ResourceVersion
		}
		return exists
	})
	for e := range written.ResultChan() {
		if seen, ok := e.Object.(*v1alpha1.PBXTenant); ok && seen.Status.Ports != nil {
			if number(t, seen.ResourceVersion) > number(t, made) {
				t.Errorf("the ports were written at %s, the StatefulSet stands since %s at the latest", seen.ResourceVersion, made)
			}
			return
		}
	}
}

func number(t *testing.T, version string) int {
	t.Helper()
	n, err := strconv.Atoi(version)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPortsRunOutAndComeBack(t *testing.T) {
	t.Parallel()
	at := place(t, 1)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	first := ready(t, kubetest.Tenant(at.namespace, "first", at.class))
	second := kubetest.Tenant(at.namespace, "second", at.class)
	cluster.Create(t, second)
	c := cluster.Condition(t, second, v1alpha1.ConditionPortsAllocated, metav1.ConditionFalse, v1alpha1.ReasonNoPorts)
	if !strings.Contains(c.Message, "add a node") || strings.Contains(c.Message, "first") {
		t.Errorf("the tenant without ports is told: %s", c.Message)
	}
	cluster.Condition(t, second, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNoPorts)
	if err := cluster.Client.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	cluster.Condition(t, second, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// TestAnotherNodeTakesWhoSharesASlot also reads what the second tenant is told
// while the only other node is cordoned.
func TestAnotherNodeTakesWhoSharesASlot(t *testing.T) {
	t.Parallel()
	at := place(t, 1)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	first := ready(t, kubetest.Tenant(at.namespace, "first", at.class))
	second := kubetest.Tenant(at.namespace, "second", at.class)
	cluster.Create(t, second)
	cluster.Condition(t, second, v1alpha1.ConditionPortsAllocated, metav1.ConditionFalse, v1alpha1.ReasonNoPorts)

	other := kubetest.Node(at.node+"-b", at.class, at.address(2))
	other.Spec.Unschedulable = true
	cluster.Create(t, other)
	cluster.Condition(t, second, v1alpha1.ConditionPortsAllocated, metav1.ConditionTrue, v1alpha1.ReasonShared)
	c := cluster.Condition(t, second, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnschedulable)
	want := "slot 0 is shared with another tenant that runs on node " + at.node + ": add a node or widen the portPool of PBXClass " + at.class
	if !strings.HasPrefix(c.Message, want) || strings.Contains(c.Message, "first") {
		t.Errorf("the tenant is told: %s", c.Message)
	}
	kubetest.Update(t, cluster, other, func(n *corev1.Node) { n.Spec.Unschedulable = false })
	cluster.Condition(t, second, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	cluster.Exists(t, first)
	if *first.Status.Slot != *second.Status.Slot || first.Status.NodeName == second.Status.NodeName {
		t.Errorf("first: slot %d on %s, second: slot %d on %s", *first.Status.Slot, first.Status.NodeName, *second.Status.Slot, second.Status.NodeName)
	}
}

// TestTenantsThatComeTogetherGetTheirOwnPorts creates many at once, so that
// their reconciles overlap.
func TestTenantsThatComeTogetherGetTheirOwnPorts(t *testing.T) {
	t.Parallel()
	const many = 9
	at := place(t, many)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	var tenants []*v1alpha1.PBXTenant
	for i := range many {
		tenants = append(tenants, kubetest.Tenant(at.namespace, "t"+strconv.Itoa(i), at.class))
		cluster.Create(t, tenants[i])
	}
	owner := map[int32]string{}
	for _, x := range tenants {
		cluster.Condition(t, x, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
		if other, taken := owner[*x.Status.Slot]; taken {
			t.Errorf("%s and %s both have slot %d", x.Name, other, *x.Status.Slot)
		}
		owner[*x.Status.Slot] = x.Name
	}
}

func TestATenantWithoutItsClass(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := kubetest.Tenant(at.namespace, "acme", "no-such-class-"+at.namespace)
	cluster.Create(t, tenant)
	cluster.Condition(t, tenant, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNotFound)
	c := cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNotFound)
	if !strings.Contains(c.Message, "there is no such PBXClass") {
		t.Errorf("the tenant is told: %s", c.Message)
	}
	kubetest.Update(t, cluster, tenant, func(x *v1alpha1.PBXTenant) { x.Spec.ClassName = at.class })
	cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}
