package controllers

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/nodes"
	"github.com/dipcast/dipcast/controllers/watch"
)

// gather reads everything that the tenant is made of; nil: it is gone.
func (o *operator) gather(ctx context.Context, name types.NamespacedName) (*scene, error) {
	s := &scene{tenant: &v1alpha1.PBXTenant{}}
	if err := o.client.Get(ctx, name, s.tenant); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	s.stored = s.tenant.DeepCopy()
	steps := []func(context.Context, *scene) error{o.gatherMembers, o.gatherClass, o.gatherPod}
	if s.tenant.DeletionTimestamp == nil {
		steps = append(steps, o.gatherSecrets)
	}
	for _, read := range steps {
		if err := read(ctx, s); err != nil {
			return s, fmt.Errorf("PBXTenant %s: read: %w", name, err)
		}
	}
	return s, nil
}

// gatherMembers reads the objects that name the tenant. Those that are being
// deleted count no more.
func (o *operator) gatherMembers(ctx context.Context, s *scene) error {
	own := []client.ListOption{client.InNamespace(s.tenant.Namespace), client.MatchingFields{watch.IndexTenant: s.tenant.Name}}
	var plans v1alpha1.ExtensionPlanList
	var trunks v1alpha1.SIPTrunkList
	var flows v1alpha1.CallFlowList
	var bots v1alpha1.NaverWorksBotList
	for _, list := range []client.ObjectList{&plans, &trunks, &flows, &bots} {
		if err := o.client.List(ctx, list, own...); err != nil {
			return err
		}
	}
	s.plans = slices.DeleteFunc(plans.Items, func(x v1alpha1.ExtensionPlan) bool { return x.DeletionTimestamp != nil })
	s.trunks = slices.DeleteFunc(trunks.Items, func(x v1alpha1.SIPTrunk) bool { return x.DeletionTimestamp != nil })
	s.flows = slices.DeleteFunc(flows.Items, func(x v1alpha1.CallFlow) bool { return x.DeletionTimestamp != nil })
	s.allBots = bots.Items
	for i := range bots.Items {
		if bots.Items[i].DeletionTimestamp == nil {
			s.bots = append(s.bots, bots.Items[i])
		}
	}
	return nil
}

func (o *operator) gatherClass(ctx context.Context, s *scene) error {
	var classes v1alpha1.PBXClassList
	if err := o.client.List(ctx, &classes, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	s.class = compile.ChooseClass(classes.Items, s.tenant)
	var all corev1.NodeList
	if err := o.client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	s.allNodes = all.Items
	if s.class != nil {
		s.nodes = nodes.Of(all.Items, s.class)
	}
	return nil
}

// gatherPod reads the tenant's pod and what it stands on.
func (o *operator) gatherPod(ctx context.Context, s *scene) error {
	own := func(name string) types.NamespacedName {
		return types.NamespacedName{Namespace: s.tenant.Namespace, Name: name}
	}
	var set appsv1.StatefulSet
	var pod, trial corev1.Pod
	var claim corev1.PersistentVolumeClaim
	var config corev1.Secret
	for _, read := range []struct {
		name   string
		object client.Object
		found  func()
	}{
		{desired.PBXName(s.tenant.Name), &set, func() { s.set = &set }},
		{desired.PodName(s.tenant.Name), &pod, func() { s.pod = &pod }},
		{desired.TrialName(s.tenant.Name), &trial, func() {
			if metav1.IsControlledBy(&trial, s.tenant) {
				s.trial = &trial
			}
		}},
		{desired.DataName(s.tenant.Name), &claim, func() { s.claim = &claim }},
		{desired.ConfigName(s.tenant.Name), &config, func() {
			if metav1.IsControlledBy(&config, s.tenant) { // not a person's, which a manifest names
				s.config = &config
			}
		}},
	} {
		err := o.client.Get(ctx, own(read.name), read.object)
		if err == nil {
			read.found()
		} else if client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	if s.pod == nil || s.pod.Spec.NodeName == "" {
		return nil
	}
	for i := range s.allNodes {
		if s.allNodes[i].Name == s.pod.Spec.NodeName {
			s.podNode = &s.allNodes[i]
		}
	}
	return nil
}
