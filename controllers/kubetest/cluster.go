package kubetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Cluster is a real API server with the operator's kinds.
type Cluster struct {
	Config *rest.Config
	Scheme *runtime.Scheme
	// Client reads and writes without a cache.
	Client client.WithWatch

	env *envtest.Environment
}

// Start starts etcd and the API server. Without the programs it fails with the
// command that builds them.
func Start(ctx context.Context) (*Cluster, error) {
	root, err := root()
	if err != nil {
		return nil, err
	}
	assets, err := programs(ctx, root)
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	env := &envtest.Environment{
		BinaryAssetsDirectory: assets,
		CRDDirectoryPaths:     []string{filepath.Join(root, "config", "crd")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := env.Start()
	if err != nil {
		// What was started goes on otherwise.
		return nil, errors.Join(fmt.Errorf("API server: %w", err), env.Stop())
	}
	config.QPS = -1
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, errors.Join(err, env.Stop())
	}
	return &Cluster{Config: config, Scheme: scheme, Client: c, env: env}, nil
}

// Stop ends the API server and etcd.
func (c *Cluster) Stop() error { return c.env.Stop() }

// programs is the folder with etcd and kube-apiserver.
func programs(ctx context.Context, root string) (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir, nil
	}
	script := filepath.Join(root, "hack", "cluster", "kube-bin.sh")
	cmd := exec.CommandContext(ctx, script, "envtest") //nolint:gosec // a script of this repository
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s envtest: %w: run it by hand to see why, or name a folder with etcd and kube-apiserver in KUBEBUILDER_ASSETS", script, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// root is the folder of the module.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("no go.mod above the working folder: run the tests inside the module")
		}
		dir = filepath.Dir(dir)
	}
}

// Namespace makes a namespace for one test. It is not deleted: a bare API
// server never ends the deletion of one.
func (c *Cluster) Namespace(tb testing.TB) string {
	tb.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "t-"}}
	if err := c.Client.Create(tb.Context(), ns); err != nil {
		tb.Fatal(err)
	}
	return ns.Name
}

// Create makes objects, and deletes those that have no namespace at the end of
// the test.
func (c *Cluster) Create(tb testing.TB, objects ...client.Object) {
	tb.Helper()
	for _, o := range objects {
		status := o.DeepCopyObject()
		if err := c.Client.Create(tb.Context(), o); err != nil {
			tb.Fatalf("create %T %s: %v", o, client.ObjectKeyFromObject(o), err)
		}
		n, isNode := o.(*corev1.Node)
		if wanted, ok := status.(*corev1.Node); ok && isNode {
			n.Status = wanted.Status
			if err := c.Client.Status().Update(tb.Context(), n); err != nil {
				tb.Fatalf("status of node %s: %v", n.Name, err)
			}
		}
		if o.GetNamespace() == "" {
			tb.Cleanup(func() {
				if err := c.Client.Delete(context.WithoutCancel(tb.Context()), o); client.IgnoreNotFound(err) != nil {
					tb.Errorf("delete %T %s: %v", o, o.GetName(), err)
				}
			})
		}
	}
}

// Update changes an object as it is on the API server now, again where
// somebody else was faster.
func Update[T client.Object](tb testing.TB, c *Cluster, o T, change func(T)) {
	tb.Helper()
	for {
		if err := c.Client.Get(tb.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			tb.Fatalf("get %T %s: %v", o, client.ObjectKeyFromObject(o), err)
		}
		change(o)
		err := c.Client.Update(tb.Context(), o)
		if err == nil {
			return
		}
		if !isConflict(err) {
			tb.Fatalf("update %T %s: %v", o, client.ObjectKeyFromObject(o), err)
		}
	}
}
