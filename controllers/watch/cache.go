package watch

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/apply"
)

// Cache says what the operator keeps in memory: its own kinds, nodes without
// their noise, Secrets that tenants refer to, and of everything else what carries a tenant's label. No namespaces are all namespaces.
func Cache(namespaces []string) (cache.Options, error) {
	tenants, err := exists(v1alpha1.LabelTenant)
	if err != nil {
		return cache.Options{}, err
	}
	watched, err := exists(v1alpha1.LabelWatched)
	if err != nil {
		return cache.Options{}, err
	}
	all := cache.ByObject{Label: labels.Everything()}
	opts := cache.Options{
		DefaultLabelSelector: tenants,
		DefaultTransform:     apply.Strip,
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.PBXClass{}:      all,
			&v1alpha1.PBXTenant{}:     all,
			&v1alpha1.ExtensionPlan{}: all,
			&v1alpha1.SIPTrunk{}:      all,
			&v1alpha1.CallFlow{}:      all,
			&v1alpha1.NaverWorksBot{}: all,
			&corev1.Secret{}:          {Label: watched},
			&corev1.Node{}:            {Label: labels.Everything(), Transform: stripNode},
			Definition():              {Label: labels.Everything(), Transform: stripMetadata},
		},
	}
	for _, n := range namespaces {
		if opts.DefaultNamespaces == nil {
			opts.DefaultNamespaces = map[string]cache.Config{}
		}
		opts.DefaultNamespaces[n] = cache.Config{}
	}
	return opts, nil
}

func exists(label string) (labels.Selector, error) {
	r, err := labels.NewRequirement(label, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("label %s: %w", label, err)
	}
	return labels.NewSelector().Add(*r), nil
}

// Definition is a CustomResourceDefinition of which only the name is read.
func Definition() *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	return m
}

func stripMetadata(obj any) (any, error) {
	if o, ok := obj.(client.Object); ok {
		o.SetManagedFields(nil)
		o.SetAnnotations(nil)
		o.SetLabels(nil)
	}
	return obj, nil
}

// stripNode keeps what decides where tenants run: labels, taints, cordon,
// addresses and readiness. Images and heartbeats are most of a node.
func stripNode(obj any) (any, error) {
	n, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	n.ManagedFields, n.Annotations = nil, nil
	n.Spec = corev1.NodeSpec{Taints: n.Spec.Taints, Unschedulable: n.Spec.Unschedulable}
	status := corev1.NodeStatus{Addresses: n.Status.Addresses}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			status.Conditions = []corev1.NodeCondition{{Type: c.Type, Status: c.Status, LastTransitionTime: c.LastTransitionTime}}
		}
	}
	n.Status = status
	return n, nil
}

// The indexes of the cache.
const (
	IndexTenant = "tenant" // of plans, trunks, flows and bots: the tenant they name
	IndexSecret = "secret" // of these and of tenants: the Secrets they name
	IndexClass  = "class"  // of tenants: the class they name, maybe ""
	IndexDomain = "domain" // of tenants: the domain in force, in small letters
)

// AddIndexes adds the indexes; call it before the cache starts.
func AddIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	tenantOf := func(o client.Object) []string { return []string{TenantRef(o)} }
	for _, kind := range []client.Object{&v1alpha1.ExtensionPlan{}, &v1alpha1.SIPTrunk{}, &v1alpha1.CallFlow{}, &v1alpha1.NaverWorksBot{}} {
		if err := indexer.IndexField(ctx, kind, IndexTenant, tenantOf); err != nil {
			return fmt.Errorf("index %T by tenant: %w", kind, err)
		}
	}
	for _, kind := range []client.Object{&v1alpha1.PBXTenant{}, &v1alpha1.ExtensionPlan{}, &v1alpha1.SIPTrunk{}, &v1alpha1.NaverWorksBot{}} {
		if err := indexer.IndexField(ctx, kind, IndexSecret, SecretRefs); err != nil {
			return fmt.Errorf("index %T by Secret: %w", kind, err)
		}
	}
	err := indexer.IndexField(ctx, &v1alpha1.PBXTenant{}, IndexClass, func(o client.Object) []string {
		if t, ok := o.(*v1alpha1.PBXTenant); ok {
			return []string{t.Spec.ClassName}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("index tenants by class: %w", err)
	}
	err = indexer.IndexField(ctx, &v1alpha1.PBXTenant{}, IndexDomain, func(o client.Object) []string {
		if t, ok := o.(*v1alpha1.PBXTenant); ok && t.Status.Domain != "" {
			return []string{strings.ToLower(t.Status.Domain)}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("index tenants by domain: %w", err)
	}
	return nil
}

// TenantRef is the tenant that an object names, "" for other kinds.
func TenantRef(o client.Object) string {
	switch x := o.(type) {
	case *v1alpha1.ExtensionPlan:
		return x.Spec.TenantRef.Name
	case *v1alpha1.SIPTrunk:
		return x.Spec.TenantRef.Name
	case *v1alpha1.CallFlow:
		return x.Spec.TenantRef.Name
	case *v1alpha1.NaverWorksBot:
		return x.Spec.TenantRef.Name
	default:
		return ""
	}
}

// SecretRefs are the Secrets that an object names.
func SecretRefs(o client.Object) []string {
	var out []string
	add := func(refs ...*v1alpha1.LocalRef) {
		for _, r := range refs {
			if r != nil {
				out = append(out, r.Name)
			}
		}
	}
	switch x := o.(type) {
	case *v1alpha1.PBXTenant:
		add(x.Spec.Database.PostgresSecretRef)
		if x.Spec.Web.TLS != nil {
			add(x.Spec.Web.TLS.SecretRef)
		}
		if name := x.SIPTLSSecret(); name != "" {
			out = append(out, name)
		}
	case *v1alpha1.ExtensionPlan:
		for i := range x.Spec.Extensions {
			add(x.Spec.Extensions[i].SecretRef)
		}
	case *v1alpha1.SIPTrunk:
		add(x.Spec.Auth.SecretRef)
	case *v1alpha1.NaverWorksBot:
		add(&x.Spec.CredentialsRef)
	}
	return out
}
