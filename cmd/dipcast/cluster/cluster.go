package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Options are the flags that every command has.
type Options struct {
	Kubeconfig string // file; empty: as kubectl finds it
	Context    string // empty: the current one
	Namespace  string // empty: the context's
}

// Cluster is what the commands need of a cluster.
type Cluster struct {
	Reader client.Reader
	// Namespace is that of the flags, else of the context.
	Namespace string
	// Forward opens a connection to a TCP port on the loopback address of a pod.
	Forward func(ctx context.Context, pod types.NamespacedName, port int) (net.Conn, error)
	// Logs reads the log of a pod.
	Logs func(ctx context.Context, pod types.NamespacedName, o *corev1.PodLogOptions) (io.ReadCloser, error)
}

// A person waits for the answer, and a doctor asks much at once.
const (
	queriesPerSecond = 100
	burst            = 200
)

// Connect finds the cluster of the options. It does not speak to it yet.
func Connect(o Options) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
	overrides.Context.Namespace = o.Namespace
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	cfg, err := loader.ClientConfig()
	if err != nil {
		if clientcmd.IsEmptyConfig(err) {
			return nil, errors.New("no kubeconfig: name one with --kubeconfig FILE or the variable KUBECONFIG")
		}
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	return ForConfig(cfg, namespace)
}

// ForConfig is the cluster that cfg leads to.
func ForConfig(cfg *rest.Config, namespace string) (*Cluster, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS, cfg.Burst = queriesPerSecond, burst
	cfg.UserAgent = "kubectl-dipcast"
	// Warnings of the server (deprecations) would stand between our lines.
	cfg.WarningHandler = rest.NoWarnings{}
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	reader, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", cfg.Host, err)
	}
	set, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", cfg.Host, err)
	}
	return &Cluster{
		Reader: reader, Namespace: namespace,
		Forward: forwarder{cfg: cfg, client: set.CoreV1().RESTClient()}.dial,
		Logs: func(ctx context.Context, pod types.NamespacedName, o *corev1.PodLogOptions) (io.ReadCloser, error) {
			return set.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, o).Stream(ctx)
		},
	}, nil
}

// Scheme knows the kinds that the commands read.
func Scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Tenant reads a tenant; the error of one that does not exist tells where to look.
func (c *Cluster) Tenant(ctx context.Context, name types.NamespacedName) (*v1alpha1.PBXTenant, error) {
	t := &v1alpha1.PBXTenant{}
	err := c.Reader.Get(ctx, name, t)
	switch {
	case err == nil:
		return t, nil
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("no PBXTenant %s: kubectl get pbxtenants -A lists them, -n NAMESPACE chooses the namespace", name)
	default:
		return nil, Explain(fmt.Errorf("PBXTenant %s: %w", name, err))
	}
}

// Explain adds the cure to errors of the API server that have a usual one.
func Explain(err error) error {
	switch {
	case err == nil:
		return nil
	case meta.IsNoMatchError(err):
		return fmt.Errorf("%w: the cluster does not know the kinds of DIPCAST: install the chart or the CRDs (config/crd), or choose another cluster with --context", err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w: ask the cluster's administrator for the right, or use another --context", err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%w: the credentials of the kubeconfig are not valid (any more): sign in again", err)
	default:
		return err
	}
}
