package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/nodes"
	"github.com/dipcast/dipcast/controllers/observer"
	"github.com/dipcast/dipcast/controllers/rollout"
)

// errMoved is that the pod changed since the cache showed it.
var errMoved = errors.New("the pod changed meanwhile")

// lookAgain is when the cache shows a pod that changed meanwhile.
const lookAgain = 250 * time.Millisecond

// passes bounds how often one reconcile asks for a decision: the turn, the
// PBX's answer, what is done then.
const passes = 4

// update replaces the tenant's pod when that is wanted and allowed now, and
// sets the condition Updating and status.update.
func (o *operator) update(ctx context.Context, s *scene) error {
	if err := o.pbxs.seed(ctx, o.client); err != nil {
		return err
	}
	last := o.pbxs.last(s.tenant)
	in := o.rolloutInput(s)
	in.Update = last.update
	name := client.ObjectKeyFromObject(s.tenant)
	d, err := o.carryOut(ctx, s, in)
	if err != nil {
		// Nothing was begun: what was decided before still holds.
		o.pbxs.turns.Settle(name, rollout.Decision{Update: last.update})
		if errors.Is(err, errMoved) {
			s.after(lookAgain)
			return nil
		}
		return fmt.Errorf("update: %w", err)
	}
	act := act(d, s.pod)
	if act == "" || act != last.act {
		for _, note := range d.Notes {
			o.tell(s.tenant, updateNote(note))
		}
	}
	o.pbxs.settle(name, d, act)
	s.tenant.Status.Update = d.Update
	o.condition(s, d.Condition)
	s.after(d.After)
	o.watchPBX(s)
	return nil
}

// act names what was done to which process, so that it is told once although
// the cache may show the old pod for a while.
func act(d rollout.Decision, pod *corev1.Pod) string {
	if d.Action == rollout.None || pod == nil {
		return ""
	}
	return string(d.Action) + " " + rollout.Instance(pod, desired.ContainerPBX)
}

// updateNote is one step of an update.
func updateNote(n rollout.Note) event {
	kind := corev1.EventTypeNormal
	if n.Warning {
		kind = corev1.EventTypeWarning
	}
	return event{kind, n.Reason, "Update", n.Message}
}

// rolloutInput is what the decision depends on, but for the last one.
func (o *operator) rolloutInput(s *scene) rollout.Input {
	in := rollout.Input{
		Now: o.Now(), MovedPorts: s.tenant.Status.PreviousPorts != nil,
		NodeDeadAfter: o.NodeDeadAfter, MaxAtOnce: o.MaxUpdates,
		Wanted: wantedPod(s), Pod: rollout.PodOf(s.pod, desired.ContainerPBX, s.podNode),
		Silent: !s.seen.Reachable && s.seen.Error != "",
	}
	if s.seen.Reachable {
		in.Report = s.seen.Report
	}
	if s.class != nil {
		in.Policy, in.MaxWait = s.class.Spec.Update.Policy, desired.MaxWait(s.class)
	}
	if in.Pod != nil && in.Pod.Node.Cordoned && s.class != nil {
		in.OtherNodes = otherNodes(s)
	}
	return in
}

// wantedPod is what the tenant's pod should be made of.
func wantedPod(s *scene) rollout.Wanted {
	w := rollout.Wanted{Generation: s.wanted}
	set := s.objects.StatefulSet
	if set == nil {
		set = s.set
	}
	if set != nil {
		w.Template, w.Image = templateOf(set)
	}
	return w
}

func templateOf(set *appsv1.StatefulSet) (hash, image string) {
	t := &set.Spec.Template
	for i := range t.Spec.Containers {
		if t.Spec.Containers[i].Name == desired.ContainerPBX {
			image = t.Spec.Containers[i].Image
		}
	}
	return t.Annotations[v1alpha1.AnnotationTemplate], image
}

// otherNodes counts the nodes that could take the tenant instead of its own.
func otherNodes(s *scene) int {
	var open []corev1.Node
	for i := range s.allNodes {
		node := rollout.NodeOf(s.allNodes[i].Name, &s.allNodes[i])
		if !node.Cordoned && !node.OutOfService && node.NotReady.IsZero() && node.Name != s.pod.Spec.NodeName {
			open = append(open, s.allNodes[i])
		}
	}
	return len(nodes.Of(open, s.class).Names)
}

// carryOut asks for decisions and does what they say, until one needs no
// further answer. On an error nothing was changed.
func (o *operator) carryOut(ctx context.Context, s *scene, in rollout.Input) (rollout.Decision, error) {
	name := client.ObjectKeyFromObject(s.tenant)
	target, _ := s.pbx()
	var d rollout.Decision
	for range passes {
		d = rollout.Decide(in)
		switch d.Action {
		case rollout.TakeTurn:
			in.Turn = o.pbxs.turns.Take(name, d.Update.Since.Time, in.Now)
		case rollout.Quiesce:
			in.Quiet = rollout.QuietGranted
			if _, err := o.pbxs.observer.Drain(ctx, target, d.Drain); err != nil {
				in.Quiet = rollout.QuietRefused
			}
		case rollout.ForceDelete:
			sure, err := o.nodeIsDead(ctx, s, in)
			if err != nil || !sure {
				d.Action, d.Notes, d.After = rollout.None, nil, time.Minute
				return d, err
			}
			return d, o.act(ctx, s, target, d, in.Wanted.Image)
		default:
			err := o.act(ctx, s, target, d, in.Wanted.Image)
			if err != nil && in.Quiet == rollout.QuietGranted {
				// The company shall not be without calls while the API server is
				// away. If this fails too, the PBX's own limit ends the drain.
				_ = o.pbxs.observer.Resume(context.WithoutCancel(ctx), target)
			}
			return d, err
		}
	}
	return d, errors.New("the decision about it does not come to an end")
}

// nodeIsDead looks at the node once more, without the cache: a twin of a
// running PBX is the worst that can come of a wrong answer.
func (o *operator) nodeIsDead(ctx context.Context, s *scene, in rollout.Input) (bool, error) {
	node := &corev1.Node{}
	err := o.live.Get(ctx, client.ObjectKey{Name: s.pod.Spec.NodeName}, node)
	if apierrors.IsNotFound(err) {
		node, err = nil, nil
	}
	if err != nil {
		return false, err
	}
	in.Pod = rollout.PodOf(s.pod, desired.ContainerPBX, node)
	return rollout.Decide(in).Action == rollout.ForceDelete, nil
}

// act does what a decision says.
func (o *operator) act(ctx context.Context, s *scene, target observer.Target, d rollout.Decision, image string) error {
	switch d.Action {
	case rollout.ForceDrain:
		_, err := o.pbxs.observer.Drain(ctx, target, d.Drain)
		return err
	case rollout.Resume:
		return o.pbxs.observer.Resume(ctx, target)
	case rollout.PatchImage:
		return o.patchImage(ctx, s.pod.DeepCopy(), image)
	case rollout.DeletePod:
		var grace *int64
		if d.Grace > 0 {
			grace = ptr.To(int64(d.Grace / time.Second))
		}
		return o.deletePod(ctx, s.pod, grace)
	case rollout.ForceDelete:
		return o.deletePod(ctx, s.pod, ptr.To[int64](0))
	}
	return nil
}

// deletePod deletes the pod as the cache shows it; one that is gone already is
// no error.
func (o *operator) deletePod(ctx context.Context, pod *corev1.Pod, grace *int64) error {
	return moved(client.IgnoreNotFound(o.client.Delete(ctx, pod, &client.DeleteOptions{
		GracePeriodSeconds: grace,
		Preconditions:      &metav1.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion},
	})))
}

// patchImage changes the image of the pod as the cache shows it. Where the
// cluster puts another in its place, the pod remembers for which: it would be
// changed for ever otherwise.
func (o *operator) patchImage(ctx context.Context, pod *corev1.Pod, image string) error {
	err := o.patchPod(ctx, pod, map[string]any{
		"metadata": map[string]any{"uid": pod.UID, "resourceVersion": pod.ResourceVersion},
		"spec":     map[string]any{"containers": []any{map[string]any{"name": desired.ContainerPBX, "image": image}}},
	})
	if err != nil {
		return err
	}
	for i := range pod.Spec.Containers {
		if c := &pod.Spec.Containers[i]; c.Name == desired.ContainerPBX && c.Image != image {
			return o.patchPod(ctx, pod, map[string]any{"metadata": map[string]any{
				"uid":         pod.UID,
				"annotations": map[string]any{v1alpha1.AnnotationImage: rollout.Admitted(image, c.Image)},
			}})
		}
	}
	return nil
}

// patchPod changes the pod and leaves in it what the API server made of that;
// a pod that is gone is no error.
func (o *operator) patchPod(ctx context.Context, pod *corev1.Pod, patch map[string]any) error {
	raw, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	return moved(client.IgnoreNotFound(o.client.Patch(ctx, pod, client.RawPatch(types.StrategicMergePatchType, raw))))
}

func moved(err error) error {
	if apierrors.IsConflict(err) {
		return errMoved
	}
	return err
}
