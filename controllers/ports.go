package controllers

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/fleet"
	"github.com/dipcast/dipcast/controllers/hostport"
)

// choosePorts gives the tenant its block of host ports. It is in the status,
// on the API server, before anything is built of it.
func (o *operator) choosePorts(ctx context.Context, s *scene) error {
	held := fleet.Ports(s.tenant.Status.Ports)
	s.ports = held
	if s.class == nil {
		return nil
	}
	network := s.class.Spec.Network
	layout, err := hostport.New(hostport.Pool{From: int(network.PortPool.From), To: int(network.PortPool.To)},
		int(s.class.Spec.Limits.ConcurrentCalls))
	if err != nil {
		o.condition(s, failed(v1alpha1.ConditionPortsAllocated, v1alpha1.ReasonInvalid, fmt.Sprintf("PBXClass %s: %v", s.class.Name, err)))
		return nil
	}
	chosen, err := o.fleet.Assign(s.tenant, s.class.Name, layout, len(s.nodes.Names))
	if err != nil {
		o.condition(s, failed(v1alpha1.ConditionPortsAllocated, v1alpha1.ReasonNoPorts, err.Error()))
		return nil
	}
	s.ports = chosen.Ports
	o.keepPrevious(s, held)
	slot := int32(chosen.Slot)
	s.tenant.Status.Slot, s.tenant.Status.PortsClass = &slot, s.class.Name
	s.tenant.Status.Ports = fleet.StatusPorts(chosen.Ports)
	if s.pod == nil || s.pod.Spec.NodeName == "" {
		s.sharedOn = o.fleet.Nodes(s.name(), chosen.Ports)
	}
	o.condition(s, allocated(chosen))
	if held == chosen.Ports {
		return nil
	}
	if err := o.store(ctx, s); err != nil {
		o.fleet.Release(s.name())
		return err
	}
	o.tell(s.tenant, portsChosen(s.tenant.Status.Ports, chosen.Slot, s.class.Name, !held.Zero()))
	return nil
}

// keepPrevious keeps the block that a pod has, until it is on the new one. While
// there is none the next one may yet be made of the old template.
func (o *operator) keepPrevious(s *scene, held hostport.Ports) {
	status := &s.tenant.Status
	on := podBlock(s.pod)
	switch {
	case s.pod == nil && s.set == nil, on == s.ports:
		status.PreviousPorts = nil
	case !on.Zero():
		status.PreviousPorts = fleet.StatusPorts(on)
	case held != s.ports && !held.Zero():
		status.PreviousPorts = fleet.StatusPorts(held)
	}
}

// podBlock is the whole block of a pod; zero: there is no pod, or it does not say.
// Blocks of two sizes may begin at one port.
func podBlock(pod *corev1.Pod) hostport.Ports {
	if pod == nil {
		return hostport.Ports{}
	}
	declared := func(name string) int32 { return desired.DeclaredPort(pod, name) }
	return fleet.Ports(&v1alpha1.TenantPorts{
		SIP: declared(desired.PortSIPUDP), SIPS: declared(desired.PortSIPS), WSS: declared(desired.PortWSS),
		HTTP: declared(desired.PortHTTP), Admin: declared(desired.PortAdmin), RTP: pod.Annotations[v1alpha1.AnnotationRTP],
	})
}

// podPorts is the SIP port that a pod declares; 0: none.
func podPorts(pod *corev1.Pod) int {
	return int(desired.DeclaredPort(pod, desired.PortSIPUDP))
}

func allocated(a hostport.Assignment) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionPortsAllocated, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAllocated,
		Message: fmt.Sprintf("slot %d: ports %d-%d", a.Slot, a.Ports.SIP, a.Ports.RTPTo),
	}
	if len(a.SharedWith) > 0 {
		c.Reason = v1alpha1.ReasonShared
		c.Message += "; others use them on other nodes: widen the portPool of the class to have them alone"
	}
	return c
}

func failed(kind, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message}
}

func (s *scene) name() types.NamespacedName {
	return types.NamespacedName{Namespace: s.tenant.Namespace, Name: s.tenant.Name}
}
