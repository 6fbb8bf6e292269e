package desired

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// CallbackPath is what leads to the operator's receivers.
const CallbackPath = "/works/callback"

// Receivers are the replicas of the operator that take callbacks of bots.
type Receivers struct {
	Family    discoveryv1.AddressType // of Addresses
	Addresses []string                // none: it is not known where they are
	Port      int32
}

// callbackService is a name of the receivers in the tenant's namespace: an
// Ingress leads only to Services beside it. It has no selector; what stands
// behind it is callbackSlice.
func callbackService(in Input) *corev1.Service {
	if in.Receivers == nil {
		return nil
	}
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: meta(in.Tenant, CallbackName(in.Tenant.Name), ComponentCallback),
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP,
			Ports: []corev1.ServicePort{{
				Name: PortHTTP, Port: ServiceHTTP, TargetPort: intstr.FromString(PortHTTP), Protocol: corev1.ProtocolTCP,
			}},
		},
	}
}

// callbackSlice holds the addresses of the receivers. While they are not known
// the one in the cluster is to be left alone.
func callbackSlice(in Input) *discoveryv1.EndpointSlice {
	if in.Receivers == nil || len(in.Receivers.Addresses) == 0 {
		return nil
	}
	out := &discoveryv1.EndpointSlice{
		TypeMeta:    metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
		ObjectMeta:  meta(in.Tenant, CallbackSliceName(in.Tenant.Name, in.Receivers.Family), ComponentCallback),
		AddressType: in.Receivers.Family,
		Ports: []discoveryv1.EndpointPort{{
			Name: ptr.To(PortHTTP), Port: ptr.To(in.Receivers.Port), Protocol: ptr.To(corev1.ProtocolTCP),
		}},
	}
	out.Labels[discoveryv1.LabelServiceName] = CallbackName(in.Tenant.Name)
	out.Labels[discoveryv1.LabelManagedBy] = out.Labels["app.kubernetes.io/managed-by"]
	for _, a := range in.Receivers.Addresses {
		out.Endpoints = append(out.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{a}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)},
		})
	}
	return out
}
