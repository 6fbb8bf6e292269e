package controllers_test

import (
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/kubetest"
	"github.com/dipcast/dipcast/pbx/conf"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A pod that somebody deletes makes room at once for the next one, while its
// process goes on: the next one takes its calls over.
func TestADeletedPodMakesRoom(t *testing.T) {
	t.Parallel()
	const many = 10_000
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	pbx := nodes.PBX(t, at.namespace, podOf(tenant).Name)
	pbx.Set(func(r *conf.Report) {
		r.ActiveCalls, r.Journal, r.Linger = many, conf.JournalVersion, conf.Duration(time.Hour)
	})
	cluster.Condition(t, tenant, v1alpha1.ConditionCapacityPressure, metav1.ConditionTrue, "") // the operator knows
	before := pod(t, tenant)
	if err := cluster.Client.Delete(t.Context(), before.DeepCopy(), client.GracePeriodSeconds(3600)); err != nil {
		t.Fatal(err)
	}
	if after := another(t, before); after.Spec.NodeName != before.Spec.NodeName {
		t.Errorf("the next pod is on %s, the one before was on %s", after.Spec.NodeName, before.Spec.NodeName)
	}
	if r := pbx.Report(); r.Draining || r.ActiveCalls != many {
		t.Errorf("the calls were touched: %+v", r)
	}
	cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}
