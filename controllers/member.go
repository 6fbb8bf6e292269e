package controllers

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/verdict"
	"github.com/dipcast/dipcast/controllers/watch"
)

// verdictOn returns what is known of an object that names a tenant: from its
// tenant's reconciler, or that there is no such tenant; false: the tenant was
// not compiled yet, and the object is woken when it is.
func (o *operator) verdictOn(ctx context.Context, kind string, object client.Object) (verdict.Verdict, bool, error) {
	name := watch.TenantRef(object)
	var tenant v1alpha1.PBXTenant
	err := o.client.Get(ctx, types.NamespacedName{Namespace: object.GetNamespace(), Name: name}, &tenant)
	if err == nil {
		v, known := o.verdicts.Get(compile.Object{Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName()})
		return v, known, nil
	}
	if client.IgnoreNotFound(err) != nil {
		return verdict.Verdict{}, false, err
	}
	return verdict.Verdict{
		Accepted: verdict.Accepted(compile.CheckFleet(fleetOf(object))),
		Ready:    failed(v1alpha1.ConditionReady, v1alpha1.ReasonNotFound, "there is no tenant to use it"),
	}, true, nil
}

// fleetOf is a fleet of one object, whose tenant does not exist.
func fleetOf(object client.Object) compile.Fleet {
	var f compile.Fleet
	switch x := object.(type) {
	case *v1alpha1.ExtensionPlan:
		f.Plans = append(f.Plans, *x)
	case *v1alpha1.SIPTrunk:
		f.Trunks = append(f.Trunks, *x)
	case *v1alpha1.CallFlow:
		f.Flows = append(f.Flows, *x)
	case *v1alpha1.NaverWorksBot:
		f.Bots = append(f.Bots, *x)
	}
	return f
}

// member reconciles the objects of one kind that name a tenant: each is told
// whether the tenant could use it, and a trunk whether it can take a call.
// fresh returns an empty object and where its conditions are.
func (o *operator) member(kind string, fresh func() (client.Object, *[]metav1.Condition)) reconcile.Func {
	return func(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
		object, conditions := fresh()
		if err := o.client.Get(ctx, req.NamespacedName, object); err != nil {
			return reconcile.Result{}, client.IgnoreNotFound(err)
		}
		return reconcile.Result{}, o.reportVerdict(ctx, kind, object, conditions)
	}
}

func freshPlan() (client.Object, *[]metav1.Condition) {
	x := &v1alpha1.ExtensionPlan{}
	return x, &x.Status.Conditions
}

func freshTrunk() (client.Object, *[]metav1.Condition) {
	x := &v1alpha1.SIPTrunk{}
	return x, &x.Status.Conditions
}

func freshFlow() (client.Object, *[]metav1.Condition) {
	x := &v1alpha1.CallFlow{}
	return x, &x.Status.Conditions
}

// reportVerdict writes the verdict on an object into its conditions.
func (o *operator) reportVerdict(ctx context.Context, kind string, object client.Object, conditions *[]metav1.Condition) error {
	before, ok := object.DeepCopyObject().(client.Object)
	if !ok {
		return nil
	}
	v, known, err := o.verdictOn(ctx, kind, object)
	if err != nil || !known {
		return err
	}
	o.set(conditions, object.GetGeneration(), v.Accepted)
	if kind == v1alpha1.KindSIPTrunk && v.Ready.Type != "" {
		o.set(conditions, object.GetGeneration(), v.Ready)
	}
	return o.report(ctx, before, object)
}
