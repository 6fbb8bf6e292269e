package kubetest

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// CallsPerSlot is the number of calls of a Class; a slot then has 30 ports.
const CallsPerSlot = 3

// Class is a small class whose pool holds that many slots from port from on.
// It runs on nodes with the label pool=NAME, at their internal addresses.
func Class(name string, from, slots int) *v1alpha1.PBXClass {
	return &v1alpha1.PBXClass{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.PBXClassSpec{
			Limits: v1alpha1.ClassLimits{
				Extensions: 50, Registrations: v1alpha1.RegistrationLimits{Operating: 10, Maximum: 20}, ConcurrentCalls: CallsPerSlot,
			},
			Network: v1alpha1.ClassNetwork{
				PortPool:  v1alpha1.PortPool{From: int32(from), To: int32(from + 30*slots - 1)},
				Advertise: v1alpha1.Advertise{From: v1alpha1.AdvertiseNodeInternalIP},
			},
			Scheduling: v1alpha1.ClassScheduling{NodeSelector: map[string]string{"pool": name}},
		},
	}
}

// Node is a ready node of a class with one address, which should be a loopback
// one if pods are to be reached there.
func Node(name, class, address string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"pool": class}},
		Status: corev1.NodeStatus{
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}, {Type: corev1.NodeHostName, Address: name}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
}

// Tenant is a tenant of a class; its domain is made of both names.
func Tenant(namespace, name, class string) *v1alpha1.PBXTenant {
	return &v1alpha1.PBXTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.PBXTenantSpec{ClassName: class, Domain: name + "." + namespace + ".pbx.example.com"},
	}
}

// Plan is a plan with these extensions.
func Plan(namespace, name, tenant string, numbers ...string) *v1alpha1.ExtensionPlan {
	p := &v1alpha1.ExtensionPlan{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.ExtensionPlanSpec{TenantRef: v1alpha1.LocalRef{Name: tenant}},
	}
	for _, n := range numbers {
		p.Spec.Extensions = append(p.Spec.Extensions, v1alpha1.Extension{Number: n})
	}
	return p
}

// Trunk is a trunk that registers with the credentials of Secret NAME.
func Trunk(namespace, name, tenant string, numbers ...string) *v1alpha1.SIPTrunk {
	return &v1alpha1.SIPTrunk{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.SIPTrunkSpec{
			TenantRef: v1alpha1.LocalRef{Name: tenant},
			Hosts:     []v1alpha1.TrunkHost{{Host: "sip.carrier.example"}},
			Auth:      v1alpha1.TrunkAuth{Register: true, SecretRef: &v1alpha1.LocalRef{Name: name}},
			Numbers:   numbers,
			CallerID:  v1alpha1.CallerID{Default: numbers[0]},
		},
	}
}

// Flow leads numbers to an extension.
func Flow(namespace, name, tenant, dial string, numbers ...string) *v1alpha1.CallFlow {
	return &v1alpha1.CallFlow{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.CallFlowSpec{
			TenantRef: v1alpha1.LocalRef{Name: tenant}, Numbers: numbers, WhenOpen: v1alpha1.Action{Dial: dial},
		},
	}
}

// Secret is a Secret as a person makes it.
func Secret(namespace, name string, data map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: data}
}
