package replace

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/rollout"
)

// act does what a decision says.
func (r *Replacer) act(ctx context.Context, c Case, d rollout.Decision) error {
	if d.Drain.Hold > 0 && d.Action != rollout.ForceDrain {
		// One that is not told only lets its successor wait for some seconds.
		_, _ = r.Observer.Drain(ctx, c.PBX, d.Drain)
	}
	switch d.Action {
	case rollout.ForceDrain:
		_, err := r.Observer.Drain(ctx, c.PBX, d.Drain)
		return err
	case rollout.Resume:
		return r.Observer.Resume(ctx, c.PBX)
	case rollout.EndTrial:
		return r.endTrial(ctx, c.Trial)
	case rollout.MakeRoom:
		return r.deletePod(ctx, c.Pod, ptr.To[int64](0))
	case rollout.PatchImage:
		return r.patchImage(ctx, c.Pod.DeepCopy(), c.Input.Wanted.Image)
	case rollout.DeletePod:
		var grace *int64
		if d.Grace > 0 {
			grace = ptr.To(int64(d.Grace / time.Second))
		}
		return r.deletePod(ctx, c.Pod, grace)
	case rollout.ForceDelete:
		return r.deletePod(ctx, c.Pod, ptr.To[int64](0))
	}
	return nil
}

// deletePod deletes the pod as the cache shows it; one that is gone already is
// no error.
func (r *Replacer) deletePod(ctx context.Context, pod *corev1.Pod, grace *int64) error {
	return moved(client.IgnoreNotFound(r.Client.Delete(ctx, pod, &client.DeleteOptions{
		GracePeriodSeconds: grace,
		Preconditions:      &metav1.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion},
	})))
}

// patchImage changes the image of the pod as the cache shows it. Where the
// cluster puts another in its place, the pod remembers for which: it would be
// changed for ever otherwise.
func (r *Replacer) patchImage(ctx context.Context, pod *corev1.Pod, image string) error {
	err := r.patchPod(ctx, pod, map[string]any{
		"metadata": map[string]any{"uid": pod.UID, "resourceVersion": pod.ResourceVersion},
		"spec":     map[string]any{"containers": []any{map[string]any{"name": desired.ContainerPBX, "image": image}}},
	})
	if err != nil {
		return err
	}
	for i := range pod.Spec.Containers {
		if c := &pod.Spec.Containers[i]; c.Name == desired.ContainerPBX && c.Image != image {
			return r.patchPod(ctx, pod, map[string]any{"metadata": map[string]any{
				"uid":         pod.UID,
				"annotations": map[string]any{v1alpha1.AnnotationImage: rollout.Admitted(image, c.Image)},
			}})
		}
	}
	return nil
}

// patchPod changes the pod and leaves in it what the API server made of that;
// a pod that is gone is no error.
func (r *Replacer) patchPod(ctx context.Context, pod *corev1.Pod, patch map[string]any) error {
	raw, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	return moved(client.IgnoreNotFound(r.Client.Patch(ctx, pod, client.RawPatch(types.StrategicMergePatchType, raw))))
}

func moved(err error) error {
	if apierrors.IsConflict(err) {
		return ErrMoved
	}
	return err
}
