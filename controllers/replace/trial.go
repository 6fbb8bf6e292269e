package replace

import (
	"context"
	"strings"
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
	"github.com/dipcast/dipcast/controllers/verdict"
)

const (
	// trialTurn is the latest look of a tenant that waits for others' trials;
	// it is woken when they end.
	trialTurn = 5 * time.Minute
	// refusalMost bounds the API server's words in a condition.
	refusalMost = 240
)

// told is the condition Updating of a tenant as it was told last.
func told(t *v1alpha1.PBXTenant) metav1.Condition {
	for _, c := range t.Status.Conditions {
		if c.Type == v1alpha1.ConditionUpdating {
			return c
		}
	}
	return metav1.Condition{}
}

// startTrial makes a trial in the place of the one that is there, once few
// enough of the fleet's are under way. What it returns is a refusal.
func (r *Replacer) startTrial(ctx context.Context, c Case, d *rollout.Decision) (*rollout.Trial, error) {
	if r.trials.Take(client.ObjectKeyFromObject(c.Tenant), d.Update.Since.Time, c.Input.Now) != rollout.TurnGranted {
		d.After = trialTurn
		return nil, nil
	}
	if err := r.endTrial(ctx, c.Trial); err != nil {
		return nil, err
	}
	pod := desired.Trial(c.Tenant, c.Template, c.Pod.Spec.NodeName)
	err := r.Client.Create(ctx, pod, client.FieldOwner(v1alpha1.FieldOwner))
	switch {
	case apierrors.IsAlreadyExists(err):
		return r.foreignTrial(ctx, c.Tenant, pod)
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return refusal("the API server refuses its pod: "+verdict.Short(strings.Join(strings.Fields(err.Error()), " "), refusalMost),
			"allow pod "+pod.Name+" in the namespace, such as by a larger quota"), nil
	}
	return nil, err
}

// foreignTrial looks at what has the trial's name and is not in the cache: the
// trial that was made a moment ago, or somebody's pod.
func (r *Replacer) foreignTrial(ctx context.Context, t *v1alpha1.PBXTenant, pod *corev1.Pod) (*rollout.Trial, error) {
	have := &corev1.Pod{}
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(pod), have)
	if err != nil || metav1.IsControlledBy(have, t) {
		return nil, client.IgnoreNotFound(err)
	}
	return refusal("pod "+pod.Name+" exists and is not the operator's", "delete or rename it"), nil
}

func refusal(cause, cure string) *rollout.Trial {
	return &rollout.Trial{
		State: rollout.TrialRefused, Reason: v1alpha1.ReasonPodRefused, Cause: "is not tried: " + cause, Cure: cure,
	}
}

// endTrial deletes a trial as the cache shows it; it has nothing to end in
// order.
func (r *Replacer) endTrial(ctx context.Context, pod *corev1.Pod) error {
	if pod == nil {
		return nil
	}
	return moved(client.IgnoreNotFound(r.Client.Delete(ctx, pod, &client.DeleteOptions{
		GracePeriodSeconds: ptr.To[int64](0), Preconditions: &metav1.Preconditions{UID: &pod.UID},
	})))
}

// settleTrial gives the tenant's place among the trials to the next, unless one
// is begun, or waits for that.
func (r *Replacer) settleTrial(name types.NamespacedName, in rollout.Input, d rollout.Decision) {
	begun := d.Action == rollout.None && in.Trial.Holds(in.Now)
	if !begun && d.Action != rollout.StartTrial {
		r.trials.Forget(name)
	}
}
