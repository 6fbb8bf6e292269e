package optional

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
)

// API is an API that a cluster may have or not.
type API struct {
	Definition string // name of its CustomResourceDefinition
	Kind       schema.GroupVersionKind
	flag       func(*desired.APIs) *bool
}

// List returns all of them.
func List() []API {
	return []API{
		{"certificates.cert-manager.io", desired.CertificateKind(), func(a *desired.APIs) *bool { return &a.CertManager }},
		{"dnsendpoints.externaldns.k8s.io", desired.DNSEndpointKind(), func(a *desired.APIs) *bool { return &a.ExternalDNS }},
		{"podmonitors.monitoring.coreos.com", desired.PodMonitorKind(), func(a *desired.APIs) *bool { return &a.PodMonitor }},
		{"prometheusrules.monitoring.coreos.com", desired.PrometheusRuleKind(), func(a *desired.APIs) *bool { return &a.PrometheusRule }},
		{"httproutes.gateway.networking.k8s.io", desired.HTTPRouteKind(), func(a *desired.APIs) *bool { return &a.Gateway }},
	}
}

// APIs knows which optional APIs the cluster has now. Make it with New.
type APIs struct {
	mgr manager.Manager

	mu      sync.Mutex
	now     desired.APIs
	tenants controller.Controller // watches the objects of an API that has come
	// expected are those that were there at the start and are not watched yet.
	expected map[string]bool
	patience time.Time // when it ends
}

// New returns a memory of no API.
func New(mgr manager.Manager) *APIs { return &APIs{mgr: mgr, expected: map[string]bool{}} }

// Watch names the controller that watches the objects of APIs that come.
func (a *APIs) Watch(tenants controller.Controller) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tenants = tenants
}

// Present are the APIs that the cluster has now.
func (a *APIs) Present() desired.APIs {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

// startPatience is how long tenants wait at the start for the APIs that were
// found: none is required, and one that is broken must not hold up the fleet.
const startPatience = 10 * time.Second

// Settled reports whether the APIs that were there at the start are watched,
// or have had their time.
func (a *APIs) Settled(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.patience.IsZero() {
		a.patience = now.Add(startPatience)
	}
	return len(a.expected) == 0 || now.After(a.patience)
}

// Expect looks which APIs are there at the start.
func (a *APIs) Expect() error {
	for _, o := range List() {
		is, err := a.Detect(o)
		if err != nil {
			return fmt.Errorf("look for %s: %w", o.Definition, err)
		}
		if is {
			a.mu.Lock()
			a.expected[o.Definition] = true
			a.mu.Unlock()
		}
	}
	return nil
}

// Detect looks for one API; an error other than its absence is returned.
func (a *APIs) Detect(o API) (bool, error) {
	_, err := a.mgr.GetRESTMapper().RESTMapping(o.Kind.GroupKind(), o.Kind.Version)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	return err == nil, err
}

// Come begins to watch the objects of an API; false: it was there before. It
// fails until they could be listed: an API that only says that it is there
// would hold up whoever asks the cache for its objects.
func (a *APIs) Come(ctx context.Context, o API) (bool, error) {
	informer, err := a.mgr.GetCache().GetInformer(ctx, a.empty(o), cache.BlockUntilSynced(false))
	if err != nil {
		return false, fmt.Errorf("watch %s: %w", o.Kind.Kind, err)
	}
	if !informer.HasSynced() {
		return false, fmt.Errorf("%s: its objects are not listed yet", o.Definition)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.expected, o.Definition)
	if *o.flag(&a.now) {
		return false, nil
	}
	owner := handler.EnqueueRequestForOwner(a.mgr.GetScheme(), a.mgr.GetRESTMapper(), &v1alpha1.PBXTenant{}, handler.OnlyControllerOwner())
	if err := a.tenants.Watch(source.Kind[client.Object](a.mgr.GetCache(), a.empty(o), owner)); err != nil {
		return false, fmt.Errorf("watch %s: %w", o.Kind.Kind, err)
	}
	*o.flag(&a.now) = true
	return true, nil
}

// Gone drops the objects of an API that went away with its definition.
func (a *APIs) Gone(ctx context.Context, o API) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	was := *o.flag(&a.now)
	*o.flag(&a.now) = false
	delete(a.expected, o.Definition)
	return was, a.mgr.GetCache().RemoveInformer(ctx, a.empty(o))
}

func (a *APIs) empty(o API) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(o.Kind)
	return u
}
