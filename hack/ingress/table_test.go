package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "acme", Name: name}
}

// anIngress sends each path of the host to port "http" of Service web.
func anIngress(host string, paths ...string) *networkingv1.Ingress {
	i := &networkingv1.Ingress{ObjectMeta: meta("acme")}
	rule := networkingv1.IngressRule{Host: host}
	rule.HTTP = &networkingv1.HTTPIngressRuleValue{}
	for _, p := range paths {
		rule.HTTP.Paths = append(rule.HTTP.Paths, networkingv1.HTTPIngressPath{
			Path: p, PathType: ptr.To(networkingv1.PathTypePrefix), Backend: networkingv1.IngressBackend{
				Service: &networkingv1.IngressServiceBackend{Name: "web", Port: networkingv1.ServiceBackendPort{Name: "http"}},
			},
		})
	}
	i.Spec.Rules = []networkingv1.IngressRule{rule}
	return i
}

func aService() *corev1.Service {
	return &corev1.Service{ObjectMeta: meta("web"), Spec: corev1.ServiceSpec{
		ClusterIP: "10.215.0.9",
		Ports:     []corev1.ServicePort{{Name: "http", Port: 80}, {Name: "admin", Port: 81}},
	}}
}

func aSlice(name string, port int32, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: meta(name), AddressType: discoveryv1.AddressTypeIPv4, Endpoints: endpoints,
		Ports: []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To(port)}, {Name: ptr.To("admin"), Port: ptr.To[int32](9)}},
	}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: "web"}
	return s
}

func at(address string, ready *bool) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: ready}}
}

func TestEndpoints(t *testing.T) {
	number := func(i *networkingv1.Ingress, n int32) *networkingv1.Ingress {
		i.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Port = networkingv1.ServiceBackendPort{Number: n}
		return i
	}
	elsewhere := aSlice("s", 20017, at("10.213.0.11", nil))
	elsewhere.Namespace = "beta"
	tests := []struct {
		name    string
		ingress *networkingv1.Ingress
		slices  []*discoveryv1.EndpointSlice
		want    []string
	}{
		{"a pod on host networking", anIngress("h", "/"), []*discoveryv1.EndpointSlice{aSlice("s", 20017, at("10.213.0.11", ptr.To(true)))}, []string{"10.213.0.11:20017"}},
		{"unknown readiness counts", anIngress("h", "/"), []*discoveryv1.EndpointSlice{aSlice("s", 80, at("192.0.2.1", nil))}, []string{"192.0.2.1:80"}},
		{"a pod that is not ready", anIngress("h", "/"), []*discoveryv1.EndpointSlice{aSlice("s", 80, at("192.0.2.1", ptr.To(false)))}, nil},
		{"two slices, one address in both", anIngress("h", "/"), []*discoveryv1.EndpointSlice{
			aSlice("s", 80, at("192.0.2.2", nil), at("192.0.2.1", nil)), aSlice("t", 80, at("192.0.2.1", nil)),
		}, []string{"192.0.2.1:80", "192.0.2.2:80"}},
		{"by number", number(anIngress("h", "/"), 81), []*discoveryv1.EndpointSlice{aSlice("s", 80, at("192.0.2.1", nil))}, []string{"192.0.2.1:9"}},
		{"a port that the Service has not", number(anIngress("h", "/"), 82), []*discoveryv1.EndpointSlice{aSlice("s", 80, at("192.0.2.1", nil))}, nil},
		{"a Service of the same name elsewhere", anIngress("h", "/"), []*discoveryv1.EndpointSlice{elsewhere}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := cluster{ingresses: []*networkingv1.Ingress{tt.ingress}, services: []*corev1.Service{aService()}, slices: tt.slices}
			r, ok := newTable(c, "local").route("h", "/x")
			if !ok {
				t.Fatal("no route")
			}
			if diff := cmp.Diff(tt.want, r.endpoints); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRoute(t *testing.T) {
	i := anIngress("acme.pbx.example.com", "/", "/api", "/api/deep/")
	exact := i.Spec.Rules[0].HTTP.Paths[0].DeepCopy()
	exact.Path, exact.PathType = "/api/deep/well", ptr.To(networkingv1.PathTypeExact)
	i.Spec.Rules[0].HTTP.Paths = append(i.Spec.Rules[0].HTTP.Paths, *exact)
	table := newTable(cluster{ingresses: []*networkingv1.Ingress{i}}, "local")
	tests := []struct{ host, path, want string }{
		{"acme.pbx.example.com", "/", "/"},
		{"ACME.pbx.example.com.", "/x", "/"},
		{"acme.pbx.example.com:443", "/apiary", "/"},
		{"acme.pbx.example.com", "/api", "/api"},
		{"acme.pbx.example.com", "/api/", "/api"},
		{"acme.pbx.example.com", "/api/deep", "/api/deep/"},
		{"acme.pbx.example.com", "/api/deep/well", "/api/deep/well"},
		{"acme.pbx.example.com", "/api/deep/well/x", "/api/deep/"},
		{"other.example.com", "/", ""},
		{"", "/", ""},
	}
	for _, tt := range tests {
		if r, _ := table.route(tt.host, tt.path); r.path != tt.want {
			t.Errorf("%s%s goes to %q, want %q", tt.host, tt.path, r.path, tt.want)
		}
	}
}

func TestClass(t *testing.T) {
	for _, tt := range []struct {
		class *string
		want  bool
	}{{nil, true}, {ptr.To("local"), true}, {ptr.To("nginx"), false}} {
		i := anIngress("h", "/")
		i.Spec.IngressClassName = tt.class
		if _, ok := newTable(cluster{ingresses: []*networkingv1.Ingress{i}}, "local").route("h", "/"); ok != tt.want {
			t.Errorf("class %v: served is %v, want %v", tt.class, ok, tt.want)
		}
	}
}
