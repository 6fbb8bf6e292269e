package controllers

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// event is one change that people are told of. Each has a constructor of its
// own, in this file or beside the reconciler that tells it.
type event struct {
	kind   string // corev1.EventTypeNormal or Warning
	reason string
	action string // what the operator did, one word
	note   string
}

// tell records an event about an object. It is for changes, never for states:
// a reconcile that finds nothing new tells nothing.
func (o *operator) tell(about client.Object, e event) {
	o.recorder.Eventf(about, nil, e.kind, e.reason, e.action, "%s", e.note)
}

// portsChosen tells that a tenant got host ports, or others than before.
func portsChosen(p *v1alpha1.TenantPorts, slot int, class string, moved bool) event {
	note := fmt.Sprintf("slot %d of PBXClass %s: SIP port %d, RTP %s", slot, class, p.SIP, p.RTP)
	if moved {
		return event{corev1.EventTypeWarning, "PortsMoved", "Allocate", note + "; phones must be told the new port"}
	}
	return event{corev1.EventTypeNormal, "PortsAllocated", "Allocate", note}
}

// documentWritten tells that a new document is on its way to the PBX.
func documentWritten(generation string) event {
	return event{corev1.EventTypeNormal, "DocumentWritten", "Configure", "document " + generation + " is on its way to the PBX"}
}

// putBack tells that somebody has changed an object that the operator owns.
func putBack(kind, name string) event {
	return event{corev1.EventTypeWarning, "PutBack", "Apply", kind + " " + name + " was changed outside and was put back"}
}

// becameReady and noLongerReady tell of the one condition that people wait for.
func becameReady(message string) event {
	return event{corev1.EventTypeNormal, "Ready", "Report", message}
}

func noLongerReady(reason, message string) event {
	return event{corev1.EventTypeWarning, "NotReady", "Report", reason + ": " + message}
}

// rejected tells that the manifests have errors.
func rejected(message string) event {
	return event{corev1.EventTypeWarning, "Rejected", "Compile", message}
}

// overloaded and overloadOver tell that new calls are refused, and that they are
// taken again.
func overloaded(message string) event {
	return event{corev1.EventTypeWarning, "Overloaded", "Report", message}
}

func overloadOver() event {
	return event{corev1.EventTypeNormal, "OverloadOver", "Report", "new calls are taken again"}
}

// changes are the events of what a status says now and did not say before.
func changes(before, now []metav1.Condition) []event {
	var out []event
	turned := func(kind string, to metav1.ConditionStatus) *metav1.Condition {
		is, was := meta.FindStatusCondition(now, kind), meta.FindStatusCondition(before, kind)
		if is == nil || is.Status != to || (was != nil && was.Status == to) {
			return nil
		}
		return is
	}
	if c := turned(v1alpha1.ConditionReady, metav1.ConditionTrue); c != nil {
		out = append(out, becameReady(c.Message))
	}
	// A tenant that is being set up was never ready.
	if c := turned(v1alpha1.ConditionReady, metav1.ConditionFalse); c != nil && meta.FindStatusCondition(before, v1alpha1.ConditionReady) != nil {
		out = append(out, noLongerReady(c.Reason, c.Message))
	}
	if c := turned(v1alpha1.ConditionAccepted, metav1.ConditionFalse); c != nil {
		out = append(out, rejected(c.Message))
	}
	if c := turned(v1alpha1.ConditionOverloaded, metav1.ConditionTrue); c != nil {
		out = append(out, overloaded(c.Message))
	}
	if meta.IsStatusConditionTrue(before, v1alpha1.ConditionOverloaded) && turned(v1alpha1.ConditionOverloaded, metav1.ConditionFalse) != nil {
		out = append(out, overloadOver())
	}
	return out
}
