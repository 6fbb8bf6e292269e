package controllers_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/kubetest"
)

func TestATenantBecomesReady(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	plan := kubetest.Plan(at.namespace, "seoul", "acme", "101", "102")
	trunk := kubetest.Trunk(at.namespace, "kt", "acme", "02-555-0100")
	flow := kubetest.Flow(at.namespace, "main", "acme", "101", "02-555-0100")
	cluster.Create(t, plan, flow, trunk, kubetest.Secret(at.namespace, "kt", map[string]string{"username": "u", "password": "correct horse"}))
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	for _, kind := range []string{
		v1alpha1.ConditionAccepted, v1alpha1.ConditionPortsAllocated, v1alpha1.ConditionConfigApplied,
		v1alpha1.ConditionPodRunning, v1alpha1.ConditionTrunksUp, v1alpha1.ConditionExposed,
	} {
		cluster.Condition(t, tenant, kind, metav1.ConditionTrue, "")
	}
	cluster.Condition(t, tenant, v1alpha1.ConditionUpdating, metav1.ConditionFalse, "")
	for _, o := range []interface {
		metav1.Object
	}{plan, trunk, flow} {
		_ = o
	}
	cluster.Condition(t, plan, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	cluster.Condition(t, flow, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	cluster.Condition(t, trunk, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	cluster.Condition(t, trunk, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonUp)
}
