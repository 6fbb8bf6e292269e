package main

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// cluster is what the table is made of.
type cluster struct {
	ingresses []*networkingv1.Ingress
	services  []*corev1.Service
	slices    []*discoveryv1.EndpointSlice
	secrets   []*corev1.Secret
}

// table tells where each request goes. It never changes once made.
type table struct {
	sites    map[string]*site      // by host
	services map[string]netip.Addr // "NAME.NAMESPACE" → its address
}

type site struct {
	routes []route          // the longest path first
	cert   *tls.Certificate // of the Ingress's own Secret; nil: none
}

type route struct {
	path      string
	exact     bool
	endpoints []string // ADDRESS:PORT, ready ones
	service   string   // NAMESPACE/NAME, for messages
}

// newTable makes the table of the Ingresses of one class.
func newTable(c cluster, class string) *table {
	t := &table{sites: make(map[string]*site), services: make(map[string]netip.Addr)}
	for _, s := range c.services {
		if a, err := netip.ParseAddr(s.Spec.ClusterIP); err == nil {
			t.services[s.Name+"."+s.Namespace] = a
		}
	}
	for _, i := range c.ingresses {
		if !served(i, class) {
			continue
		}
		for _, r := range i.Spec.Rules {
			s := t.sites[r.Host]
			if s == nil {
				s = &site{}
				t.sites[r.Host] = s
			}
			if r.HTTP != nil {
				for _, p := range r.HTTP.Paths {
					s.routes = append(s.routes, c.route(i.Namespace, p))
				}
			}
			if cert := c.certificate(i, r.Host); cert != nil {
				s.cert = cert
			}
		}
	}
	for _, s := range t.sites {
		slices.SortStableFunc(s.routes, func(a, b route) int { return cmp.Compare(len(b.path), len(a.path)) })
	}
	return t
}

func served(i *networkingv1.Ingress, class string) bool {
	return i.Spec.IngressClassName == nil || *i.Spec.IngressClassName == class
}

func (c cluster) route(namespace string, p networkingv1.HTTPIngressPath) route {
	r := route{path: p.Path, exact: p.PathType != nil && *p.PathType == networkingv1.PathTypeExact}
	if p.Backend.Service != nil {
		r.service = namespace + "/" + p.Backend.Service.Name
		r.endpoints = c.endpoints(namespace, *p.Backend.Service)
	}
	return r
}

// endpoints are the ready ones of the Service's port. A pod on host
// networking stands in the slice with its node's address.
func (c cluster) endpoints(namespace string, b networkingv1.IngressServiceBackend) (list []string) {
	port, ok := c.portName(namespace, b)
	if !ok {
		return nil
	}
	for _, s := range c.slices {
		if s.Namespace != namespace || s.Labels[discoveryv1.LabelServiceName] != b.Name || s.AddressType == discoveryv1.AddressTypeFQDN {
			continue
		}
		for _, p := range s.Ports {
			if p.Port == nil || p.Name == nil && port != "" || p.Name != nil && *p.Name != port {
				continue
			}
			list = append(list, ready(s.Endpoints, *p.Port)...)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// portName is how EndpointSlices name the port that the backend means.
func (c cluster) portName(namespace string, b networkingv1.IngressServiceBackend) (string, bool) {
	for _, s := range c.services {
		if s.Namespace != namespace || s.Name != b.Name {
			continue
		}
		for _, p := range s.Spec.Ports {
			if b.Port.Name != "" && p.Name == b.Port.Name || b.Port.Name == "" && p.Port == b.Port.Number {
				return p.Name, true
			}
		}
	}
	return "", false
}

func ready(endpoints []discoveryv1.Endpoint, port int32) (list []string) {
	for _, e := range endpoints {
		if e.Conditions.Ready != nil && !*e.Conditions.Ready {
			continue
		}
		for _, a := range e.Addresses {
			list = append(list, net.JoinHostPort(a, strconv.Itoa(int(port))))
		}
	}
	return list
}

// certificate is that of the Secret which the Ingress names for the host.
func (c cluster) certificate(i *networkingv1.Ingress, host string) *tls.Certificate {
	for _, t := range i.Spec.TLS {
		if t.SecretName == "" || !slices.Contains(t.Hosts, host) {
			continue
		}
		for _, s := range c.secrets {
			if s.Namespace != i.Namespace || s.Name != t.SecretName {
				continue
			}
			if pair, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey]); err == nil {
				return &pair
			}
		}
	}
	return nil
}

// route finds the way of a request; false: the host is unknown, or the path.
func (t *table) route(host, path string) (route, bool) {
	s := t.sites[hostOnly(host)]
	if s == nil {
		return route{}, false
	}
	for _, r := range s.routes {
		if r.matches(path) {
			return r, true
		}
	}
	return route{}, false
}

func (r route) matches(path string) bool {
	if r.exact {
		return path == r.path
	}
	prefix := strings.TrimSuffix(r.path, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// hostOnly is the name in a Host header.
func hostOnly(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
