package controllers_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/kubetest"
)

func TestWhatNamesNoTenantIsTold(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	all := []client.Object{
		kubetest.Plan(at.namespace, "seoul", "acme", "101"),
		kubetest.Trunk(at.namespace, "kt", "acme", "02-555-0100"),
		kubetest.Flow(at.namespace, "main", "acme", "101", "02-555-0100"),
	}
	cluster.Create(t, all...)
	for _, o := range all {
		c := cluster.Condition(t, o, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNotFound)
		if !strings.HasPrefix(c.Message, "spec.tenantRef.name acme: there is no such PBXTenant") {
			t.Errorf("%T is told: %s", o, c.Message)
		}
	}
	cluster.Create(t, kubetest.Secret(at.namespace, "kt", map[string]string{"username": "u", "password": "correct horse"}))
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	for _, o := range all {
		cluster.Condition(t, o, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	}
	if err := cluster.Client.Delete(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		cluster.Condition(t, o, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNotFound)
	}
}

func TestTwoTenantsOfOneDomain(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	first := ready(t, kubetest.Tenant(at.namespace, "first", at.class))
	second := kubetest.Tenant(at.namespace, "second", at.class)
	second.Spec.Domain = first.Spec.Domain
	cluster.Create(t, second)
	c := cluster.Condition(t, second, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonDuplicate)
	if strings.Contains(c.Message, "first:") || !strings.Contains(c.Message, "another tenant") {
		t.Errorf("the second tenant is told: %s", c.Message)
	}
	cluster.Condition(t, first, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	if err := cluster.Client.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	cluster.Condition(t, second, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func TestClassesThatOverlap(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	class := &v1alpha1.PBXClass{ObjectMeta: metav1.ObjectMeta{Name: at.class}}
	cluster.Condition(t, class, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	other := kubetest.Class("z-"+at.class, int(class.Spec.Network.PortPool.From), 1)
	cluster.Create(t, other)
	c := cluster.Condition(t, other, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonConflict)
	if !strings.Contains(c.Message, at.class) {
		t.Errorf("the class is told: %s", c.Message)
	}
}
