package controllers

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/observer"
	"github.com/dipcast/dipcast/controllers/replace"
	"github.com/dipcast/dipcast/controllers/rollout"
)

// pbxs are those that know the running PBXs: who asks them, and who replaces
// them.
type pbxs struct {
	observer *observer.Observer
	replacer *replace.Replacer
}

// setupPBX adds to the manager what watches the running PBXs.
func (o *operator) setupPBX(mgr manager.Manager) error {
	o.pbxs.observer = observer.New(observer.Options{Changed: o.wakers.tenants.wake})
	o.pbxs.replacer = replace.New(replace.Options{
		Client: o.client, Live: o.live, Observer: o.pbxs.observer, MaxAtOnce: o.MaxUpdates, Wake: o.wakers.tenants.wake,
	})
	return mgr.Add(o.pbxs.observer)
}

// forgetPBX ends everything about the PBX of a tenant that is gone.
func (o *operator) forgetPBX(name types.NamespacedName) {
	o.pbxs.observer.Forget(name)
	o.pbxs.replacer.Forget(name)
	o.nudges.forget(name)
}

// watchPBX tells the observer which PBX the tenant has now.
func (o *operator) watchPBX(s *scene) {
	target, running := s.pbx()
	if !running {
		o.pbxs.observer.Forget(target.Tenant)
		return
	}
	target.Urgent = urgent(o.pbxs.replacer.Update(s.tenant), s.tenant)
	o.pbxs.observer.SetTarget(target)
}

// urgent reports whether the next moment without a call, or the next process,
// is waited for. Who waits for a turn, or for an image that runs, is asked once
// that has come.
func urgent(u *v1alpha1.TenantUpdate, t *v1alpha1.PBXTenant) bool {
	if u == nil {
		return false
	}
	switch reasonOf(t, v1alpha1.ConditionUpdating) {
	case v1alpha1.ReasonWaitingForCalls, v1alpha1.ReasonDraining, v1alpha1.ReasonProgressing:
		return true
	}
	return false
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
	t.URL = observer.AdminURL(s.pod.Status.PodIP, desired.DeclaredPort(s.pod, desired.PortAdmin))
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
