package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	k8sevent "sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/watch"
	"github.com/dipcast/dipcast/controllers/worksync"
)

// botsAtOnce is how many bots are reconciled at a time: most of the time each
// waits for NAVER WORKS, which may not answer.
const botsAtOnce = 32

// setupLine makes what talks to NAVER WORKS, for bots and directories.
func (o *operator) setupLine(mgr manager.Manager) error {
	o.line = worksync.New(worksync.Options{
		Client: o.client, Live: o.live, Secret: o.secrets.Get,
		Accepted: func(ctx context.Context, b *v1alpha1.NaverWorksBot) (metav1.Condition, bool, error) {
			v, known, err := o.verdictOn(ctx, v1alpha1.KindNaverWorksBot, b)
			return v.Accepted, known, err
		},
		Set: o.set, Report: o.report,
		Tell: func(about client.Object, e worksync.Event) {
			kind := corev1.EventTypeNormal
			if e.Warning {
				kind = corev1.EventTypeWarning
			}
			o.tell(about, event{kind, e.Reason, e.Action, e.Note})
		},
		WakeDirectory: o.wakers.directories.wake,
		TrustedCAs:    o.trust.PEM,
		Now:           o.Now, Log: o.Log,
	})
	return mgr.Add(o.line)
}

// setupBots wires the reconciler of NaverWorksBot.
func (o *operator) setupBots(mgr manager.Manager) error {
	return builder.ControllerManagedBy(mgr).Named("naverworksbot").
		For(&v1alpha1.NaverWorksBot{}, builder.WithPredicates(watch.MemberChanged())).
		Watches(&v1alpha1.PBXTenant{}, handler.EnqueueRequestsFromMapFunc(o.botsOfTenant), builder.WithPredicates(wayInChanged())).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(o.botsOfSecret)).
		WatchesRawSource(&o.wakers.bots).
		WithOptions(o.controller(botsAtOnce)).
		Complete(reconcile.Func(o.line.ReconcileBot))
}

// wayInChanged lets through what a bot looks at of its tenant: its addresses,
// its end, and whether it can be reached.
func wayInChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e k8sevent.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.PBXTenant)
		now, also := e.ObjectNew.(*v1alpha1.PBXTenant)
		if !ok || !also || before.Generation != now.Generation || !before.DeletionTimestamp.Equal(now.DeletionTimestamp) {
			return true
		}
		for _, kind := range []string{v1alpha1.ConditionPodRunning, v1alpha1.ConditionConfigApplied, v1alpha1.ConditionExposed} {
			if meta.IsStatusConditionTrue(before.Status.Conditions, kind) != meta.IsStatusConditionTrue(now.Status.Conditions, kind) {
				return true
			}
		}
		return false
	}}
}

func (o *operator) botsOfTenant(ctx context.Context, t client.Object) []reconcile.Request {
	return o.botsWith(ctx, t.GetNamespace(), watch.IndexTenant, t.GetName())
}

func (o *operator) botsOfSecret(ctx context.Context, s client.Object) []reconcile.Request {
	return o.botsWith(ctx, s.GetNamespace(), watch.IndexSecret, s.GetName())
}

func (o *operator) botsWith(ctx context.Context, namespace, index, value string) []reconcile.Request {
	var bots v1alpha1.NaverWorksBotList
	if err := o.client.List(ctx, &bots, client.InNamespace(namespace), client.MatchingFields{index: value}, client.UnsafeDisableDeepCopy); err != nil {
		o.Log.Error("the bots are not known", index, namespace+"/"+value, "error", err)
	}
	out := make([]reconcile.Request, 0, len(bots.Items))
	for i := range bots.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&bots.Items[i])})
	}
	return out
}
