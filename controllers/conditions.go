package controllers

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/condition"
	"github.com/dipcast/dipcast/controllers/podstate"
	"github.com/dipcast/dipcast/pbx/conf"
)

// judge turns what was gathered and done into the tenant's conditions and
// figures. PortsAllocated and Updating are set where they are decided.
func (o *operator) judge(s *scene) {
	if s.problems != nil || s.document != nil {
		o.condition(s, condition.Accepted(s.problems, tenantObject(s)))
	}
	o.condition(s, podRunning(s))
	o.condition(s, condition.Exposed(s.exposure(o.apis.Present())))
	o.places(s)
	told := s.tenant.Status.Conditions
	if s.unknown && meta.IsStatusConditionTrue(told, v1alpha1.ConditionPodRunning) && meta.FindStatusCondition(told, v1alpha1.ConditionReady) != nil {
		// An operator that has just begun has not asked yet. What was told of this
		// PBX stands until it has: an upgrade of the operator is no news.
		return
	}
	o.condition(s, condition.ConfigApplied(s.wanted, s.problems, s.seen))
	o.condition(s, condition.TrunksUp(s.trunks, s.seen))
	o.condition(s, condition.CapacityPressure(s.class, s.seen))
	o.condition(s, condition.Overloaded(s.class, s.seen))
	o.condition(s, condition.Ready(s.tenant.Status.Conditions, s.seen))
	o.figures(s)
}

func podRunning(s *scene) metav1.Condition {
	if s.set == nil && s.pod == nil {
		return failed(v1alpha1.ConditionPodRunning, v1alpha1.ReasonWaiting, "the pod waits for its ports and its document")
	}
	in := podstate.Input{
		Pod: s.pod, Refusals: s.refusals, Claim: s.claim, Class: s.class, SharedOn: s.sharedOn,
		Dead:     s.nodes.Dead(s.allNodes),
		Draining: s.seen.Report != nil && s.seen.Report.Draining,
	}
	if s.tenant.Status.Slot != nil {
		in.Slot = int(*s.tenant.Status.Slot)
	}
	return podstate.Of(in)
}

// places puts into the status where the PBX is.
func (o *operator) places(s *scene) {
	status := &s.tenant.Status
	status.ObservedGeneration = s.tenant.Generation
	status.Address = ""
	status.Domain = s.inForce().Spec.Domain
	if status.Ports != nil && status.Domain != "" {
		port := status.Ports.SIP
		if on := podPorts(s.pod); on != 0 {
			port = int32(on) // while the tenant waits to be moved
		}
		status.Address = fmt.Sprintf("sip:%s:%d", status.Domain, port)
	}
	if s.pod != nil && s.pod.Spec.NodeName != "" {
		status.NodeName = s.pod.Spec.NodeName
	}
}

// figures puts what the PBX counts into the status. They are moments, told at
// the rate at which the observer tells the operator, and none of them alone is
// worth a write more often.
func (o *operator) figures(s *scene) {
	status := &s.tenant.Status
	now := conf.Report{}
	if s.seen.Report != nil && s.seen.Reachable {
		now = *s.seen.Report
	}
	status.ConfigGeneration = now.Generation
	calls, registrations := int32(now.ActiveCalls), int32(now.Registrations)
	if calls == status.ActiveCalls && registrations == status.Registrations {
		return
	}
	if wait := o.fleet.CountsWait(s.name(), o.Now()); wait > 0 {
		s.after(wait)
		return
	}
	status.ActiveCalls, status.Registrations = calls, registrations
}
