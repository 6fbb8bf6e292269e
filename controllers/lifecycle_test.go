package controllers_test

import (
	"slices"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/kubetest"
	"github.com/dipcast/dipcast/pbx/conf"
)

// TestADeletedTenantLeavesItsVolume looks at what the garbage collector would
// leave: everything without an owner.
func TestADeletedTenantLeavesItsVolume(t *testing.T) {
	t.Parallel()
	for _, policy := range []v1alpha1.DeletionPolicy{v1alpha1.DeletionRetain, v1alpha1.DeletionDelete} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			at := place(t, 4)
			operate(t, controllers.Options{Namespaces: []string{at.namespace}})
			cluster.Create(t, kubetest.Plan(at.namespace, "seoul", "acme", "101"))
			tenant := kubetest.Tenant(at.namespace, "acme", at.class)
			tenant.Spec.DeletionPolicy = policy
			ready(t, tenant)
			if err := cluster.Client.Delete(t.Context(), tenant); err != nil {
				t.Fatal(err)
			}
			cluster.Gone(t, tenant)
			cluster.Gone(t, podOf(tenant))
			var left []string
			for _, list := range lists() {
				left = append(left, ownerless(t, list, tenant)...)
			}
			var want []string
			if policy == v1alpha1.DeletionRetain {
				want = []string{desired.DataName("acme")}
			}
			if !slices.Equal(left, want) {
				t.Errorf("the tenant leaves %v, want %v", left, want)
			}
		})
	}
}

// TestATenantTakesUpItsOldVolume makes a tenant anew.
func TestATenantTakesUpItsOldVolume(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	volume := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: desired.DataName("acme")}}
	cluster.Exists(t, volume)
	uid := volume.UID
	if err := cluster.Client.Delete(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	cluster.Gone(t, tenant)
	ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	cluster.Exists(t, volume)
	if volume.UID != uid {
		t.Error("the volume is another one")
	}
}

func TestSecretsAreFollowed(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	trunk := kubetest.Trunk(at.namespace, "kt", "acme", "02-555-0100")
	tenant := kubetest.Tenant(at.namespace, "acme", at.class)
	cluster.Create(t, trunk, tenant)
	c := cluster.Condition(t, trunk, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonSecretMissing)
	if !strings.Contains(c.Message, "create it with the key") {
		t.Errorf("the trunk is told: %s", c.Message)
	}
	secret := kubetest.Secret(at.namespace, "kt", map[string]string{"username": "u", "password": "first one"})
	cluster.Create(t, secret)
	cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	cluster.Wait(t, secret, "the operator's label", func(bool) bool { return secret.Labels[v1alpha1.LabelWatched] == "true" })

	before := document(t, tenant)
	kubetest.Update(t, cluster, secret, func(s *corev1.Secret) { s.Data["password"] = []byte("second one") })
	cluster.Wait(t, tenant, "the rotated password in force", func(bool) bool {
		return tenant.Status.ConfigGeneration != before.Generation && tenant.Status.ConfigGeneration != ""
	})
	if d := document(t, tenant); d.Trunks[0].Password.Reveal() != "second one" {
		t.Errorf("the document has the password %s", d.Trunks[0].Password.Reveal())
	}
	// What the operator made is kept, and made anew when it is gone.
	api := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: compile.APISecret("acme")}}
	cluster.Exists(t, api)
	token := string(api.Data[v1alpha1.KeyToken])
	if err := cluster.Client.Delete(t.Context(), api); err != nil {
		t.Fatal(err)
	}
	cluster.Wait(t, api, "another token", func(exists bool) bool { return exists && string(api.Data[v1alpha1.KeyToken]) != token })
	cluster.Wait(t, tenant, "the PBX with the new token", func(bool) bool {
		return tenant.Status.ConfigGeneration == document(t, tenant).Generation
	})
}

func TestAnAccountsTokenIsNoPassword(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: "robot"}}
	cluster.Create(t, account)
	secret := kubetest.Secret(at.namespace, "kt", map[string]string{"username": "u", "password": "p", "token": "t"})
	secret.Type = corev1.SecretTypeServiceAccountToken
	secret.Annotations = map[string]string{corev1.ServiceAccountNameKey: "robot"}
	trunk := kubetest.Trunk(at.namespace, "kt", "acme", "02-555-0100")
	cluster.Create(t, secret, trunk, kubetest.Tenant(at.namespace, "acme", at.class))
	cluster.Condition(t, trunk, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonSecretMissing)
	cluster.Exists(t, secret)
	if _, labelled := secret.Labels[v1alpha1.LabelWatched]; labelled {
		t.Error("the operator watches an account's token")
	}
}

// TestTheOtherOperatorTakesOver runs two, of which one works.
func TestTheOtherOperatorTakesOver(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	options := controllers.Options{Namespaces: []string{at.namespace}}
	elected := func(m *manager.Options) {
		m.LeaderElection, m.LeaderElectionID, m.LeaderElectionNamespace = true, "dipcast-operator", kubetest.OperatorNamespace
		m.LeaderElectionReleaseOnCancel = true
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: "dipcast-operator"}}
	stop := operate(t, options, elected)
	cluster.Wait(t, lease, "a leader", func(exists bool) bool { return exists && ptr.Deref(lease.Spec.HolderIdentity, "") != "" })
	leader := *lease.Spec.HolderIdentity
	operate(t, options, elected)
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	cluster.Exists(t, lease)
	if *lease.Spec.HolderIdentity != leader {
		t.Errorf("the leader is %s, it was %s", *lease.Spec.HolderIdentity, leader)
	}
	stop()
	cluster.Wait(t, lease, "another leader", func(bool) bool {
		return ptr.Deref(lease.Spec.HolderIdentity, "") != "" && *lease.Spec.HolderIdentity != leader
	})
	cluster.Create(t, kubetest.Plan(at.namespace, "seoul", "acme", "101"))
	cluster.Wait(t, tenant, "the new extension in force", func(bool) bool {
		d := document(t, tenant)
		return len(d.Extensions) == 1 && tenant.Status.ConfigGeneration == d.Generation
	})
	if *tenant.Status.Slot != 0 {
		t.Errorf("the tenant was moved to slot %d", *tenant.Status.Slot)
	}
}

func TestTheStatusFollowsThePBX(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	trunk := kubetest.Trunk(at.namespace, "kt", "acme", "02-555-0100")
	cluster.Create(t, trunk, kubetest.Secret(at.namespace, "kt", map[string]string{"username": "u", "password": "correct horse"}))
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	pbx := nodes.PBX(t, at.namespace, desired.PodName("acme"))

	pbx.Set(func(r *conf.Report) { r.Trunks[0].Up, r.Trunks[0].Why = false, "the carrier answers 403" })
	c := cluster.Condition(t, tenant, v1alpha1.ConditionTrunksUp, metav1.ConditionFalse, v1alpha1.ReasonDown)
	if c.Message != "kt: the carrier answers 403" {
		t.Errorf("the tenant is told: %s", c.Message)
	}
	cluster.Condition(t, trunk, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDown)

	pbx.Set(func(r *conf.Report) { r.Registrations, r.ActiveCalls = 11, 2 })
	cluster.Wait(t, tenant, "its figures", func(bool) bool { return tenant.Status.Registrations == 11 && tenant.Status.ActiveCalls == 2 })
	cluster.Condition(t, tenant, v1alpha1.ConditionCapacityPressure, metav1.ConditionTrue, v1alpha1.ReasonOverOperating)

	pbx.Set(func(r *conf.Report) {
		r.Overload, r.Scarce = "new calls of phones are refused: memory is short", conf.ScarceMemory
	})
	c = cluster.Condition(t, tenant, v1alpha1.ConditionOverloaded, metav1.ConditionTrue, v1alpha1.ReasonMemoryShort)
	if want := "new calls of phones are refused: memory is short: raise resources.limits.memory of PBXClass " + at.class; c.Message != want {
		t.Errorf("the tenant is told: %s, want %s", c.Message, want)
	}
	cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	pbx.Set(func(r *conf.Report) { r.Overload, r.Scarce = "", "" })
	cluster.Condition(t, tenant, v1alpha1.ConditionOverloaded, metav1.ConditionFalse, v1alpha1.ReasonWithinLimits)
	told(t, tenant, "Overloaded", "OverloadOver")

	pbx.Refuse("network.ports: no")
	cluster.Create(t, kubetest.Plan(at.namespace, "seoul", "acme", "101"))
	cluster.Condition(t, tenant, v1alpha1.ConditionConfigApplied, metav1.ConditionFalse, v1alpha1.ReasonRefused)
	cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonRefused)
}

func lists() []client.ObjectList {
	return []client.ObjectList{&corev1.SecretList{}, &corev1.ServiceList{}, &corev1.PersistentVolumeClaimList{}}
}

// ownerless are the objects of a list that outlive the tenant.
func ownerless(t *testing.T, list client.ObjectList, tenant *v1alpha1.PBXTenant) []string {
	t.Helper()
	if err := cluster.Client.List(t.Context(), list, client.InNamespace(tenant.Namespace)); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, o := range items(t, list) {
		if owner := metav1.GetControllerOf(o); owner == nil || owner.UID != tenant.UID {
			out = append(out, o.GetName())
		}
	}
	return out
}

// A PBX whose tenant goes is told that no other takes up its calls.
func TestTheEndOfATenantIsFinal(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	pbx := nodes.PBX(t, at.namespace, podOf(tenant).Name)
	if err := cluster.Client.Delete(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	cluster.Gone(t, tenant)
	if !pbx.Final() {
		t.Error("it would hand its calls over to a process that never comes")
	}
}
