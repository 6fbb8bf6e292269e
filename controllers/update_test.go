package controllers_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/kubetest"
	"github.com/dipcast/dipcast/pbx/conf"
)

const (
	image2 = "registry.example/pbx:2"

	broken  = "registry.example/pbx:" + kubetest.Broken
	brittle = "registry.example/pbx:" + kubetest.Brittle
	missing = "registry.example/pbx:" + kubetest.Missing
)

// setImage changes the image of a place's tenants.
func (s scenery) setImage(t *testing.T, image string) {
	t.Helper()
	kubetest.Update(t, cluster, &v1alpha1.PBXClass{ObjectMeta: metav1.ObjectMeta{Name: s.class}}, func(c *v1alpha1.PBXClass) {
		c.Spec.Image = image
	})
}

// secondNode adds a node to a place.
func (s scenery) secondNode(t *testing.T) string {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: s.node}}
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(node), node); err != nil {
		t.Fatal(err)
	}
	second := kubetest.Node(s.node+"-2", s.class, strings.TrimSuffix(node.Status.Addresses[0].Address, ".1")+".2")
	cluster.Create(t, second)
	return second.Name
}

func cordon(t *testing.T, node string, on bool) {
	t.Helper()
	kubetest.Update(t, cluster, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, func(n *corev1.Node) {
		n.Spec.Unschedulable = on
	})
}

func updating(t *testing.T, tenant *v1alpha1.PBXTenant, status metav1.ConditionStatus, reason string) metav1.Condition {
	t.Helper()
	return cluster.Condition(t, tenant, v1alpha1.ConditionUpdating, status, reason)
}

// upToDate waits until the update has come and gone.
func upToDate(t *testing.T, tenant *v1alpha1.PBXTenant) {
	t.Helper()
	updating(t, tenant, metav1.ConditionFalse, v1alpha1.ReasonUpToDate)
	if tenant.Status.Update != nil {
		t.Errorf("status.update is still %+v", tenant.Status.Update)
	}
}

// pod reads a tenant's pod as it is now.
func pod(t *testing.T, tenant *v1alpha1.PBXTenant) *corev1.Pod {
	t.Helper()
	p := podOf(tenant)
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
		t.Fatal(err)
	}
	return p
}

// runsImage waits until a tenant's pod is ready with an image.
func runsImage(t *testing.T, tenant *v1alpha1.PBXTenant, image string) *corev1.Pod {
	t.Helper()
	p := podOf(tenant)
	cluster.Wait(t, p, "image "+image, func(exists bool) bool {
		return exists && p.Spec.Containers[0].Image == image && len(p.Status.ContainerStatuses) == 1 &&
			p.Status.ContainerStatuses[0].Image == image && p.Status.ContainerStatuses[0].Ready
	})
	return p
}

// another waits for a pod that is not the one before.
func another(t *testing.T, before *corev1.Pod) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: before.Namespace, Name: before.Name}}
	cluster.Wait(t, p, "another pod, ready", func(exists bool) bool {
		return exists && p.UID != before.UID && len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].Ready
	})
	return p
}

// told waits until the events of an object have these reasons, among others.
func told(t *testing.T, about client.Object, reasons ...string) {
	t.Helper()
	for _, reason := range reasons {
		probe := &eventsv1.EventList{}
		deadline := time.After(kubetest.Patience)
		for {
			if err := cluster.Client.List(t.Context(), probe, client.InNamespace(about.GetNamespace())); err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(probe.Items, func(e eventsv1.Event) bool {
				return e.Regarding.Name == about.GetName() && e.Reason == reason
			}) {
				break
			}
			select {
			case <-time.After(100 * time.Millisecond):
			case <-deadline:
				t.Fatalf("no event %s about %s", reason, about.GetName())
			}
		}
	}
}

func TestImageIsChangedInPlace(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	before := pod(t, tenant)
	at.setImage(t, image2)
	after := runsImage(t, tenant, image2)
	if after.UID != before.UID || after.Spec.NodeName != before.Spec.NodeName {
		t.Error("the pod was replaced for another image")
	}
	told(t, tenant, "UpdateStarted", "UpdateDone")
	upToDate(t, tenant)
	cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

func TestUpdateWaitsForCalls(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	stop := operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	pbx := nodes.PBX(t, at.namespace, podOf(tenant).Name)
	pbx.Set(func(r *conf.Report) { r.ActiveCalls = 2 })
	before := pod(t, tenant)
	at.setImage(t, image2)
	c := updating(t, tenant, metav1.ConditionTrue, v1alpha1.ReasonWaitingForCalls)
	if !strings.Contains(c.Message, "2h (update.maxWait of the class)") {
		t.Errorf("message %q", c.Message)
	}
	told(t, tenant, "UpdateWaits")
	if u := tenant.Status.Update; u == nil || u.Reason != "Image" || u.Target != image2 || u.Started {
		t.Errorf("status.update is %+v", u)
	}
	since := tenant.Status.Update.Since

	// Another operator goes on where this one ended.
	stop()
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	at.setImage(t, image2+"b")
	cluster.Wait(t, tenant, "the newer target", func(bool) bool {
		return tenant.Status.Update != nil && tenant.Status.Update.Target == image2+"b"
	})
	if !tenant.Status.Update.Since.Equal(&since) {
		t.Errorf("it waits since %s, and waited since %s", tenant.Status.Update.Since, since)
	}
	if now := pod(t, tenant); now.Spec.Containers[0].Image != before.Spec.Containers[0].Image || pbx.Report().Draining {
		t.Error("the PBX was touched while calls were up")
	}
	pbx.Set(func(r *conf.Report) { r.ActiveCalls = 0 })
	runsImage(t, tenant, image2+"b")
	upToDate(t, tenant)
}

func TestUpdateTakenBack(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	pbx := nodes.PBX(t, at.namespace, podOf(tenant).Name)
	pbx.Set(func(r *conf.Report) { r.ActiveCalls = 1 })
	before := pod(t, tenant)
	at.setImage(t, image2)
	updating(t, tenant, metav1.ConditionTrue, v1alpha1.ReasonWaitingForCalls)
	at.setImage(t, "")
	upToDate(t, tenant)
	if now := pod(t, tenant); now.UID != before.UID || now.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Error("the PBX was restarted for a change that was taken back")
	}
}

func TestMaxWaitEndsCalls(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	var ahead atomic.Int64
	operate(t, controllers.Options{
		Namespaces: []string{at.namespace},
		Now:        func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	pbx := nodes.PBX(t, at.namespace, podOf(tenant).Name)
	pbx.Set(func(r *conf.Report) { r.ActiveCalls = 2 })
	at.setImage(t, image2)
	updating(t, tenant, metav1.ConditionTrue, v1alpha1.ReasonWaitingForCalls)
	ahead.Store(int64(2 * time.Hour))
	pbx.Set(func(r *conf.Report) { r.DatabaseUp = false }) // has the operator look
	runsImage(t, tenant, image2)
	told(t, tenant, "CallsCut", "UpdateDone")
	upToDate(t, tenant)
}

func TestTemplateTakesAnotherPod(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	before := pod(t, tenant)
	kubetest.Update(t, cluster, &v1alpha1.PBXClass{ObjectMeta: metav1.ObjectMeta{Name: at.class}}, func(c *v1alpha1.PBXClass) {
		c.Spec.Scheduling.Tolerations = []corev1.Toleration{{Key: "phones", Operator: corev1.TolerationOpExists}}
	})
	after := another(t, before)
	if after.Annotations[v1alpha1.AnnotationTemplate] == before.Annotations[v1alpha1.AnnotationTemplate] {
		t.Error("the new pod is made of the old template")
	}
	upToDate(t, tenant)
}

func TestDocumentTakesAnotherProcess(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	before := pod(t, tenant)
	nodes.PBX(t, at.namespace, before.Name).Set(func(r *conf.Report) { r.Restart = []string{"database"} })
	another(t, before)
	upToDate(t, tenant)
	cluster.Condition(t, tenant, v1alpha1.ConditionConfigApplied, metav1.ConditionTrue, v1alpha1.ReasonApplied)
}

func TestCordonedNodeIsLeft(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	before := pod(t, tenant)
	pbx := nodes.PBX(t, at.namespace, before.Name)
	pbx.Set(func(r *conf.Report) { r.ActiveCalls = 1 })

	cordon(t, at.node, true)
	c := updating(t, tenant, metav1.ConditionTrue, v1alpha1.ReasonUnschedulable)
	if !strings.Contains(c.Message, "Node "+at.node+" is cordoned") {
		t.Errorf("message %q", c.Message)
	}
	second := at.secondNode(t)
	updating(t, tenant, metav1.ConditionTrue, v1alpha1.ReasonWaitingForCalls)
	if now := pod(t, tenant); now.UID != before.UID {
		t.Error("a call was cut to leave a node")
	}
	pbx.Set(func(r *conf.Report) { r.ActiveCalls = 0 })
	if after := another(t, before); after.Spec.NodeName != second {
		t.Errorf("the pod runs on %s", after.Spec.NodeName)
	}
	upToDate(t, tenant)
	cluster.Wait(t, tenant, "its node", func(bool) bool { return tenant.Status.NodeName == second })
}

func TestDeadNode(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	second := at.secondNode(t)
	before := pod(t, tenant)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: at.node}}
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(node), node); err != nil {
		t.Fatal(err)
	}
	node.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionUnknown, LastTransitionTime: metav1.NewTime(time.Now().Add(-24 * time.Hour)),
	}}
	if err := cluster.Client.Status().Update(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	cordon(t, at.node, true)
	// What evicts a pod from a node that does not answer.
	if err := cluster.Client.Delete(t.Context(), before.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	cluster.Condition(t, tenant, v1alpha1.ConditionPodRunning, metav1.ConditionFalse, "")
	if now := pod(t, tenant); now.UID != before.UID {
		t.Fatal("the pod was replaced while it may run")
	}
	// An administrator's word.
	kubetest.Update(t, cluster, node, func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeOutOfService, Value: "off", Effect: corev1.TaintEffectNoExecute})
	})
	if after := another(t, before); after.Spec.NodeName != second {
		t.Errorf("the pod runs on %s", after.Spec.NodeName)
	}
	told(t, tenant, "PodForced")
	cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}

// TestBadImageIsNotTaken: whatever is wrong with an image, the PBXs go on until
// there is one that runs.
func TestBadImageIsNotTaken(t *testing.T) {
	t.Parallel()
	at := place(t, 6)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}, MaxUpdates: 1})
	var tenants []*v1alpha1.PBXTenant
	var before []*corev1.Pod
	for _, name := range []string{"a", "b", "c"} {
		tenants = append(tenants, ready(t, kubetest.Tenant(at.namespace, name, at.class)))
		before = append(before, pod(t, tenants[len(tenants)-1]))
	}
	for _, bad := range []struct{ image, reason, says string }{
		{missing, v1alpha1.ReasonImagePull, "cannot be had: the registry does not have it"},
		{broken, v1alpha1.ReasonCrashing, "does not run: pbx: no such thing"},
	} {
		at.setImage(t, bad.image)
		for i, tenant := range tenants {
			cluster.Wait(t, tenant, "the word about "+bad.image, func(bool) bool {
				return slices.ContainsFunc(tenant.Status.Conditions, func(c metav1.Condition) bool {
					return c.Type == v1alpha1.ConditionUpdating && c.Reason == bad.reason && strings.Contains(c.Message, bad.image+" "+bad.says)
				})
			})
			if now := pod(t, tenant); now.UID != before[i].UID || now.Spec.Containers[0].Image != before[i].Spec.Containers[0].Image {
				t.Errorf("the PBX of %s was replaced for %s", tenant.Name, bad.image)
			}
			if nodes.PBX(t, at.namespace, before[i].Name).Report().Draining {
				t.Errorf("the PBX of %s takes no calls for %s", tenant.Name, bad.image)
			}
			cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
		}
	}
	at.setImage(t, image2)
	for _, tenant := range tenants {
		runsImage(t, tenant, image2)
		upToDate(t, tenant)
		cluster.Gone(t, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: tenant.Name + "-trial"}})
	}
}

// TestTrialIsTold: what keeps an image from being tried is told, and mended.
func TestTrialIsTold(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	var ahead atomic.Int64
	operate(t, controllers.Options{
		Namespaces: []string{at.namespace},
		Now:        func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	pbx := nodes.PBX(t, at.namespace, podOf(tenant).Name)
	look := func() { pbx.Set(func(r *conf.Report) { r.DatabaseUp = !r.DatabaseUp }) }
	stranger := pod(t, tenant)
	stranger = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: "acme-trial"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "own", Image: stranger.Spec.Containers[0].Image}}, NodeSelector: map[string]string{"no": "node"}},
	}
	if err := cluster.Client.Create(t.Context(), stranger); err != nil {
		t.Fatal(err)
	}
	at.setImage(t, missing)
	c := updating(t, tenant, metav1.ConditionTrue, v1alpha1.ReasonPodRefused)
	if !strings.Contains(c.Message, "pod acme-trial exists and is not the operator's") {
		t.Errorf("message %q", c.Message)
	}
	if err := cluster.Client.Delete(t.Context(), stranger, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	look()
	updating(t, tenant, metav1.ConditionTrue, v1alpha1.ReasonImagePull)

	// It is tried again, and what is told stays.
	trial := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: "acme-trial"}}
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(trial), trial); err != nil {
		t.Fatal(err)
	}
	first := trial.UID
	ahead.Store(int64(3 * time.Minute))
	look()
	cluster.Wait(t, trial, "another trial", func(exists bool) bool { return exists && trial.UID != first })
	updating(t, tenant, metav1.ConditionTrue, v1alpha1.ReasonImagePull)
	at.setImage(t, "")
	upToDate(t, tenant)
	cluster.Gone(t, trial)
}

// TestCrashStopsTheFleet: an image may pass its trial and not stay up.
func TestCrashStopsTheFleet(t *testing.T) {
	t.Parallel()
	at := place(t, 6)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}, MaxUpdates: 2})
	var tenants []*v1alpha1.PBXTenant
	for _, name := range []string{"a", "b", "c", "d"} {
		tenants = append(tenants, ready(t, kubetest.Tenant(at.namespace, name, at.class)))
	}
	at.setImage(t, brittle)
	started, waiting := sortByTurn(t, tenants)
	if len(started) != 2 || len(waiting) != 2 {
		t.Fatalf("%d tenants were begun and %d wait, want 2 and 2", len(started), len(waiting))
	}
	for _, w := range waiting {
		if p := pod(t, w); p.Spec.Containers[0].Image == brittle {
			t.Errorf("%s was begun without a turn", w.Name)
		}
	}
	at.setImage(t, image2)
	for _, tenant := range tenants {
		runsImage(t, tenant, image2)
		upToDate(t, tenant)
		cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	}
}

// sortByTurn waits until each tenant either is being replaced and crashes, or
// waits for its turn.
func sortByTurn(t *testing.T, tenants []*v1alpha1.PBXTenant) (started, waiting []*v1alpha1.PBXTenant) {
	t.Helper()
	for _, tenant := range tenants {
		var reason string
		cluster.Wait(t, tenant, "its turn or a place in the queue", func(bool) bool {
			for _, c := range tenant.Status.Conditions {
				if c.Type == v1alpha1.ConditionUpdating && c.Status == metav1.ConditionTrue {
					reason = c.Reason
					return reason == v1alpha1.ReasonProgressing && tenant.Status.Update.Started || reason == v1alpha1.ReasonWaitingForTurn
				}
			}
			return false
		})
		if reason == v1alpha1.ReasonProgressing {
			started = append(started, tenant)
		} else {
			waiting = append(waiting, tenant)
		}
	}
	return started, waiting
}

// pbx reports whether an object is the pod of a PBX.
func pbx(o client.Object) bool {
	_, pod := o.(*corev1.Pod)
	return pod && o.GetLabels()[v1alpha1.LabelComponent] == desired.ComponentPBX
}

// meddler changes a pod just before the operator does, once.
type meddler struct {
	client.Client
	tries atomic.Int32
}

func (m *meddler) meddle(ctx context.Context, o client.Object) error {
	if m.tries.Add(1) > 1 {
		return nil
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"example.com/at":"`+o.GetResourceVersion()+`"}}}`))
	return cluster.Client.Patch(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName()}}, patch)
}

func (m *meddler) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	if pbx(o) && p.Type() == types.StrategicMergePatchType {
		if err := m.meddle(ctx, o); err != nil {
			return err
		}
	}
	return m.Client.Patch(ctx, o, p, opts...)
}

func (m *meddler) Delete(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	if pbx(o) {
		if err := m.meddle(ctx, o); err != nil {
			return err
		}
	}
	return m.Client.Delete(ctx, o, opts...)
}

// TestPodThatChangedIsLookedAtAgain: a decision is about the pod that was seen,
// not about what it has become.
func TestPodThatChangedIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	m := &meddler{}
	operate(t, controllers.Options{Namespaces: []string{at.namespace}}, func(mo *manager.Options) {
		mo.NewClient = func(config *rest.Config, options client.Options) (client.Client, error) {
			c, err := client.New(config, options)
			m.Client = c
			return m, err
		}
	})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	at.setImage(t, image2)
	if p := runsImage(t, tenant, image2); p.Annotations["example.com/at"] == "" {
		t.Error("nobody meddled")
	}
	upToDate(t, tenant)
	if got := m.tries.Load(); got != 2 {
		t.Errorf("the image was patched %d times, want a refused try and another one", got)
	}
	m.tries.Store(0)
	before := pod(t, tenant)
	kubetest.Update(t, cluster, &v1alpha1.PBXClass{ObjectMeta: metav1.ObjectMeta{Name: at.class}}, func(c *v1alpha1.PBXClass) {
		c.Spec.Scheduling.Tolerations = []corev1.Toleration{{Key: "phones", Operator: corev1.TolerationOpExists}}
	})
	another(t, before)
	upToDate(t, tenant)
	if got := m.tries.Load(); got < 2 {
		t.Errorf("the pod was deleted %d times, want a refused try and another one", got)
	}
}

// mirror is a cluster that puts images of its own registry in the place of
// others.
type mirror struct {
	client.Client
	patches atomic.Int32
}

func (m *mirror) Patch(ctx context.Context, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	if err := m.Client.Patch(ctx, o, p, opts...); err != nil {
		return err
	}
	pod, ok := o.(*corev1.Pod)
	if !ok || p.Type() != types.StrategicMergePatchType || !strings.HasPrefix(pod.Spec.Containers[0].Image, "registry.example/") {
		return nil
	}
	m.patches.Add(1)
	image := strings.Replace(pod.Spec.Containers[0].Image, "registry.example/", "mirror.example/", 1)
	return cluster.Client.Patch(ctx, pod, client.RawPatch(types.StrategicMergePatchType, []byte(
		`{"spec":{"containers":[{"name":"pbx","image":"`+image+`"}]}}`)))
}

func TestMirroredImageIsChangedOnce(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	m := &mirror{}
	operate(t, controllers.Options{Namespaces: []string{at.namespace}}, func(mo *manager.Options) {
		mo.NewClient = func(config *rest.Config, options client.Options) (client.Client, error) {
			c, err := client.New(config, options)
			m.Client = c
			return m, err
		}
	})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	at.setImage(t, image2)
	runsImage(t, tenant, "mirror.example/pbx:2")
	upToDate(t, tenant)
	at.setImage(t, image2+"b")
	runsImage(t, tenant, "mirror.example/pbx:2b")
	upToDate(t, tenant)
	if got := m.patches.Load(); got != 2 {
		t.Errorf("two images took %d patches", got)
	}
}

// An image that takes up the calls of the one before it replaces it under them,
// after the class's short wait for none.
func TestCallsGoOnOverAnImage(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	var ahead atomic.Int64
	operate(t, controllers.Options{
		Namespaces: []string{at.namespace},
		Now:        func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
	})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	pbx := nodes.PBX(t, at.namespace, podOf(tenant).Name)
	pbx.Set(func(r *conf.Report) { r.ActiveCalls, r.Journal = 2, conf.JournalVersion })
	before := pod(t, tenant)
	at.setImage(t, image2)
	cluster.Wait(t, tenant, "the short wait", func(bool) bool {
		for _, c := range tenant.Status.Conditions {
			if c.Type == v1alpha1.ConditionUpdating && strings.Contains(c.Message, "after 2m (update.idleWait of the class) it is made with the calls going on") {
				return true
			}
		}
		return false
	})
	ahead.Store(int64(2 * time.Minute))
	pbx.Set(func(r *conf.Report) { r.DatabaseUp = false }) // has the operator look
	if after := runsImage(t, tenant, image2); after.UID != before.UID {
		t.Error("the pod was replaced for another image")
	}
	told(t, tenant, "UpdateStarted", "UpdateDone")
	upToDate(t, tenant)
	if r := pbx.Report(); r.Draining || r.ActiveCalls != 2 {
		t.Errorf("the calls were touched: %+v", r)
	}
}

// An image that knows no journal waits for the calls as long as the class says.
func TestCallsDoNotGoOnOverAnImageThatForgetsThem(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	pbx := nodes.PBX(t, at.namespace, podOf(tenant).Name)
	pbx.Set(func(r *conf.Report) { r.ActiveCalls, r.Journal = 2, conf.JournalVersion })
	at.setImage(t, "registry.example/pbx:"+kubetest.Forgetful)
	c := updating(t, tenant, metav1.ConditionTrue, v1alpha1.ReasonWaitingForCalls)
	if !strings.Contains(c.Message, "2h (update.maxWait of the class)") {
		t.Errorf("message %q", c.Message)
	}
}
