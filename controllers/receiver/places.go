package receiver

import (
	"context"
	"fmt"
	"slices"
	"sync"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/dipcast/dipcast/controllers/desired"
)

// PortName is the name of the receivers' port in the Service that finds them.
const PortName = "callbacks"

// Places knows where the receivers are: what Kubernetes says in the
// EndpointSlices of the operator's own Service. While none is ready it goes on
// with those it knew last: they may be on their way back, and a list that came
// and went would be written for each tenant. Its nil says that there are none to
// be.
type Places struct {
	changed func()

	mu     sync.Mutex
	slices map[string]*discoveryv1.EndpointSlice
	now    desired.Receivers
}

// NewPlaces has the manager watch the Service's EndpointSlices. Changed is called
// when receivers come or go.
func NewPlaces(mgr manager.Manager, service types.NamespacedName, changed func()) (*Places, error) {
	p := &Places{changed: changed, slices: map[string]*discoveryv1.EndpointSlice{}}
	// A cache of its own: that of the operator holds what has a tenant's label.
	own, err := cache.New(mgr.GetConfig(), cache.Options{
		Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient(),
		ByObject: map[client.Object]cache.ByObject{&discoveryv1.EndpointSlice{}: {
			Namespaces: map[string]cache.Config{service.Namespace: {}},
			Label:      labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name}),
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("receivers: %w", err)
	}
	informer, err := own.GetInformer(context.Background(), &discoveryv1.EndpointSlice{}, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("receivers: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    p.put,
		UpdateFunc: func(_, now any) { p.put(now) },
		DeleteFunc: p.drop,
	})
	if err != nil {
		return nil, fmt.Errorf("receivers: %w", err)
	}
	return p, mgr.Add(own)
}

// Now are the receivers; nil for no Places.
func (p *Places) Now() *desired.Receivers {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.now
	return &out
}

func (p *Places) put(object any) {
	if s, ok := object.(*discoveryv1.EndpointSlice); ok {
		p.change(func() { p.slices[s.Name] = s })
	}
}

func (p *Places) drop(object any) {
	if lost, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = lost.Obj
	}
	if s, ok := object.(*discoveryv1.EndpointSlice); ok {
		p.change(func() { delete(p.slices, s.Name) })
	}
}

func (p *Places) change(how func()) {
	p.mu.Lock()
	how()
	next := receiversIn(p.slices)
	news := len(next.Addresses) > 0 && !same(next, p.now)
	if news {
		p.now = next
	}
	p.mu.Unlock()
	if news {
		p.changed()
	}
}

func same(a, b desired.Receivers) bool {
	return a.Family == b.Family && a.Port == b.Port && slices.Equal(a.Addresses, b.Addresses)
}

// receiversIn are the ready ones of one address family, IPv4 before IPv6.
func receiversIn(all map[string]*discoveryv1.EndpointSlice) desired.Receivers {
	for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
		out := desired.Receivers{Family: family}
		for _, s := range all {
			port := portOf(s)
			if s.AddressType != family || port == 0 {
				continue
			}
			out.Port = port
			for _, e := range s.Endpoints {
				if len(e.Addresses) > 0 && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
					out.Addresses = append(out.Addresses, e.Addresses[0])
				}
			}
		}
		if len(out.Addresses) > 0 {
			slices.Sort(out.Addresses)
			out.Addresses = slices.Compact(out.Addresses)
			return out
		}
	}
	return desired.Receivers{}
}

// portOf is the receivers' port in a slice; 0: it has none.
func portOf(s *discoveryv1.EndpointSlice) int32 {
	for _, p := range s.Ports {
		if p.Name != nil && *p.Name == PortName && p.Port != nil {
			return *p.Port
		}
	}
	return 0
}
