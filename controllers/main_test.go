package controllers_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/kubetest"
)

// One API server and the nodes of all tests; each test has its own operator,
// for a namespace of its own.
var (
	cluster *kubetest.Cluster
	nodes   *kubetest.Nodes
	// rights are those of config/rbac: operators of tests have no others.
	rights *rest.Config
)

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	log.SetLogger(logr.Discard())
	if cluster, err = kubetest.Start(ctx); err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := cluster.Stop(); err == nil {
			err = stopErr
		}
	}()
	if rights, err = cluster.AsOperator(ctx); err != nil {
		return 1, err
	}
	if nodes, err = cluster.Nodes(ctx); err != nil {
		return 1, err
	}
	code = m.Run()
	return code, nodes.Stop()
}

// scenery is the place of one test: a namespace, a class with its own ports, a
// node of that class.
type scenery struct {
	namespace, class, node string
	number                 int
}

var places atomic.Int32

// place makes a namespace, and a class of that many slots with one node.
func place(t *testing.T, slots int) scenery {
	t.Helper()
	ns := cluster.Namespace(t)
	n := int(places.Add(1))
	s := scenery{namespace: ns, class: "class-" + ns, node: "node-" + ns, number: n}
	// Pools of classes may not overlap, and no two nodes share an address.
	cluster.Create(t, kubetest.Class(s.class, 10000+n*300, slots), kubetest.Node(s.node, s.class, address(n, 1)))
	return s
}

// address is a loopback address of its own for each node, also beside another
// run of these tests on the machine.
func address(place, node int) string {
	return fmt.Sprintf("127.%d.%d.%d", 64+os.Getpid()%128, place, node)
}

// operate runs an operator for namespaces until the end of the test, or until
// the returned function is called.
func operate(t *testing.T, options controllers.Options, change ...func(*manager.Options)) (stop func()) {
	t.Helper()
	return operateWith(t, options, func(manager.Manager) error { return nil }, change...)
}

// operateWith runs an operator with more in its manager.
func operateWith(t *testing.T, options controllers.Options, more func(manager.Manager) error, change ...func(*manager.Options)) (stop func()) {
	t.Helper()
	mo, err := controllers.ManagerOptions(options.Namespaces)
	if err != nil {
		t.Fatal(err)
	}
	mo.Metrics, mo.Logger, mo.Controller.Logger = server.Options{BindAddress: "0"}, logr.Discard(), logr.Discard()
	for _, c := range change {
		c(&mo)
	}
	mgr, err := manager.New(rights, mo)
	if err != nil {
		t.Fatal(err)
	}
	options.PBXImage = cmp.Or(options.PBXImage, "registry.example/pbx:1")
	options.SameNames = true
	if options.Metrics == nil {
		options.Metrics = prometheus.NewRegistry()
	}
	options.Log = slog.New(slog.DiscardHandler)
	if err := errors.Join(controllers.Setup(mgr, options), more(mgr)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("operator: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// ready applies a tenant and waits until it takes calls.
func ready(t *testing.T, tenant *v1alpha1.PBXTenant) *v1alpha1.PBXTenant {
	t.Helper()
	cluster.Create(t, tenant)
	cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	return tenant
}

func podOf(tenant *v1alpha1.PBXTenant) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Namespace, Name: desired.PodName(tenant.Name)}}
}

func typeName(o client.Object) string { return fmt.Sprintf("%T", o) }

// address is a loopback address of the place's nth node.
func (s scenery) address(n int) string { return address(s.number, n) }

// items are the objects of a list.
func items(t *testing.T, list client.ObjectList) []client.Object {
	t.Helper()
	raw, err := meta.ExtractList(list)
	if err != nil {
		t.Fatal(err)
	}
	var out []client.Object
	for _, r := range raw {
		o, ok := r.(client.Object)
		if !ok {
			t.Fatalf("%T is no object", r)
		}
		out = append(out, o)
	}
	return out
}
