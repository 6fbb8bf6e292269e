package controllers_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/kubetest"
	"github.com/dipcast/dipcast/pbx/conf"
)

// made are all objects that a tenant in a plain cluster consists of.
func made(t *v1alpha1.PBXTenant) []client.Object {
	named := func(o client.Object, name string) client.Object {
		o.SetNamespace(t.Namespace)
		o.SetName(name)
		return o
	}
	return []client.Object{
		named(&appsv1.StatefulSet{}, desired.PBXName(t.Name)),
		named(&corev1.Secret{}, desired.ConfigName(t.Name)),
		named(&corev1.PersistentVolumeClaim{}, desired.DataName(t.Name)),
		named(&corev1.Service{}, desired.PBXName(t.Name)),
		named(&policyv1.PodDisruptionBudget{}, desired.PBXName(t.Name)),
		named(&networkingv1.Ingress{}, desired.WebName(t.Name)),
	}
}

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
	cluster.Condition(t, tenant, v1alpha1.ConditionCapacityPressure, metav1.ConditionFalse, v1alpha1.ReasonWithinLimits)
	for _, o := range []client.Object{plan, trunk, flow} {
		cluster.Condition(t, o, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	}
	cluster.Condition(t, trunk, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonUp)

	status := tenant.Status
	if status.NodeName != at.node || status.Slot == nil || *status.Slot != 0 || status.PortsClass != at.class ||
		!strings.HasPrefix(status.Address, "sip:"+tenant.Spec.Domain+":") || status.ObservedGeneration != tenant.Generation {
		t.Errorf("status: %+v", status)
	}
	for _, o := range made(tenant) {
		if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			t.Errorf("%T: %v", o, err)
		}
		if o.GetLabels()[v1alpha1.LabelTenant] != "acme" {
			t.Errorf("%T has the labels %v", o, o.GetLabels())
		}
	}
	d := document(t, tenant)
	if len(d.Extensions) != 2 || len(d.Trunks) != 1 || d.Trunks[0].Password.Reveal() != "correct horse" || d.Generation != status.ConfigGeneration {
		t.Errorf("document %v, status tells generation %s", d, status.ConfigGeneration)
	}
	pod := podOf(tenant)
	cluster.Exists(t, pod)
	if pod.Annotations[v1alpha1.AnnotationConfigGeneration] != d.Generation {
		t.Errorf("the pod is told generation %q, the document is %q", pod.Annotations[v1alpha1.AnnotationConfigGeneration], d.Generation)
	}
	var class v1alpha1.PBXClass
	class.Name = at.class
	cluster.Wait(t, &class, "its count", func(bool) bool { return class.Status.Tenants == 1 && class.Status.Free == 3 && class.Status.Nodes == 1 })
}

// document reads what the tenant's pod mounts.
func document(t *testing.T, tenant *v1alpha1.PBXTenant) *conf.Document {
	t.Helper()
	var s corev1.Secret
	if err := cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: tenant.Namespace, Name: desired.ConfigName(tenant.Name)}, &s); err != nil {
		t.Fatal(err)
	}
	d, err := conf.Parse(s.Data[v1alpha1.KeyDocument])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// versions are the resource versions of everything that the tenant consists of.
func versions(t *testing.T, tenant *v1alpha1.PBXTenant) map[string]string {
	t.Helper()
	out := map[string]string{}
	var secrets corev1.SecretList
	if err := cluster.Client.List(t.Context(), &secrets, client.InNamespace(tenant.Namespace)); err != nil {
		t.Fatal(err)
	}
	all := append(made(tenant), tenant.DeepCopy(), podOf(tenant))
	for i := range secrets.Items {
		all = append(all, &secrets.Items[i])
	}
	for _, o := range all {
		if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			t.Fatalf("%T: %v", o, err)
		}
		out[typeName(o)+" "+o.GetName()] = o.GetResourceVersion()
	}
	return out
}

// TestReconcilingAgainChangesNothing has a second operator, which remembers
// nothing, reconcile a tenant that is as it should be.
func TestReconcilingAgainChangesNothing(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	stop := operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	cluster.Create(t, kubetest.Plan(at.namespace, "seoul", "acme", "101"))
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	cluster.Condition(t, tenant, v1alpha1.ConditionUpdating, metav1.ConditionFalse, "")
	stop()
	before := versions(t, tenant)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	// Each of these edits is put back by a full reconcile; the first full one has
	// ended when the second edit is put back.
	for range 2 {
		spoil(t, tenant)
	}
	after := versions(t, tenant)
	delete(before, "*v1.Service acme-pbx")
	delete(after, "*v1.Service acme-pbx")
	if !maps.Equal(before, after) {
		for name := range before {
			if before[name] != after[name] {
				t.Errorf("%s was written: version %s, before %s", name, after[name], before[name])
			}
		}
	}
}

// spoil edits the tenant's Service and waits until that is put back.
func spoil(t *testing.T, tenant *v1alpha1.PBXTenant) {
	t.Helper()
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Namespace, Name: desired.PBXName(tenant.Name)}}
	kubetest.Update(t, cluster, s, func(s *corev1.Service) { s.Spec.Ports[0].Port = 8123 })
	cluster.Wait(t, s, "port 80 again", func(bool) bool { return s.Spec.Ports[0].Port == desired.ServiceHTTP })
}

//nolint:tparallel // the edits are of one tenant, one after the other
func TestOutsideEditsArePutBack(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: at.namespace, Name: name} }
	t.Run("replicas", func(t *testing.T) {
		set := &appsv1.StatefulSet{ObjectMeta: meta("acme-pbx")}
		two := int32(2)
		kubetest.Update(t, cluster, set, func(s *appsv1.StatefulSet) { s.Spec.Replicas = &two })
		cluster.Wait(t, set, "one replica", func(bool) bool { return *set.Spec.Replicas == 1 })
	})
	t.Run("something added to a spec", func(t *testing.T) {
		set := &appsv1.StatefulSet{ObjectMeta: meta("acme-pbx")}
		kubetest.Update(t, cluster, set, func(s *appsv1.StatefulSet) {
			c := &s.Spec.Template.Spec.Containers[0]
			c.Env = append(c.Env, corev1.EnvVar{Name: "EXTRA", Value: "1"})
		})
		cluster.Wait(t, set, "the environment as it was", func(bool) bool {
			return !slices.ContainsFunc(set.Spec.Template.Spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "EXTRA" })
		})
	})
	t.Run("the document", func(t *testing.T) {
		secret := &corev1.Secret{ObjectMeta: meta("acme-config")}
		kubetest.Update(t, cluster, secret, func(s *corev1.Secret) { s.Data[v1alpha1.KeyDocument] = []byte("{}") })
		cluster.Wait(t, secret, "the document", func(bool) bool { return len(secret.Data[v1alpha1.KeyDocument]) > 2 })
	})
	t.Run("a label that the cache goes by", func(t *testing.T) {
		service := &corev1.Service{ObjectMeta: meta("acme-pbx")}
		kubetest.Update(t, cluster, service, func(s *corev1.Service) { delete(s.Labels, v1alpha1.LabelTenant) })
		cluster.Wait(t, service, "its label", func(bool) bool { return service.Labels[v1alpha1.LabelTenant] == "acme" })
	})
	t.Run("what others annotate stays", func(t *testing.T) {
		service := &corev1.Service{ObjectMeta: meta("acme-pbx")}
		kubetest.Update(t, cluster, service, func(s *corev1.Service) {
			metav1.SetMetaDataAnnotation(&s.ObjectMeta, "example.com/note", "mine")
			s.Spec.Ports[0].Port = 8123
		})
		ingress := &networkingv1.Ingress{ObjectMeta: meta("acme")}
		kubetest.Update(t, cluster, ingress, func(i *networkingv1.Ingress) {
			metav1.SetMetaDataAnnotation(&i.ObjectMeta, "example.com/note", "mine")
		})
		spoil(t, tenant)
		cluster.Exists(t, ingress)
		if ingress.Annotations["example.com/note"] != "mine" {
			t.Errorf("annotations %v: what an administrator added is gone", ingress.Annotations)
		}
	})
	for _, o := range made(tenant) {
		if _, volume := o.(*corev1.PersistentVolumeClaim); volume {
			continue
		}
		t.Run("deleted "+typeName(o), func(t *testing.T) {
			cluster.Exists(t, o)
			uid := o.GetUID()
			if err := cluster.Client.Delete(t.Context(), o, client.GracePeriodSeconds(0)); err != nil {
				t.Fatal(err)
			}
			cluster.Wait(t, o, "a new one", func(exists bool) bool { return exists && o.GetUID() != uid })
		})
	}
}

func TestAWrongManifestKeepsTheLastGoodDocument(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	plan := kubetest.Plan(at.namespace, "seoul", "acme", "101")
	cluster.Create(t, plan)
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	good := document(t, tenant)

	wrong := kubetest.Plan(at.namespace, "yeosu", "acme", "101")
	cluster.Create(t, wrong)
	c := cluster.Condition(t, wrong, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonDuplicate)
	if !strings.HasPrefix(c.Message, "spec.extensions[0].number 101: ") {
		t.Errorf("the plan is told: %s", c.Message)
	}
	c = cluster.Condition(t, tenant, v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonDuplicate)
	if !strings.HasPrefix(c.Message, "ExtensionPlan "+at.namespace+"/yeosu: spec.extensions[0].number 101: ") {
		t.Errorf("the tenant is told: %s", c.Message)
	}
	cluster.Condition(t, plan, v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	cluster.Condition(t, tenant, v1alpha1.ConditionConfigApplied, metav1.ConditionFalse, v1alpha1.ReasonDuplicate)
	cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonDuplicate)
	if d := document(t, tenant); !d.Equal(good) {
		t.Errorf("the document was changed: %v", d)
	}
	if err := cluster.Client.Delete(t.Context(), wrong); err != nil {
		t.Fatal(err)
	}
	cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	cluster.Condition(t, tenant, v1alpha1.ConditionConfigApplied, metav1.ConditionTrue, v1alpha1.ReasonApplied)
}
