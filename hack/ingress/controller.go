package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
)

// controller keeps the table like the cluster.
type controller struct {
	client  kubernetes.Interface
	class   string
	address netip.Addr // of the ingress; written into the status of Ingresses
	table   atomic.Pointer[table]
	log     *slog.Logger
}

type listers struct {
	ingresses networkinglisters.IngressLister
	services  corelisters.ServiceLister
	slices    discoverylisters.EndpointSliceLister
	secrets   corelisters.SecretLister
}

// run watches until ctx ends.
func (c *controller) run(ctx context.Context) error {
	all := informers.NewSharedInformerFactory(c.client, 0)
	keys := informers.NewSharedInformerFactoryWithOptions(c.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("type", string(corev1.SecretTypeTLS)).String()
	}))
	l := listers{
		ingresses: all.Networking().V1().Ingresses().Lister(),
		services:  all.Core().V1().Services().Lister(),
		slices:    all.Discovery().V1().EndpointSlices().Lister(),
		secrets:   keys.Core().V1().Secrets().Lister(),
	}
	changed := make(chan struct{}, 1)
	tell := func(any) {
		select {
		case changed <- struct{}{}:
		default: // somebody told already
		}
	}
	for _, i := range []cache.SharedIndexInformer{
		all.Networking().V1().Ingresses().Informer(), all.Core().V1().Services().Informer(),
		all.Discovery().V1().EndpointSlices().Informer(), keys.Core().V1().Secrets().Informer(),
	} {
		handler := cache.ResourceEventHandlerFuncs{AddFunc: tell, UpdateFunc: func(_, o any) { tell(o) }, DeleteFunc: tell}
		if _, err := i.AddEventHandler(handler); err != nil {
			return err
		}
	}
	defer keys.Shutdown()
	defer all.Shutdown()
	all.Start(ctx.Done())
	keys.Start(ctx.Done())
	all.WaitForCacheSync(ctx.Done())
	keys.WaitForCacheSync(ctx.Done())
	for tell(nil); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			if err := c.rebuild(ctx, l); err != nil && ctx.Err() == nil {
				c.log.Error("the table could not be made", "error", err)
			}
		}
	}
}

func (c *controller) rebuild(ctx context.Context, l listers) error {
	var s cluster
	var err error
	if s.ingresses, err = l.ingresses.List(labels.Everything()); err != nil {
		return err
	}
	if s.services, err = l.services.List(labels.Everything()); err != nil {
		return err
	}
	if s.slices, err = l.slices.List(labels.Everything()); err != nil {
		return err
	}
	if s.secrets, err = l.secrets.List(labels.Everything()); err != nil {
		return err
	}
	c.table.Store(newTable(s, c.class))
	for _, i := range s.ingresses {
		if err := c.publish(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// publish tells in the Ingress where it is served.
func (c *controller) publish(ctx context.Context, i *networkingv1.Ingress) error {
	at := i.Status.LoadBalancer.Ingress
	if !served(i, c.class) || len(at) == 1 && at[0].IP == c.address.String() {
		return nil
	}
	i = i.DeepCopy()
	i.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: c.address.String()}}
	_, err := c.client.NetworkingV1().Ingresses(i.Namespace).UpdateStatus(ctx, i, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // its next version comes through the watch
	}
	if err != nil {
		return fmt.Errorf("status of Ingress %s/%s: %w", i.Namespace, i.Name, err)
	}
	return nil
}

// lookup answers for hosts of Ingresses, for Services, and for fixed names.
func (c *controller) lookup(fixed map[string]netip.Addr) lookup {
	return func(name string) (netip.Addr, bool) {
		if a, ok := fixed[name]; ok {
			return a, true
		}
		t := c.table.Load()
		if t == nil {
			return netip.Addr{}, false
		}
		if t.sites[name] != nil {
			return c.address, true
		}
		service, ok := strings.CutSuffix(name, ".svc.cluster.local")
		if !ok {
			return netip.Addr{}, false
		}
		a, ok := t.services[service]
		return a, ok
	}
}
