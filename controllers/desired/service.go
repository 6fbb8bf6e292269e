package desired

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The ports of the Service; the pod's own differ from tenant to tenant.
const (
	ServiceHTTP  = 80
	ServiceAdmin = 9090
)

// service leads Ingress and operator to the pod. It publishes the pod when it
// is not ready too: a PBX that drains takes no new calls, but those that are
// up still have buttons and a console, and there is no other pod to prefer.
func service(in Input) *corev1.Service {
	port := func(name string, n int32) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Port: n, TargetPort: intstr.FromString(name), Protocol: corev1.ProtocolTCP}
	}
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: meta(in.Tenant, PBXName(in.Tenant.Name), ComponentPBX),
		Spec: corev1.ServiceSpec{
			Type:                     corev1.ServiceTypeClusterIP,
			Selector:                 Selector(in.Tenant.Name),
			PublishNotReadyAddresses: true,
			Ports:                    []corev1.ServicePort{port(PortHTTP, ServiceHTTP), port(PortAdmin, ServiceAdmin)},
		},
	}
}
