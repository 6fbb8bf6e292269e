package controllers

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/hostport"
	"github.com/dipcast/dipcast/controllers/nodes"
	"github.com/dipcast/dipcast/controllers/verdict"
)

// reconcileClass counts the slots of one class and tells what is wrong with it.
func (o *operator) reconcileClass(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	if !o.memory.synced() {
		return reconcile.Result{RequeueAfter: classEvery}, nil
	}
	var classes v1alpha1.PBXClassList
	if err := o.client.List(ctx, &classes); err != nil {
		return reconcile.Result{}, err
	}
	i := slices.IndexFunc(classes.Items, func(c v1alpha1.PBXClass) bool { return c.Name == req.Name })
	if i < 0 {
		o.fleet.DeleteClass(req.Name)
		return reconcile.Result{}, nil
	}
	var all corev1.NodeList
	if err := o.client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, err
	}
	class := &classes.Items[i]
	before := class.DeepCopy()
	object := compile.Object{Kind: v1alpha1.KindPBXClass, Name: class.Name}
	problems := compile.Of(compile.CheckFleet(compile.Fleet{Classes: classes.Items}), object)
	eligible := nodes.Of(all.Items, class)
	pool := class.Spec.Network.PortPool
	layout, err := hostport.New(hostport.Pool{From: int(pool.From), To: int(pool.To)}, int(class.Spec.Limits.ConcurrentCalls))
	if err != nil {
		problems = append(problems, compile.Problem{
			Object: object, Path: "spec.network.portPool", Severity: compile.Error, Reason: v1alpha1.ReasonInvalid, Message: err.Error(),
		})
	}
	if len(eligible.Names) == 0 {
		problems = append(problems, noNodes(object, class, eligible))
	}
	status := &class.Status
	status.Slots, status.Nodes = int32(layout.Slots()), int32(len(eligible.Names))
	status.Tenants = int32(o.fleet.Use(class.Name))
	status.Free = max(0, status.Slots*status.Nodes-status.Tenants)
	o.fleet.PutClass(class.Name, *status)
	o.set(&status.Conditions, class.Generation, verdict.Accepted(problems))
	return reconcile.Result{}, o.report(ctx, before, class)
}

func noNodes(object compile.Object, class *v1alpha1.PBXClass, eligible nodes.Eligible) compile.Problem {
	p := compile.Problem{
		Object: object, Severity: compile.Warning, Reason: v1alpha1.ReasonNotFound, Path: "spec.scheduling",
		Message: "no node has these labels and tolerated taints: label a node or change nodeSelector and tolerations",
	}
	if len(eligible.Without) > 0 {
		p.Path, p.Value = "spec.network.advertise.from", string(class.Spec.Network.Advertise.From)
		p.Message = "no node has an address of this kind: choose NodeInternalIP, or Static with the address that phones reach"
	}
	return p
}
