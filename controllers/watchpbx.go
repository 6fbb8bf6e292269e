package controllers

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/observer"
	"github.com/dipcast/dipcast/controllers/rollout"
)

// pbxs is what the operator keeps in memory about the running PBXs: what they
// report, and who of them is being replaced.
type pbxs struct {
	observer *observer.Observer
	turns    *rollout.Turnstile

	mu     sync.Mutex
	seeded bool
	// decided is the newest decision about a tenant, which its status in the
	// cache may not show yet, or never if it could not be written.
	decided map[types.NamespacedName]decided
}

// decided is what was done about a tenant last.
type decided struct {
	update *v1alpha1.TenantUpdate
	act    string // what was done to which process, "" = nothing
}

// setupPBX adds to the manager what watches the running PBXs.
func (o *operator) setupPBX(mgr manager.Manager) error {
	o.pbxs = &pbxs{
		observer: observer.New(observer.Options{Changed: o.wakers.tenants.wake}),
		turns:    rollout.NewTurnstile(o.MaxUpdates, o.wakers.tenants.wake),
		decided:  map[types.NamespacedName]decided{},
	}
	return mgr.Add(o.pbxs.observer)
}

// seed tells the turnstile who was being replaced when this operator began.
func (p *pbxs) seed(ctx context.Context, c client.Reader) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seeded {
		return nil
	}
	var all v1alpha1.PBXTenantList
	if err := c.List(ctx, &all); err != nil {
		return fmt.Errorf("tenants that are being replaced: %w", err)
	}
	for i := range all.Items {
		p.turns.Seen(client.ObjectKeyFromObject(&all.Items[i]), all.Items[i].Status.Update)
	}
	p.seeded = true
	return nil
}

// last is what was decided about a tenant last.
func (p *pbxs) last(t *v1alpha1.PBXTenant) decided {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d, ok := p.decided[client.ObjectKeyFromObject(t)]; ok {
		return decided{update: d.update.DeepCopy(), act: d.act}
	}
	return decided{update: t.Status.Update.DeepCopy()}
}

// settle remembers what was decided.
func (p *pbxs) settle(name types.NamespacedName, d rollout.Decision, act string) {
	p.mu.Lock()
	p.decided[name] = decided{update: d.Update.DeepCopy(), act: act}
	p.mu.Unlock()
	p.turns.Settle(name, d)
}

// forgetPBX ends everything about the PBX of a tenant that is gone.
func (o *operator) forgetPBX(name types.NamespacedName) {
	o.pbxs.observer.Forget(name)
	o.pbxs.turns.Forget(name)
	o.pbxs.mu.Lock()
	defer o.pbxs.mu.Unlock()
	delete(o.pbxs.decided, name)
}

// watchPBX tells the observer which PBX the tenant has now.
func (o *operator) watchPBX(s *scene) {
	target, running := s.pbx()
	if !running {
		o.pbxs.observer.Forget(target.Tenant)
		return
	}
	target.Urgent = urgent(o.pbxs.last(s.tenant).update, s.tenant)
	o.pbxs.observer.SetTarget(target)
}

// urgent reports whether the next moment without a call, or the next process,
// is waited for. Who waits for a turn is asked once that has come.
func urgent(u *v1alpha1.TenantUpdate, t *v1alpha1.PBXTenant) bool {
	return u != nil && reasonOf(t, v1alpha1.ConditionUpdating) != v1alpha1.ReasonWaitingForTurn
}

// reasonOf returns the reason of a tenant's condition.
func reasonOf(t *v1alpha1.PBXTenant, condition string) string {
	for i := range t.Status.Conditions {
		if t.Status.Conditions[i].Type == condition {
			return t.Status.Conditions[i].Reason
		}
	}
	return ""
}

// pbx is how the tenant's process is reached, false if none runs.
func (s *scene) pbx() (observer.Target, bool) {
	t := observer.Target{Tenant: client.ObjectKeyFromObject(s.tenant)}
	if s.pod == nil || !runs(s.pod) {
		return t, false
	}
	t.URL = observer.AdminURL(s.pod.Status.PodIP, adminPort(s.pod))
	t.Token = string(s.secrets[compile.APISecret(s.tenant.Name)][v1alpha1.KeyToken])
	t.Instance = rollout.Instance(s.pod, desired.ContainerPBX)
	t.Await = s.wanted
	return t, t.URL != "" && t.Token != ""
}

// runs reports whether the PBX's container runs.
func runs(pod *corev1.Pod) bool {
	for i := range pod.Status.ContainerStatuses {
		if c := &pod.Status.ContainerStatuses[i]; c.Name == desired.ContainerPBX {
			return c.State.Running != nil
		}
	}
	return false
}

// adminPort is where the pod listens, which may still be the port of a slot
// that the tenant waits to leave; 0: it declares none.
func adminPort(pod *corev1.Pod) int32 {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name != desired.ContainerPBX {
			continue
		}
		for _, p := range pod.Spec.Containers[i].Ports {
			if p.Name == desired.PortAdmin {
				return p.ContainerPort
			}
		}
	}
	return 0
}
