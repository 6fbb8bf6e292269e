package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
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

// portsChosen tells that a tenant got its host ports.
func portsChosen(note string) event {
	return event{corev1.EventTypeNormal, "PortsAllocated", "Allocate", note}
}
