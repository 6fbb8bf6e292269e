package controllers

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
)

// optional is an API that a cluster may have or not.
type optional struct {
	definition string // name of its CustomResourceDefinition
	kind       schema.GroupVersionKind
	flag       func(*desired.APIs) *bool
}

func optionals() []optional {
	return []optional{
		{"certificates.cert-manager.io", desired.CertificateKind(), func(a *desired.APIs) *bool { return &a.CertManager }},
		{"dnsendpoints.externaldns.k8s.io", desired.DNSEndpointKind(), func(a *desired.APIs) *bool { return &a.ExternalDNS }},
		{"podmonitors.monitoring.coreos.com", desired.PodMonitorKind(), func(a *desired.APIs) *bool { return &a.PodMonitor }},
		{"prometheusrules.monitoring.coreos.com", desired.PrometheusRuleKind(), func(a *desired.APIs) *bool { return &a.PrometheusRule }},
		{"httproutes.gateway.networking.k8s.io", desired.HTTPRouteKind(), func(a *desired.APIs) *bool { return &a.Gateway }},
	}
}

// apis knows which optional APIs the cluster has now. They are looked for at
// the start; afterwards the definitions' events tell. One goroutine at a time
// changes it, any may ask.
type apis struct {
	mgr manager.Manager

	mu      sync.Mutex
	now     desired.APIs
	tenants controller.Controller // watches the objects of an API that has come
}

func (a *apis) present() desired.APIs {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

// detect looks for one API; an error other than its absence is returned.
func (a *apis) detect(o optional) (bool, error) {
	_, err := a.mgr.GetRESTMapper().RESTMapping(o.kind.GroupKind(), o.kind.Version)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	return err == nil, err
}

// come begins to watch the objects of an API; false: it was there before.
func (a *apis) come(o optional) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if *o.flag(&a.now) {
		return false, nil
	}
	owner := handler.EnqueueRequestForOwner(a.mgr.GetScheme(), a.mgr.GetRESTMapper(), &v1alpha1.PBXTenant{}, handler.OnlyControllerOwner())
	if err := a.tenants.Watch(source.Kind[client.Object](a.mgr.GetCache(), a.empty(o), owner)); err != nil {
		return false, fmt.Errorf("watch %s: %w", o.kind.Kind, err)
	}
	*o.flag(&a.now) = true
	return true, nil
}

// gone drops the objects of an API that went away with its definition.
func (a *apis) gone(ctx context.Context, o optional) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !*o.flag(&a.now) {
		return false, nil
	}
	*o.flag(&a.now) = false
	return true, a.mgr.GetCache().RemoveInformer(ctx, a.empty(o))
}

func (a *apis) empty(o optional) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(o.kind)
	return u
}

// reconcileDefinition notices that an optional API has come or gone.
func (o *operator) reconcileDefinition(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	for _, api := range optionals() {
		if api.definition != req.Name {
			continue
		}
		found := definition()
		err := o.client.Get(ctx, types.NamespacedName{Name: req.Name}, found)
		if client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, err
		}
		changed := false
		if err != nil || found.DeletionTimestamp != nil {
			changed, err = o.apis.gone(ctx, api)
		} else {
			changed, err = o.served(api)
		}
		if err != nil {
			return reconcile.Result{}, err
		}
		if changed {
			o.Log.Info("the cluster's optional APIs have changed", "api", api.definition, "present", *api.flag(ptr.To(o.apis.present())))
			o.wakeAll()
		}
	}
	return reconcile.Result{}, nil
}

// served begins with an API once the API server serves it, which is a moment
// after its definition came.
func (o *operator) served(api optional) (changed bool, err error) {
	is, err := o.apis.detect(api)
	if err != nil {
		return false, err
	}
	if !is {
		return false, fmt.Errorf("%s: version %s is not served yet", api.definition, api.kind.Version)
	}
	return o.apis.come(api)
}

// wakeAll reconciles every tenant.
func (o *operator) wakeAll() {
	for _, name := range o.fleet.Names() {
		o.wakers.tenants.wake(name)
	}
}
