package replace

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/observer"
	"github.com/dipcast/dipcast/controllers/rollout"
)

// ErrMoved is that the pod changed since the cache showed it. Nothing was done.
var ErrMoved = errors.New("the pod changed meanwhile")

// passes bounds how often one reconcile asks for a decision: the turn, the
// PBX's answer, what is done then.
const passes = 4

// Options of a Replacer.
type Options struct {
	Client    client.Client // reads from the cache
	Live      client.Reader // reads from the API server
	Observer  *observer.Observer
	MaxAtOnce int                        // tenants of the fleet
	Wake      func(types.NamespacedName) // a tenant whose turn has come
}

// Replacer replaces the PBXs of a fleet. Make it with New.
type Replacer struct {
	Options
	turns  *rollout.Turnstile // for being replaced
	trials *rollout.Turnstile // for trying an image

	mu     sync.Mutex
	seeded bool
	// last is the newest outcome for each tenant, which its status in the cache
	// may not show yet, or never if it could not be written.
	last map[types.NamespacedName]outcome
}

// outcome is what was decided and done about a tenant.
type outcome struct {
	update *v1alpha1.TenantUpdate
	act    string // what was done to which process, "" = nothing
}

// New returns a Replacer that remembers nothing yet.
func New(opts Options) *Replacer {
	return &Replacer{
		Options: opts,
		turns:   rollout.NewTurnstile(opts.MaxAtOnce, opts.Wake),
		trials:  rollout.NewTurnstile(opts.MaxAtOnce, opts.Wake),
		last:    map[types.NamespacedName]outcome{},
	}
}

// Case is a tenant as one reconcile found it.
type Case struct {
	Tenant *v1alpha1.PBXTenant
	Pod    *corev1.Pod     // as the cache shows it; nil: there is none
	PBX    observer.Target // the process in the pod, if one runs
	Trial  *corev1.Pod     // as the cache shows it; nil: there is none
	// Template is what the pod should be made of; nil: it is not known.
	Template *corev1.PodTemplateSpec
	// Input is what the decision depends on, but for what the Replacer knows:
	// Update, Trial, Told, Turn, Quiet and MaxAtOnce.
	Input rollout.Input
}

// Replace does what is next for a tenant's pod and returns what was decided.
// Its Notes are those that were not told before. On an error nothing was
// begun, and what was decided before still holds.
func (r *Replacer) Replace(ctx context.Context, c Case) (rollout.Decision, error) {
	if err := r.seed(ctx); err != nil {
		return rollout.Decision{}, err
	}
	name := client.ObjectKeyFromObject(c.Tenant)
	last := r.lastOf(c.Tenant)
	c.Input.Update, c.Input.MaxAtOnce = last.update, r.MaxAtOnce
	c.Input.Trial, c.Input.Told = rollout.TrialOf(c.Trial), told(c.Tenant)
	d, err := r.carryOut(ctx, c)
	if err != nil {
		r.turns.Settle(name, rollout.Decision{Update: last.update})
		return rollout.Decision{}, err
	}
	act := act(d, c.Pod)
	if act != "" && act == last.act {
		d.Notes = nil
	}
	r.mu.Lock()
	r.last[name] = outcome{update: d.Update.DeepCopy(), act: act}
	r.mu.Unlock()
	r.turns.Settle(name, d)
	r.settleTrial(name, c.Input, d)
	return d, nil
}

// Update returns the update of a tenant as it was decided last, nil for none.
func (r *Replacer) Update(t *v1alpha1.PBXTenant) *v1alpha1.TenantUpdate { return r.lastOf(t).update }

// Forget drops what is remembered of a tenant that is gone, and gives its turn
// to the next.
func (r *Replacer) Forget(name types.NamespacedName) {
	r.turns.Forget(name)
	r.trials.Forget(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, name)
}

// seed tells the turnstile who was being replaced when this operator began.
func (r *Replacer) seed(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seeded {
		return nil
	}
	var all v1alpha1.PBXTenantList
	if err := r.Client.List(ctx, &all); err != nil {
		return fmt.Errorf("tenants that are being replaced: %w", err)
	}
	for i := range all.Items {
		r.turns.Seen(client.ObjectKeyFromObject(&all.Items[i]), all.Items[i].Status.Update)
	}
	r.seeded = true
	return nil
}

func (r *Replacer) lastOf(t *v1alpha1.PBXTenant) outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o, ok := r.last[client.ObjectKeyFromObject(t)]; ok {
		return outcome{update: o.update.DeepCopy(), act: o.act}
	}
	return outcome{update: t.Status.Update.DeepCopy()}
}

// act names what was done to which process, so that it is told once although
// the cache may show the old pod for a while.
func act(d rollout.Decision, pod *corev1.Pod) string {
	if d.Action == rollout.None || pod == nil {
		return ""
	}
	return string(d.Action) + " " + rollout.Instance(pod, desired.ContainerPBX)
}

// carryOut asks for decisions and does what they say, until one needs no
// further answer. On an error nothing was changed.
func (r *Replacer) carryOut(ctx context.Context, c Case) (rollout.Decision, error) {
	in := c.Input
	var d rollout.Decision
	for range passes {
		d = rollout.Decide(in)
		switch d.Action {
		case rollout.TakeTurn:
			in.Turn = r.turns.Take(client.ObjectKeyFromObject(c.Tenant), d.Update.Since.Time, in.Now)
		case rollout.Quiesce:
			in.Quiet = rollout.QuietGranted
			if _, err := r.Observer.Drain(ctx, c.PBX, d.Drain); err != nil {
				in.Quiet = rollout.QuietRefused
			}
		case rollout.StartTrial:
			refused, err := r.startTrial(ctx, c, &d)
			if err != nil || refused == nil {
				return d, err
			}
			in.Trial = refused
		case rollout.ForceDelete:
			sure, err := r.nodeIsDead(ctx, c.Pod, in)
			if err != nil || !sure {
				d.Action, d.Notes, d.After = rollout.None, nil, time.Minute
				return d, err
			}
			return d, r.act(ctx, c, d)
		default:
			err := r.act(ctx, c, d)
			if err != nil && (in.Quiet == rollout.QuietGranted || d.Drain.Hold > 0 && d.Action != rollout.ForceDrain) {
				// The company shall not be without calls while the API server is
				// away. If this fails too, the PBX's own limit ends the drain.
				_ = r.Observer.Resume(context.WithoutCancel(ctx), c.PBX)
			}
			return d, err
		}
	}
	return d, errors.New("the decision about it does not come to an end")
}

// nodeIsDead looks at the node once more, without the cache: a twin of a
// running PBX is the worst that can come of a wrong answer.
func (r *Replacer) nodeIsDead(ctx context.Context, pod *corev1.Pod, in rollout.Input) (bool, error) {
	node := &corev1.Node{}
	err := r.Live.Get(ctx, client.ObjectKey{Name: pod.Spec.NodeName}, node)
	if apierrors.IsNotFound(err) {
		node, err = nil, nil
	}
	if err != nil {
		return false, err
	}
	in.Pod = rollout.PodOf(pod, desired.ContainerPBX, node)
	return rollout.Decide(in).Action == rollout.ForceDelete, nil
}
