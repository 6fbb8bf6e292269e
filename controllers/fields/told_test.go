package fields

import (
	"bytes"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/kubetest"
)

// teams is how many companies suffer at the same time.
const teams = 6

// TestWrongValuesAreTold applies what only the operator can know to be wrong
// and looks that a condition tells of it, and that the tenant goes on.
func TestWrongValuesAreTold(t *testing.T) {
	t.Parallel()
	all := companies(t, teams)
	counts := map[string]int{}
	lies := lies()
	for _, l := range lies {
		counts[l.kind]++
	}
	for _, kind := range sorted(counts) {
		t.Logf("%s: %d wrong values that only the operator knows, to be told in a condition", kind, counts[kind])
	}
	for i, c := range all {
		t.Run(c.namespace, func(t *testing.T) {
			t.Parallel()
			for n := i; n < len(lies); n += teams {
				// One after the other, each on a company that works.
				c.suffer(t, lies[n])
			}
		})
	}
}

// lie is a change that the API server takes and that cannot work.
type lie struct {
	kind string
	name string
	set  map[string]any // of the company's object of that kind; none: nothing
	with []*unstructured.Unstructured
	// secrets are made beside.
	secrets map[string]map[string]string

	on        string // the kind, or "kind name", whose condition tells; "": kind
	condition string // "": Accepted
	status    metav1.ConditionStatus
	says      []string
	// follows: the document changes, since the rest is good.
	follows bool
	// about are the fields that it is about, beside those of set.
	about []string
}

// suffer tells one lie to a company and takes it back.
func (c company) suffer(t *testing.T, l lie) {
	t.Helper()
	t.Logf("%s: %s", l.kind, l.name)
	before := c.works(t)
	object := c.object(l.kind, c.name(l.kind))
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	spec := object.DeepCopy().Object["spec"]
	c.make(t, l)
	if l.set != nil {
		c.change(t, object, func(u *unstructured.Unstructured) error {
			for path, value := range l.set {
				if err := put(u.Object, path, value); err != nil {
					return err
				}
			}
			return nil
		})
	}
	// Whatever happens, the next one finds the company as it was.
	defer func() {
		c.change(t, object, func(u *unstructured.Unstructured) error {
			u.Object["spec"] = spec
			return nil
		})
		c.unmake(t, l)
		c.waitBack(t, before)
	}()
	await(t, c.told(l), condition(l), status(l), l.says...)
	tenant := c.object(v1alpha1.KindPBXTenant, "acme")
	if condition(l) == v1alpha1.ConditionAccepted && status(l) == metav1.ConditionFalse && l.on == "" && len(l.with) == 0 && l.kind != v1alpha1.KindPBXClass {
		await(t, tenant, v1alpha1.ConditionAccepted, metav1.ConditionFalse, l.says...)
	}
	await(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue)
	now := c.works(t)
	if !l.follows && !bytes.Equal(now.document, before.document) {
		t.Errorf("the document is no longer the last good one:\n%s\n%s", before.document, now.document)
	}
	if now.pod != before.pod {
		t.Errorf("the PBX was replaced: %s by %s", before.pod, now.pod)
	}
}

func condition(l lie) string {
	if l.condition != "" {
		return l.condition
	}
	return v1alpha1.ConditionAccepted
}

func status(l lie) metav1.ConditionStatus {
	if l.status != "" {
		return l.status
	}
	return metav1.ConditionFalse
}

// told is the object whose condition must tell.
func (c company) told(l lie) *unstructured.Unstructured {
	switch {
	case len(l.with) > 0 && l.on == "":
		last := l.with[len(l.with)-1]
		return c.object(last.GetKind(), c.beside(last.GetName()))
	case l.on == "":
		return c.object(l.kind, c.name(l.kind))
	default:
		return c.object(l.on, c.name(l.on))
	}
}

// beside is the name of an object that is made for one lie: those without a
// namespace must not meet those of another company.
func (c company) beside(name string) string { return name + "-" + c.namespace }

func (c company) change(t *testing.T, u *unstructured.Unstructured, do func(*unstructured.Unstructured) error) {
	t.Helper()
	for {
		if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(u), u); err != nil {
			t.Fatal(err)
		}
		if err := do(u); err != nil {
			t.Fatal(err)
		}
		err := client.WithFieldValidation(cluster.Client, "Strict").Update(t.Context(), u)
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			t.Fatalf("%s %s: it is refused, put it into rules_test.go: %v", u.GetKind(), u.GetName(), err)
		}
	}
}

func (c company) make(t *testing.T, l lie) {
	t.Helper()
	for name, data := range l.secrets {
		if err := cluster.Client.Create(t.Context(), c.secret(name, data)); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range l.with {
		u = c.own(t, u)
		if err := cluster.Client.Create(t.Context(), u); err != nil {
			t.Fatalf("%s %s: it is refused, put it into rules_test.go: %v", u.GetKind(), u.GetName(), err)
		}
	}
}

// own makes an object one of this company: with its class, its domain, its
// ports.
func (c company) own(t *testing.T, u *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	u = u.DeepCopy()
	u.SetName(c.beside(u.GetName()))
	if u.GetKind() != v1alpha1.KindPBXClass {
		u.SetNamespace(c.namespace)
	}
	switch u.GetKind() {
	case v1alpha1.KindPBXTenant:
		set(t, u, "spec.className", c.class)
		set(t, u, "spec.domain", c.namespace+".pbx.example.com")
	case v1alpha1.KindPBXClass:
		own := c.object(v1alpha1.KindPBXClass, c.class)
		if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(own), own); err != nil {
			t.Fatal(err)
		}
		if get(u.Object, "spec.network.portPool") == nil {
			set(t, u, "spec.network.portPool", get(own.Object, "spec.network.portPool"))
		}
	}
	return u
}

func set(t *testing.T, u *unstructured.Unstructured, path string, value any) {
	t.Helper()
	if err := put(u.Object, path, value); err != nil {
		t.Fatal(err)
	}
}

func (c company) unmake(t *testing.T, l lie) {
	t.Helper()
	for name := range l.secrets {
		if err := cluster.Client.Delete(t.Context(), c.secret(name, nil)); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range l.with {
		o := c.object(u.GetKind(), c.beside(u.GetName()))
		if err := cluster.Client.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		cluster.Gone(t, o)
	}
}

func (c company) secret(name string, data map[string]string) *corev1.Secret {
	return kubetest.Secret(c.namespace, name, data)
}
