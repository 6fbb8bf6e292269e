package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
)

const (
	// bareSpace is the namespace of the bare client, which the operator does
	// not look at.
	bareSpace = "bare"
	// probeKey is the key of a Secret that the bare client changes.
	probeKey = "probe"
)

// bare is a client that writes what the operator writes and decides nothing:
// what the API server and this machine can do at this moment.
type bare struct {
	client client.Client
	models []*unstructured.Unstructured // of the objects of one tenant
	made   atomic.Int64
}

// newBare copies the objects that the operator made for a tenant.
func newBare(ctx context.Context, c client.Client, tenant types.NamespacedName) (*bare, error) {
	b := &bare{client: c}
	if err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: bareSpace}}); err != nil {
		return nil, err
	}
	for _, x := range []struct {
		name   string
		object client.Object
	}{
		{desired.ConfigName(tenant.Name), &corev1.Secret{}},
		{desired.DataName(tenant.Name), &corev1.PersistentVolumeClaim{}},
		{desired.PBXName(tenant.Name), &corev1.Service{}},
		{desired.PBXName(tenant.Name), &appsv1.StatefulSet{}},
		{desired.PBXName(tenant.Name), &policyv1.PodDisruptionBudget{}},
		{desired.WebName(tenant.Name), &networkingv1.Ingress{}},
	} {
		if err := c.Get(ctx, types.NamespacedName{Namespace: tenant.Namespace, Name: x.name}, x.object); err != nil {
			return nil, err
		}
		model, err := modelOf(c, x.object)
		if err != nil {
			return nil, err
		}
		b.models = append(b.models, model)
	}
	return b, nil
}

func modelOf(c client.Client, object client.Object) (*unstructured.Unstructured, error) {
	gvk, err := apiutil.GVKForObject(object, c.Scheme())
	if err != nil {
		return nil, err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, err
	}
	model := &unstructured.Unstructured{Object: content}
	delete(content, "status")
	content["metadata"] = map[string]any{"namespace": bareSpace}
	model.SetGroupVersionKind(gvk)
	// What the API server chose for the one is taken for the others.
	for _, chosen := range []string{"clusterIP", "clusterIPs"} {
		unstructured.RemoveNestedField(content, "spec", chosen)
	}
	return model, nil
}

// rate applies objects for a while, as many at a time as the operator works
// on, and returns how many a second.
func (b *bare) rate(ctx context.Context, d time.Duration) (float64, error) {
	began := time.Now()
	count := 0
	for time.Since(began) < d {
		const round = 16 * applyAtOnce
		if err := each(ctx, 0, round, func(ctx context.Context, _ int) error {
			n := int(b.made.Add(1))
			object := b.models[n%len(b.models)].DeepCopy()
			object.SetName(fmt.Sprintf("bare-%d", n))
			return b.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("bare"), client.ForceOwnership)
		}); err != nil {
			return 0, err
		}
		count += round
	}
	return float64(count) / time.Since(began).Seconds(), nil
}

// probe makes the Secret that is changed to see how fast a write is seen.
func (b *bare) probe(ctx context.Context, n int) (types.NamespacedName, error) {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: bareSpace, Name: fmt.Sprintf("probe-%d", n),
			Labels: map[string]string{v1alpha1.LabelComponent: desired.ComponentConfig},
		},
		Data: map[string][]byte{probeKey: []byte("0")},
	}
	return client.ObjectKeyFromObject(s), client.IgnoreAlreadyExists(b.client.Create(ctx, s))
}

// change writes a probe.
func (b *bare) change(ctx context.Context, name types.NamespacedName, value int) error {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}}
	return b.client.Patch(ctx, s, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"stringData": {%q: "%d"}}`, probeKey, value)))
}
