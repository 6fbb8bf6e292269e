package desired

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/hostport"
)

// Input is everything that the objects of one tenant are made of.
type Input struct {
	Tenant *v1alpha1.PBXTenant
	Class  *v1alpha1.PBXClass
	// Ports of the tenant's slot; zero: the StatefulSet is nil.
	Ports hostport.Ports
	// Document is the JSON of the conf.Document; nil: Objects.Config is nil, and
	// the Secret in the cluster, the last good one, is to be left alone.
	Document []byte
	// Image of the PBX when the class names none.
	Image            string
	ImagePullSecrets []string
	// MonitoringLabels are added to PodMonitor and PrometheusRule: many a
	// Prometheus takes only those with a certain label.
	MonitoringLabels map[string]string
	// Trunks is how many the tenant has; 0: no alert watches them.
	Trunks int
	Node   Node
	APIs   APIs
	// Receivers take the tenant's callbacks; nil: its own PBX does.
	Receivers *Receivers
}

// Node is where the pod runs, or ran last: DNS records do not vanish while a
// pod is replaced. The zero Node means that it never ran.
type Node struct {
	Name      string
	Addresses []string // that are advertised there, IPv4 and/or IPv6
	// SIP and SIPS are the ports that the pod on it listens on; 0: those of
	// Input.Ports.
	SIP, SIPS int
}

// APIs are the optional APIs that the cluster has.
type APIs struct {
	CertManager, ExternalDNS, PodMonitor, PrometheusRule, Gateway bool
}

// Objects are the objects of one tenant; nil = must not exist, but for Config,
// StatefulSet and CallbackSlice, whose absence has a cause of its own in Input.
type Objects struct {
	StatefulSet    *appsv1.StatefulSet
	Config         *corev1.Secret
	Data           *corev1.PersistentVolumeClaim
	Service        *corev1.Service
	Callback       *corev1.Service
	CallbackSlice  *discoveryv1.EndpointSlice
	Budget         *policyv1.PodDisruptionBudget
	Ingress        *networkingv1.Ingress
	Route          *unstructured.Unstructured   // an HTTPRoute
	Certificates   []*unstructured.Unstructured // web, then SIP
	DNSEndpoint    *unstructured.Unstructured
	PodMonitor     *unstructured.Unstructured
	PrometheusRule *unstructured.Unstructured
}

// Build makes the objects of one tenant.
func Build(in Input) Objects {
	// What is built shares no map or pointer with objects of a cache.
	in.Tenant, in.Class = in.Tenant.DeepCopy(), in.Class.DeepCopy()
	return Objects{
		StatefulSet:    statefulSet(in),
		Config:         config(in),
		Data:           data(in),
		Service:        service(in),
		Callback:       callbackService(in),
		CallbackSlice:  callbackSlice(in),
		Budget:         budget(in),
		Ingress:        ingress(in),
		Route:          route(in),
		Certificates:   certificates(in),
		DNSEndpoint:    dnsEndpoint(in),
		PodMonitor:     podMonitor(in),
		PrometheusRule: prometheusRule(in),
	}
}

// All returns the objects that must exist, what a pod needs before the pod.
func (o Objects) All() []client.Object {
	var out []client.Object
	if o.Config != nil {
		out = append(out, o.Config)
	}
	if o.Data != nil {
		out = append(out, o.Data)
	}
	if o.Service != nil {
		out = append(out, o.Service)
	}
	if o.Callback != nil {
		out = append(out, o.Callback)
	}
	if o.CallbackSlice != nil {
		out = append(out, o.CallbackSlice)
	}
	if o.Budget != nil {
		out = append(out, o.Budget)
	}
	if o.StatefulSet != nil {
		out = append(out, o.StatefulSet)
	}
	if o.Ingress != nil {
		out = append(out, o.Ingress)
	}
	if o.Route != nil {
		out = append(out, o.Route)
	}
	for _, c := range o.Certificates {
		out = append(out, c)
	}
	for _, u := range []*unstructured.Unstructured{o.DNSEndpoint, o.PodMonitor, o.PrometheusRule} {
		if u != nil {
			out = append(out, u)
		}
	}
	return out
}
