package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/nodes"
	"github.com/dipcast/dipcast/controllers/replace"
	"github.com/dipcast/dipcast/controllers/rollout"
)

// lookAgain is when the cache shows a pod that changed meanwhile.
const lookAgain = 250 * time.Millisecond

// update replaces the tenant's pod when that is wanted and allowed now, and
// sets the condition Updating and status.update.
func (o *operator) update(ctx context.Context, s *scene) error {
	in := o.rolloutInput(s)
	if in.Pod != nil && in.Pod.Node.Cordoned && s.class != nil {
		others, err := o.otherNodes(ctx, s)
		if err != nil {
			return fmt.Errorf("update: %w", err)
		}
		in.OtherNodes = others
	}
	pbx, _ := s.pbx()
	d, err := o.pbxs.replacer.Replace(ctx, replace.Case{
		Tenant: s.tenant, Pod: s.pod, PBX: pbx, Trial: s.trial, Template: wantedTemplate(s), Input: in,
	})
	if errors.Is(err, replace.ErrMoved) {
		s.after(lookAgain)
		return nil
	}
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	for _, note := range d.Notes {
		o.tell(s.tenant, updateNote(note))
	}
	s.tenant.Status.Update = d.Update
	o.condition(s, d.Condition)
	s.after(d.After)
	o.watchPBX(s)
	return nil
}

// updateNote is one step of an update.
func updateNote(n rollout.Note) event {
	kind := corev1.EventTypeNormal
	if n.Warning {
		kind = corev1.EventTypeWarning
	}
	return event{kind, n.Reason, "Update", n.Message}
}

// rolloutInput is what the decision depends on and the scene knows.
func (o *operator) rolloutInput(s *scene) rollout.Input {
	in := rollout.Input{
		Now: o.Now(), MovedPorts: s.tenant.Status.PreviousPorts != nil,
		NodeDeadAfter: o.NodeDeadAfter,
		Wanted:        wantedPod(s), Pod: rollout.PodOf(s.pod, desired.ContainerPBX, s.podNode),
		Silent: !s.seen.Reachable && s.seen.Error != "",
	}
	if s.seen.Reachable {
		in.Report = s.seen.Report
	}
	if s.class != nil {
		in.Policy, in.MaxWait, in.IdleWait = s.class.Spec.Update.Policy, desired.MaxWait(s.class), desired.IdleWait(s.class)
	}
	return in
}

// wantedPod is what the tenant's pod should be made of.
func wantedPod(s *scene) rollout.Wanted {
	w := rollout.Wanted{Generation: s.wanted}
	if t := wantedTemplate(s); t != nil {
		w.Template, w.Image = templateOf(t)
	}
	return w
}

// wantedTemplate is the pod's template; nil: it is not known.
func wantedTemplate(s *scene) *corev1.PodTemplateSpec {
	switch {
	case s.objects.StatefulSet != nil:
		return &s.objects.StatefulSet.Spec.Template
	case s.set != nil:
		return &s.set.Spec.Template
	}
	return nil
}

func templateOf(t *corev1.PodTemplateSpec) (hash, image string) {
	for i := range t.Spec.Containers {
		if t.Spec.Containers[i].Name == desired.ContainerPBX {
			image = t.Spec.Containers[i].Image
		}
	}
	return t.Annotations[v1alpha1.AnnotationTemplate], image
}

// otherNodes counts the nodes that could take the tenant instead of its own: its
// volume can be there, and nobody there uses its ports. A pod that left without
// one would wait, and the company with it.
func (o *operator) otherNodes(ctx context.Context, s *scene) (int, error) {
	taken := o.fleet.Nodes(s.name(), s.ports)
	var open []corev1.Node
	for i := range s.allNodes {
		node := rollout.NodeOf(s.allNodes[i].Name, &s.allNodes[i])
		if !node.Cordoned && !node.OutOfService && node.NotReady.IsZero() && node.Name != s.pod.Spec.NodeName &&
			!slices.Contains(taken, node.Name) {
			open = append(open, s.allNodes[i])
		}
	}
	if len(open) > 0 && s.claim != nil && s.claim.Spec.VolumeName != "" {
		var volume corev1.PersistentVolume
		err := o.live.Get(ctx, types.NamespacedName{Name: s.claim.Spec.VolumeName}, &volume)
		if client.IgnoreNotFound(err) != nil {
			return 0, err
		}
		open = slices.DeleteFunc(open, func(n corev1.Node) bool { return !nodes.Reaches(&n, volume.Spec.NodeAffinity) })
	}
	return len(nodes.Of(open, s.class).Names), nil
}
