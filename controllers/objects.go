package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/apply"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/fleet"
	"github.com/dipcast/dipcast/controllers/optional"
)

// applyObjects writes what the tenant's objects should be, where they differ,
// and deletes what must not exist any more. Without a class nothing is touched:
// the PBX goes on as it is.
func (o *operator) applyObjects(ctx context.Context, s *scene) error {
	if s.class == nil || s.ports.Zero() {
		return nil
	}
	in := desired.Input{
		Tenant: s.inForce(), Class: s.class, Ports: s.ports,
		Image: o.PBXImage, ImagePullSecrets: o.ImagePullSecrets, MonitoringLabels: o.MonitoringLabels,
		Trunks: len(s.trunks), Node: o.nodeOf(s), APIs: o.apis.Present(), Receivers: o.receivers.Now(),
	}
	if s.document != nil {
		text, err := json.Marshal(s.document)
		if err != nil {
			return fmt.Errorf("document: %w", err)
		}
		in.Document = text
	}
	if in.Tenant.Spec.Domain == "" {
		// There was no good document yet, and a pod could not start without one.
		return nil
	}
	s.objects = desired.Build(in)
	if s.pod != nil && s.set != nil && len(s.nodes.Names) == 0 {
		// No node fits the class any more. A PBX that runs is not moved to nowhere.
		s.objects.StatefulSet = nil
	}
	for _, want := range s.objects.All() {
		if want == client.Object(s.objects.StatefulSet) && s.document == nil && s.config == nil {
			continue // the document was refused
		}
		outcome, err := o.applier.Apply(ctx, want)
		if err != nil && !permanent(err) {
			return err
		}
		switch {
		case err != nil:
			refused(s, want, err)
		case outcome == apply.PutBack:
			o.tell(s.tenant, putBack(want.GetObjectKind().GroupVersionKind().Kind, want.GetName()))
		case outcome != apply.Unchanged && want == client.Object(s.objects.Config):
			o.tell(s.tenant, documentWritten(s.wanted))
		}
	}
	return o.prune(ctx, s, in.Receivers)
}

// refusedAgain is how often it is tried again what only a person can mend: no
// watch tells that a quota was raised or that somebody's object is gone.
const refusedAgain = 30 * time.Second

// refused goes on without an object that the API server does not take: what was
// there before stays.
func refused(s *scene, want client.Object, err error) {
	s.after(refusedAgain)
	p := compile.Problem{Object: tenantObject(s), Severity: compile.Error, Reason: v1alpha1.ReasonConflict, Message: err.Error()}
	switch want {
	case client.Object(s.objects.Config):
		s.document, s.wanted = nil, s.written()
	case client.Object(s.objects.StatefulSet):
		// The next pod would be made of the template from before: the one that runs
		// needs no replacing.
		s.objects.StatefulSet = nil
	case client.Object(s.objects.Data):
		why, _, _ := strings.Cut(err.Error(), "\n")
		p.Path, p.Message = "spec.storage", "the volume exists and does not change so: put size and storageClassName back; "+why
	}
	s.problems = append(s.problems, p)
}

// permanent reports whether only a person can mend it.
func permanent(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsRequestEntityTooLargeError(err) || errors.Is(err, apply.ErrForeign)
}

// prune deletes those objects whose absence is wanted. Config and StatefulSet
// are not among them: they go with the tenant.
func (o *operator) prune(ctx context.Context, s *scene, receivers *desired.Receivers) error {
	wanted := map[string]bool{}
	for _, want := range s.objects.All() {
		wanted[fmt.Sprintf("%T %v %s", want, want.GetObjectKind().GroupVersionKind().Kind, want.GetName())] = true
	}
	for _, object := range optional.Prunable(s.tenant, o.apis.Present(), receivers) {
		if wanted[fmt.Sprintf("%T %v %s", object, object.GetObjectKind().GroupVersionKind().Kind, object.GetName())] {
			continue
		}
		if _, err := o.applier.Delete(ctx, object, s.tenant.UID); err != nil {
			return err
		}
	}
	return nil
}

// nodeOf is where the PBX runs, or ran last: DNS records outlive the moment in
// which a pod is replaced.
func (o *operator) nodeOf(s *scene) desired.Node {
	n := desired.Node{Name: s.tenant.Status.NodeName}
	if s.pod != nil && s.pod.Spec.NodeName != "" && s.pod.DeletionTimestamp == nil {
		n.Name, n.SIP, n.SIPS = s.pod.Spec.NodeName, podPorts(s.pod), int(desired.DeclaredPort(s.pod, desired.PortSIPS))
	} else if s.tenant.Status.PreviousPorts != nil {
		previous := fleet.Ports(s.tenant.Status.PreviousPorts)
		n.SIP, n.SIPS = previous.SIP, previous.SIPS
	}
	if n.Name == "" {
		return desired.Node{}
	}
	n.Addresses = s.nodes.Advertise[n.Name]
	if static, ok := s.nodes.Advertise[""]; ok {
		n.Addresses = static
	}
	return n
}

const (
	podSoon  = 5 * time.Second
	podLater = 5 * time.Minute
)

// askRefusals reads why a pod that should be there is not: only events tell.
// The longer it lasts the less often it is asked.
func (o *operator) askRefusals(ctx context.Context, s *scene) error {
	if s.pod != nil || s.set == nil || s.set.DeletionTimestamp != nil {
		return nil
	}
	age := o.Now().Sub(s.set.CreationTimestamp.Time)
	s.after(min(max(podSoon, age/2), podLater))
	if age < podSoon/2 {
		return nil
	}
	var events corev1.EventList
	err := o.live.List(ctx, &events, client.InNamespace(s.tenant.Namespace), client.MatchingFields{
		"involvedObject.kind": "StatefulSet", "involvedObject.name": s.set.Name, "reason": "FailedCreate",
	})
	if err != nil {
		return fmt.Errorf("events of StatefulSet %s: %w", s.set.Name, err)
	}
	for i := range events.Items {
		if events.Items[i].InvolvedObject.UID == s.set.UID {
			s.refusals = append(s.refusals, events.Items[i].Message)
		}
	}
	return nil
}
