package controllers

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/pbx/conf"
)

// botsPatience is how long the end of a tenant waits for its bots to be taken
// back on NAVER WORKS, which may be unreachable for good.
const botsPatience = time.Minute

// How long a PBX is asked to take the end of its tenant as its own, and for how
// long it then holds that against a signal that is late.
const (
	finalPatience = 30 * time.Second
	finalHold     = 10 * time.Minute
)

// finish ends a tenant: its PBX lets its calls end, since no other will take
// them up, its bots are taken back, its pod ends, and only then are its ports free
// for others. The rest goes by owner reference; the volume
// stays, unless deletionPolicy says that it goes too.
func (o *operator) finish(ctx context.Context, s *scene) error {
	if !controllerutil.ContainsFinalizer(s.tenant, v1alpha1.FinalizerTenant) {
		return nil
	}
	waits, err := o.ending(ctx, s)
	if err != nil {
		return fmt.Errorf("PBXTenant %s: end: %w", s.name(), err)
	}
	if waits != "" {
		c := failed(v1alpha1.ConditionReady, v1alpha1.ReasonTerminating, waits)
		o.condition(s, c)
		return o.store(ctx, s)
	}
	controllerutil.RemoveFinalizer(s.tenant, v1alpha1.FinalizerTenant)
	err = o.client.Patch(ctx, s.tenant, client.MergeFromWithOptions(s.stored, client.MergeFromWithOptimisticLock{}))
	return client.IgnoreNotFound(err)
}

// ending does what is next and tells what is waited for; empty: nothing.
func (o *operator) ending(ctx context.Context, s *scene) (waits string, err error) {
	if s.set != nil && s.pod != nil && s.pod.DeletionTimestamp == nil {
		if waits, err := o.sayFinal(ctx, s); waits != "" || err != nil {
			return waits, err
		}
	}
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: s.tenant.Namespace, Name: desired.PBXName(s.tenant.Name)}}
	if _, err := o.applier.Delete(ctx, set, s.tenant.UID); err != nil {
		return "", err
	}
	patience := botsPatience - o.Now().Sub(s.tenant.DeletionTimestamp.Time)
	for i := range s.allBots {
		if patience > 0 && controllerutil.ContainsFinalizer(&s.allBots[i], v1alpha1.FinalizerBot) {
			s.after(patience)
			return "what was set on NAVER WORKS is being taken back", nil
		}
	}
	if s.pod == nil || !alive(s.podNode) {
		return "", nil
	}
	if s.set == nil && s.pod.DeletionTimestamp == nil {
		if err := o.client.Delete(ctx, s.pod); client.IgnoreNotFound(err) != nil {
			return "", err
		}
	}
	return "the pod ends; the calls that are up may end first", nil
}

// sayFinal tells the PBX that no process takes its place: otherwise it would hand
// its calls over to one that never comes.
func (o *operator) sayFinal(ctx context.Context, s *scene) (waits string, err error) {
	token := compile.APISecret(s.tenant.Name)
	data, _, err := o.secrets.Get(ctx, types.NamespacedName{Namespace: s.tenant.Namespace, Name: token})
	if err != nil {
		return "", err
	}
	s.secrets = map[string]map[string][]byte{token: data}
	target, running := s.pbx()
	if !running || o.Now().Sub(s.tenant.DeletionTimestamp.Time) > finalPatience {
		return "", nil
	}
	_, silent := o.pbxs.observer.Drain(ctx, target, conf.Drain{Final: true, Hold: conf.Duration(finalHold)})
	if silent == nil {
		return "", nil
	}
	s.after(time.Second)
	return "the PBX is to let its calls end: " + silent.Error(), nil
}

// alive reports whether a node can still end a pod.
func alive(node *corev1.Node) bool {
	if node == nil {
		return false
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// forget drops everything that is remembered of a tenant that is gone, and
// tells those that name it.
func (o *operator) forget(name types.NamespacedName) {
	o.verdicts.Set(compile.Object{Kind: v1alpha1.KindPBXTenant, Namespace: name.Namespace, Name: name.Name}, nil)
	o.forgetPBX(name)
	o.applier.Forget(name)
}
