package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// What a tenant of the benchmark is made of.
const (
	className     = "bench"
	extensions    = 10
	ownPasswords  = 7 // of them have a Secret of their own, the others' passwords are generated
	tenantsANode  = 50
	callsATenant  = 25
	applyAtOnce   = 8
	trunkNumber   = "02-555-0100"
	benchPassword = "bench-8Kq2vTz5pW"
	planName      = "office"
	carrier       = "carrier"
)

// made says for the table what a tenant is made of.
const made = "namespace, plan with 10 extensions (7 with a given Secret, 3 generated), trunk with a Secret, call flow, Ingress; no bot"

// nodeName and nodeIP name the fake nodes, which live on loopback addresses.
func nodeName(n int) string { return fmt.Sprintf("node-%03d", n) }
func nodeIP(n int) string   { return fmt.Sprintf("127.66.%d.%d", n/250, n%250+1) }

// tenantName is the name of a tenant and of its namespace.
func tenantName(n int) types.NamespacedName {
	name := fmt.Sprintf("t%05d", n)
	return types.NamespacedName{Namespace: name, Name: name}
}

// ground makes the class and the nodes for that many tenants.
func ground(ctx context.Context, c client.Client, tenants int) error {
	class := &v1alpha1.PBXClass{
		ObjectMeta: metav1.ObjectMeta{Name: className},
		Spec: v1alpha1.PBXClassSpec{
			Limits: v1alpha1.ClassLimits{
				Extensions: 100, Registrations: v1alpha1.RegistrationLimits{Operating: 50, Maximum: 100}, ConcurrentCalls: callsATenant,
			},
			Network: v1alpha1.ClassNetwork{
				PortPool:  v1alpha1.PortPool{From: 10000, To: 31999},
				Advertise: v1alpha1.Advertise{From: v1alpha1.AdvertiseNodeInternalIP},
			},
		},
	}
	if err := c.Create(ctx, class); err != nil {
		return err
	}
	for n := range nodes(tenants) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName(n)}}
		if err := c.Create(ctx, node); err != nil {
			return err
		}
		node.Status = corev1.NodeStatus{
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: nodeIP(n)}, {Type: corev1.NodeHostName, Address: node.Name}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		}
		if err := c.Status().Update(ctx, node); err != nil {
			return err
		}
	}
	return nil
}

// nodes is how many nodes so many tenants get.
func nodes(tenants int) int { return max(2, (tenants+tenantsANode-1)/tenantsANode) }

// foundations are what a tenant's manifests refer to.
func foundations(n int) []client.Object {
	name := tenantName(n)
	secret := func(object string, data map[string]string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: object}, StringData: data}
	}
	out := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name.Namespace}},
		secret(carrier, map[string]string{"username": "u" + name.Name, "password": benchPassword}),
	}
	for i := range ownPasswords {
		out = append(out, secret(phoneSecret(i), map[string]string{"password": benchPassword}))
	}
	return out
}

func phoneSecret(i int) string { return fmt.Sprintf("phone-%d", i) }

// manifests are a tenant, in the order in which they stand in its file.
func manifests(n int) []client.Object {
	name := tenantName(n)
	meta := func(object string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: name.Namespace, Name: object}
	}
	ref := v1alpha1.LocalRef{Name: name.Name}
	people := &v1alpha1.ExtensionPlan{ObjectMeta: meta(planName), Spec: v1alpha1.ExtensionPlanSpec{TenantRef: ref}}
	for i := range extensions {
		x := v1alpha1.Extension{Number: strconv.Itoa(101 + i), DisplayName: fmt.Sprintf("Employee %d", i)}
		if i < ownPasswords {
			x.SecretRef = &v1alpha1.LocalRef{Name: phoneSecret(i)}
		}
		people.Spec.Extensions = append(people.Spec.Extensions, x)
	}
	return []client.Object{
		&v1alpha1.PBXTenant{ObjectMeta: meta(name.Name), Spec: v1alpha1.PBXTenantSpec{
			ClassName: className, Domain: name.Name + ".pbx.example.com",
		}},
		people,
		&v1alpha1.SIPTrunk{ObjectMeta: meta(carrier), Spec: v1alpha1.SIPTrunkSpec{
			TenantRef: ref,
			Hosts:     []v1alpha1.TrunkHost{{Host: "sip.carrier.example"}},
			Auth:      v1alpha1.TrunkAuth{Register: true, SecretRef: &v1alpha1.LocalRef{Name: carrier}},
			Numbers:   []string{trunkNumber},
			CallerID:  v1alpha1.CallerID{Default: trunkNumber},
		}},
		&v1alpha1.CallFlow{ObjectMeta: meta("main"), Spec: v1alpha1.CallFlowSpec{
			TenantRef: ref, Numbers: []string{trunkNumber}, WhenOpen: v1alpha1.Action{Dial: "101"},
		}},
	}
}

// rename is the smallest change of a plan that a document shows.
func rename(n, times int) (*v1alpha1.ExtensionPlan, client.Patch) {
	plan := &v1alpha1.ExtensionPlan{ObjectMeta: metav1.ObjectMeta{Namespace: tenantName(n).Namespace, Name: planName}}
	return plan, client.RawPatch(types.JSONPatchType, fmt.Appendf(nil,
		`[{"op": "replace", "path": "/spec/extensions/0/displayName", "value": "Employee %d"}]`, times))
}

// each does something for the numbers from to to-1, several at a time.
func each(ctx context.Context, from, to int, do func(context.Context, int) error) error {
	all := ctx
	ctx, cancel := context.WithCancel(all)
	defer cancel()
	work := make(chan int)
	errs := make([]error, applyAtOnce)
	var wg sync.WaitGroup
	for w := range applyAtOnce {
		wg.Go(func() {
			for n := range work {
				if errs[w] = do(ctx, n); errs[w] != nil {
					cancel()
					return
				}
			}
		})
	}
	for n := from; n < to && ctx.Err() == nil; n++ {
		select {
		case work <- n:
		case <-ctx.Done():
		}
	}
	close(work)
	wg.Wait()
	if all.Err() != nil {
		return context.Cause(all)
	}
	// What the first failure has ended is none of its own.
	errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, context.Canceled) })
	return errors.Join(errs...)
}
