package fields

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/kubetest"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

const (
	samples  = "../../config/samples/demo/"
	domainID = 40029600
	firstBot = 2000001
)

// company is the tenant of the samples with all that belongs to it, in a
// namespace, on a class and on a node of its own.
type company struct {
	namespace, class string
}

// name is what an object of the samples is called here.
func (c company) name(kind string) string {
	return map[string]string{
		"PBXClass": c.class, "PBXTenant": "acme", "ExtensionPlan": "seoul", "SIPTrunk": "kt", "CallFlow": "main", "NaverWorksBot": "acme-bot",
	}[kind]
}

// object returns an empty object of ours.
func (c company) object(kind, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(v1alpha1.GroupVersion().WithKind(kind))
	u.SetName(name)
	if kind != v1alpha1.KindPBXClass {
		u.SetNamespace(c.namespace)
	}
	return u
}

// companies founds n companies, starts the operator and waits until they take
// calls.
func companies(t *testing.T, n int) []company {
	t.Helper()
	works := playWorks(t, n)
	var out []company
	var namespaces []string
	for i := range n {
		out = append(out, found(t, i, works))
		namespaces = append(namespaces, out[i].namespace)
	}
	operate(t, namespaces)
	for _, c := range out {
		c.waitReady(t)
	}
	return out
}

// playWorks is a NAVER WORKS that knows the samples' credentials.
func playWorks(t *testing.T, n int) *sim.Server {
	t.Helper()
	credentials := kindOf(t, manifests(t, samples+"secrets.yaml"), "acme-works")
	key, _, err := unstructured.NestedString(credentials.Object, "stringData", v1alpha1.KeyPrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	config := sim.Config{RatePerMinute: -1, Apps: []sim.App{{
		ClientID: "demo-client", ClientSecret: "demo-client-secret", ServiceAccount: "demo.serviceaccount@acme.example",
		PublicKey: key, DomainID: domainID,
	}}}
	for i := range n {
		config.Bots = append(config.Bots, sim.Bot{BotID: firstBot + int64(i), Name: "전화", Secret: "demo-bot-secret", DomainID: domainID})
	}
	works, err := sim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := works.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := works.Close(); err != nil {
			t.Error(err)
		}
	})
	return works
}

func kindOf(t *testing.T, list []*unstructured.Unstructured, name string) *unstructured.Unstructured {
	t.Helper()
	for _, u := range list {
		if u.GetName() == name {
			return u
		}
	}
	t.Fatalf("the samples have no %s", name)
	return nil
}

// found applies the samples for one company.
func found(t *testing.T, i int, works *sim.Server) company {
	t.Helper()
	ns := cluster.Namespace(t)
	c := company{namespace: ns, class: "class-" + ns}
	address := fmt.Sprintf("127.%d.%d.1", 64+os.Getpid()%128, 1+i)
	cluster.Create(t, kubetest.Class(c.class, 10000+i*1000, 4), kubetest.Node("node-"+ns, c.class, address))
	for _, u := range append(manifests(t, samples+"secrets.yaml"), manifests(t, samples+"tenant.yaml")...) {
		u.SetNamespace(ns)
		set := map[string]any{}
		switch u.GetKind() {
		case "Namespace":
			continue
		case v1alpha1.KindPBXTenant:
			set["spec.className"], set["spec.domain"] = c.class, ns+".pbx.example.com"
		case v1alpha1.KindNaverWorksBot:
			set["spec.botID"] = firstBot + int64(i)
			set["spec.endpoints"] = map[string]any{"api": works.APIURL(), "auth": works.AuthURL()}
		}
		for path, value := range set {
			if err := put(u.Object, path, value); err != nil {
				t.Fatal(err)
			}
		}
		if err := cluster.Client.Create(t.Context(), u); err != nil {
			t.Fatalf("%s %s of the samples: %v", u.GetKind(), u.GetName(), err)
		}
	}
	return c
}

// operate runs the operator until the end of the test.
func operate(t *testing.T, namespaces []string) {
	t.Helper()
	options, err := controllers.ManagerOptions(namespaces)
	if err != nil {
		t.Fatal(err)
	}
	options.Metrics, options.Logger, options.Controller.Logger = server.Options{BindAddress: "0"}, logr.Discard(), logr.Discard()
	mgr, err := manager.New(rights, options)
	if err != nil {
		t.Fatal(err)
	}
	err = controllers.Setup(mgr, controllers.Options{
		Namespaces: namespaces, PBXImage: "registry.example/pbx:1", SameNames: true,
		Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("operator: %v", err)
		}
	})
}

// waitReady waits until the company takes calls with its manifests as they are.
func (c company) waitReady(t *testing.T) {
	t.Helper()
	tenant := c.object(v1alpha1.KindPBXTenant, "acme")
	await(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, "the PBX takes calls")
	await(t, tenant, v1alpha1.ConditionAccepted, metav1.ConditionTrue)
	await(t, tenant, v1alpha1.ConditionConfigApplied, metav1.ConditionTrue)
}

// patience bounds each wait: far longer than it takes, since a busy machine is
// no failure.
const patience = kubetest.Patience

// await waits until a condition of an object tells of the object as it is and
// says all that is wanted.
func await(t *testing.T, u *unstructured.Unstructured, kind string, status metav1.ConditionStatus, says ...string) {
	t.Helper()
	seen, ok := "", false
	until(t, u, func() bool {
		seen, ok = look(u, kind, status, says)
		return ok
	})
	if !ok {
		t.Fatalf("%s %s: no condition %s=%s says %q; it says:%s", u.GetKind(), u.GetName(), kind, status, says, seen)
	}
}

// until reads an object again and again until it is as wanted or the patience
// is at its end.
func until(t *testing.T, o client.Object, ok func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 25*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		err := cluster.Client.Get(ctx, client.ObjectKeyFromObject(o), o)
		return err == nil && ok(), client.IgnoreNotFound(err)
	})
	if err != nil && !wait.Interrupted(err) {
		t.Fatal(err)
	}
}

// look searches an object's conditions, and writes them down.
func look(u *unstructured.Unstructured, kind string, status metav1.ConditionStatus, says []string) (seen string, ok bool) {
	list, _, err := unstructured.NestedSlice(u.Object, "status", "conditions")
	if err != nil {
		return err.Error(), false
	}
	for _, x := range list {
		is, _ := x.(map[string]any)
		seen += fmt.Sprintf("\n  %v=%v %v (generation %v of %d): %v", is["type"], is["status"], is["reason"], is["observedGeneration"], u.GetGeneration(), is["message"])
		if is["type"] != kind || is["status"] != string(status) || is["observedGeneration"] != u.GetGeneration() {
			continue
		}
		message := fmt.Sprint(is["message"])
		ok = !slices.ContainsFunc(says, func(part string) bool { return !strings.Contains(message, part) })
	}
	return seen, ok
}

// works is what of a company must not change: what its PBX runs.
type works struct {
	document []byte
	pod      string // the pod and its container
}

func (c company) works(t *testing.T) works {
	t.Helper()
	secret := &corev1.Secret{}
	pod := &corev1.Pod{}
	for name, o := range map[string]client.Object{desired.ConfigName("acme"): secret, desired.PodName("acme"): pod} {
		if err := cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: c.namespace, Name: name}, o); err != nil {
			t.Fatal(err)
		}
	}
	out := works{document: secret.Data[v1alpha1.KeyDocument], pod: string(pod.UID)}
	for _, s := range pod.Status.ContainerStatuses {
		out.pod += " " + s.ContainerID
	}
	if pod.DeletionTimestamp != nil {
		out.pod += " is being deleted"
	}
	return out
}

// waitBack waits until the company runs the document that it had.
func (c company) waitBack(t *testing.T, before works) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: desired.ConfigName("acme")}}
	back := false
	until(t, secret, func() bool {
		back = bytes.Equal(secret.Data[v1alpha1.KeyDocument], before.document)
		return back
	})
	if !back {
		t.Fatal("the document from before does not come back")
	}
	c.waitReady(t)
}
