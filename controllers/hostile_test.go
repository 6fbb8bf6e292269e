package controllers_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/kubetest"
	"github.com/dipcast/dipcast/pbx/conf"
)

// TestAPersonsSecretIsNotTaken: a Secret that has the name of the operator's own
// stays as it is, also when a manifest names it and the operator therefore knows
// it. When it is gone the tenant goes on by itself.
func TestAPersonsSecretIsNotTaken(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	theirs := kubetest.Secret(at.namespace, desired.ConfigName("acme"), map[string]string{"username": "u", "password": "p"})
	trunk := kubetest.Trunk(at.namespace, theirs.Name, "acme", "02-555-0100")
	tenant := kubetest.Tenant(at.namespace, "acme", at.class)
	cluster.Create(t, theirs, trunk, tenant)
	c := cluster.Condition(t, tenant, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonConflict)
	if !strings.Contains(c.Message, theirs.Name) || !strings.Contains(c.Message, "delete or rename it") {
		t.Errorf("the tenant is told: %s", c.Message)
	}
	cluster.Exists(t, theirs)
	if len(theirs.Data) != 2 || len(theirs.OwnerReferences) != 0 {
		t.Errorf("a person's Secret has %d keys and the owners %v", len(theirs.Data), theirs.OwnerReferences)
	}
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(podOf(tenant)), podOf(tenant)); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("a pod was made without a document: %v", err)
	}
	if err := cluster.Client.Delete(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Client.Delete(t.Context(), trunk); err != nil {
		t.Fatal(err)
	}
	cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// TestWhatIsRefusedIsTriedAgain: nothing tells the operator that a Secret is gone
// which it does not know and was in its way.
func TestWhatIsRefusedIsTriedAgain(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	theirs := kubetest.Secret(at.namespace, desired.ConfigName("acme"), map[string]string{"mine": "alone"})
	tenant := kubetest.Tenant(at.namespace, "acme", at.class)
	cluster.Create(t, theirs, tenant)
	cluster.Condition(t, tenant, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonConflict)
	if err := cluster.Client.Delete(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// TestADomainIsNotTaken: the older tenant writes the domain of the younger one
// into its spec, and then the host of its phones.
func TestADomainIsNotTaken(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	thief := ready(t, kubetest.Tenant(at.namespace, "thief", at.class))
	own := thief.Spec.Domain
	victim := ready(t, kubetest.Tenant(at.namespace, "victim", at.class))
	for _, wanted := range []string{victim.Spec.Domain, "sip." + victim.Spec.Domain} {
		kubetest.Update(t, cluster, thief, func(x *v1alpha1.PBXTenant) { x.Spec.Domain = wanted })
		c := cluster.Condition(t, thief, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonDuplicate)
		if strings.Contains(strings.ReplaceAll(c.Message, wanted, ""), "victim") {
			t.Errorf("the thief is told of the other tenant: %s", c.Message)
		}
		cluster.Condition(t, thief, v1alpha1.ConditionConfigApplied, metav1.ConditionFalse, v1alpha1.ReasonDuplicate)
		way := &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: desired.WebName("thief")}}
		cluster.Exists(t, way)
		if host := way.Spec.Rules[0].Host; host != own {
			t.Errorf("the thief's Ingress has the host %s", host)
		}
		if !strings.HasPrefix(thief.Status.Address, "sip:"+own+":") || thief.Status.Domain != own {
			t.Errorf("the thief's status has the address %s, domain %s", thief.Status.Address, thief.Status.Domain)
		}
	}
	// What the victim changes now is in force, as before.
	kubetest.Update(t, cluster, victim, func(x *v1alpha1.PBXTenant) { x.Spec.DisplayName = "Victim" })
	cluster.Condition(t, victim, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	cluster.Wait(t, victim, "its new name in force", func(bool) bool {
		return document(t, victim).Tenant.DisplayName == "Victim" && victim.Status.ConfigGeneration == document(t, victim).Generation
	})
	kubetest.Update(t, cluster, thief, func(x *v1alpha1.PBXTenant) { x.Spec.Domain = own })
	cluster.Condition(t, thief, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}

// TestACordonStrandsNobody: the other node is open, but another tenant has the
// ports there.
func TestACordonStrandsNobody(t *testing.T) {
	t.Parallel()
	at := place(t, 1)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	first := ready(t, kubetest.Tenant(at.namespace, "first", at.class))
	at.secondNode(t)
	ready(t, kubetest.Tenant(at.namespace, "second", at.class))
	before := pod(t, first)
	cordon(t, before.Spec.NodeName, true)
	updating(t, first, metav1.ConditionTrue, v1alpha1.ReasonUnschedulable)
	if now := pod(t, first); now.UID != before.UID || now.DeletionTimestamp != nil {
		t.Errorf("the pod was replaced, and its ports are taken on the only other node: %s", now.Status.Phase)
	}
	cordon(t, before.Spec.NodeName, false)
	upToDate(t, first)
}

// TestACordonDoesNotPartAPodFromItsDisk: the volume is a disk of the node.
func TestACordonDoesNotPartAPodFromItsDisk(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	second := at.secondNode(t)
	disk := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "disk-" + at.namespace},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("20Gi")},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/disk"}},
			NodeAffinity:           hostnames(at.node),
		},
	}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: desired.DataName("acme")}}
	for _, node := range []string{at.node, second} {
		kubetest.Update(t, cluster, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, func(n *corev1.Node) {
			n.Labels[corev1.LabelHostname] = node
		})
	}
	cluster.Create(t, disk)
	kubetest.Update(t, cluster, claim, func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = disk.Name })
	before := pod(t, tenant)
	cordon(t, at.node, true)
	updating(t, tenant, metav1.ConditionTrue, v1alpha1.ReasonUnschedulable)
	if now := pod(t, tenant); now.UID != before.UID || now.DeletionTimestamp != nil {
		t.Error("the pod was taken from the only node that has its volume")
	}
	cordon(t, at.node, false)
	upToDate(t, tenant)
}

func hostnames(nodes ...string) *corev1.VolumeNodeAffinity {
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: nodes}},
	}}}}
}

// TestASmallerSlotIsMovedTo: the new block begins at the same port, and the pod
// still uses the ports beyond its end.
func TestASmallerSlotIsMovedTo(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	before := pod(t, tenant)
	nodes.PBX(t, at.namespace, before.Name).Set(func(r *conf.Report) { r.ActiveCalls = 1 })
	had := *tenant.Status.Ports
	kubetest.Update(t, cluster, &v1alpha1.PBXClass{ObjectMeta: metav1.ObjectMeta{Name: at.class}}, func(c *v1alpha1.PBXClass) {
		c.Spec.Limits.ConcurrentCalls = 1
	})
	updating(t, tenant, metav1.ConditionTrue, v1alpha1.ReasonWaitingForCalls)
	if now := tenant.Status; now.Ports.RTP == had.RTP || now.PreviousPorts == nil || *now.PreviousPorts != had {
		t.Errorf("ports %+v, previous %+v; the pod is on %+v", now.Ports, now.PreviousPorts, had)
	}
	nodes.PBX(t, at.namespace, before.Name).Set(func(r *conf.Report) { r.ActiveCalls = 0 })
	another(t, before)
	upToDate(t, tenant)
	cluster.Wait(t, tenant, "its old ports free", func(bool) bool { return tenant.Status.PreviousPorts == nil })
}
