package desired_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
)

// TestObjectsAreWhole checks every golden object for what the operator finds,
// prunes and applies it by.
func TestObjectsAreWhole(t *testing.T) {
	for _, input := range inputs(t) {
		in := read(t, input)
		o := desired.Build(in)
		for _, object := range o.All() {
			kind := object.GetObjectKind().GroupVersionKind()
			if kind.Kind == "" || kind.Version == "" || object.GetNamespace() != in.Tenant.Namespace {
				t.Errorf("%s: %v %s/%s: no kind or the wrong namespace", input, kind, object.GetNamespace(), object.GetName())
			}
			if wrong := validation.IsDNS1035Label(object.GetName()); len(wrong) > 0 {
				t.Errorf("%s: %s %s: %v", input, kind.Kind, object.GetName(), wrong)
			}
			for key, value := range object.GetLabels() {
				if wrong := validation.IsValidLabelValue(value); len(wrong) > 0 {
					t.Errorf("%s: %s label %s=%s: %v", input, kind.Kind, key, value, wrong)
				}
			}
			if object.GetLabels()[v1alpha1.LabelTenant] != in.Tenant.Name {
				t.Errorf("%s: %s does not name its tenant", input, kind.Kind)
			}
			kept := kind.Kind == "PersistentVolumeClaim" && in.Tenant.Spec.DeletionPolicy != v1alpha1.DeletionDelete
			if owned := metav1.IsControlledBy(object, in.Tenant); owned == kept {
				t.Errorf("%s: %s owned by the tenant: %v", input, kind.Kind, owned)
			}
		}
		selector := labels.SelectorFromSet(o.Service.Spec.Selector)
		if o.StatefulSet != nil && !selector.Matches(labels.Set(o.StatefulSet.Spec.Template.Labels)) {
			t.Errorf("%s: the Service does not find the pod", input)
		}
	}
}

func TestSecret(t *testing.T) {
	tenant := &v1alpha1.PBXTenant{ObjectMeta: metav1.ObjectMeta{Name: "acme", Namespace: "acme", UID: "1"}}
	s := desired.Secret(tenant, "acme-ext-101", map[string][]byte{v1alpha1.KeyPassword: []byte("correct horse")})
	if s.Labels[v1alpha1.LabelGenerated] != "true" || s.Labels[v1alpha1.LabelWatched] != "true" || s.Labels[v1alpha1.LabelTenant] != "acme" {
		t.Errorf("labels %v", s.Labels)
	}
	if s.Name != "acme-ext-101" || s.Namespace != "acme" || s.Kind != "Secret" || !metav1.IsControlledBy(s, tenant) {
		t.Errorf("metadata %+v", s.ObjectMeta)
	}
	if diff := cmp.Diff(map[string][]byte{"password": []byte("correct horse")}, s.Data); diff != "" {
		t.Error(diff)
	}
}

// TestNamesFitAndDiffer draws names that the kind takes.
func TestNamesFitAndDiffer(t *testing.T) {
	name := rapid.StringMatching(`[a-z]([a-z0-9-]{0,38}[a-z0-9])?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		for _, f := range []func(string) string{
			desired.PBXName, desired.ConfigName, desired.DataName, desired.WebName, desired.WebTLSName, desired.SIPTLSName,
		} {
			if wrong := validation.IsDNS1035Label(f(a)); len(wrong) > 0 {
				t.Fatalf("%s: %v", f(a), wrong)
			}
			if a != b && f(a) == f(b) {
				t.Fatalf("%s and %s are both %s", a, b, f(a))
			}
		}
		// The StatefulSet's controller appends a hash of ten to the pod's label.
		if n := len(desired.PBXName(a)); n > 52 {
			t.Fatalf("%s has %d characters", desired.PBXName(a), n)
		}
	})
}

// TestTemplateHashIsPinned holds the hash of one fixed pod. If it fails, the
// next operator replaces every PBX of every fleet, drained one by one. Only a
// wanted change of the pod is a reason to write another value here, and then
// the release notes say it.
func TestTemplateHashIsPinned(t *testing.T) {
	template := desired.Build(read(t, "testdata/defaults.in.yaml")).StatefulSet.Spec.Template
	const pinned = "9630c1fb419bf17e"
	if got := desired.TemplateHash(&template); got != pinned || template.Annotations[v1alpha1.AnnotationTemplate] != pinned {
		t.Errorf("hash %s, annotation %s, want %s", got, template.Annotations[v1alpha1.AnnotationTemplate], pinned)
	}
}

func TestTemplateHash(t *testing.T) {
	base := func() *corev1.PodTemplateSpec {
		t := desired.Build(read(t, "testdata/class-options.in.yaml")).StatefulSet.Spec.Template
		return &t
	}
	first := desired.TemplateHash(base())
	for _, tc := range []struct {
		name string
		edit func(*corev1.PodTemplateSpec)
		same bool
	}{
		{"nothing", func(*corev1.PodTemplateSpec) {}, true},
		{"the image", func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Image = "other" }, true},
		{"the annotation itself", func(p *corev1.PodTemplateSpec) { p.Annotations[v1alpha1.AnnotationTemplate] = "other" }, true},
		{"no list and an empty list", func(p *corev1.PodTemplateSpec) { p.Spec.InitContainers = []corev1.Container{} }, true},
		{"no struct and an empty struct", func(p *corev1.PodTemplateSpec) { p.Spec.Affinity = &corev1.Affinity{} }, true},
		{"an annotation", func(p *corev1.PodTemplateSpec) { p.Annotations["a"] = "b" }, false},
		{"a label", func(p *corev1.PodTemplateSpec) { p.Labels["a"] = "b" }, false},
		{"a port", func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Ports[0].HostPort++ }, false},
		{"an argument", func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Args[5] = "1h" }, false},
		{"the order of arguments", func(p *corev1.PodTemplateSpec) {
			a := p.Spec.Containers[0].Args
			a[0], a[2] = a[2], a[0]
		}, false},
		{"resources", func(p *corev1.PodTemplateSpec) { delete(p.Spec.Containers[0].Resources.Limits, corev1.ResourceMemory) }, false},
		{"the node selector", func(p *corev1.PodTemplateSpec) { p.Spec.NodeSelector["a"] = "b" }, false},
		{"a toleration's patience", func(p *corev1.PodTemplateSpec) { p.Spec.Tolerations[1].TolerationSeconds = nil }, false},
		{"a pull secret", func(p *corev1.PodTemplateSpec) { p.Spec.ImagePullSecrets = nil }, false},
	} {
		template := base()
		tc.edit(template)
		if got := desired.TemplateHash(template); got == first != tc.same {
			t.Errorf("%s: hash %s, was %s", tc.name, got, first)
		}
	}
	template := base()
	if desired.TemplateHash(template); template.Spec.Containers[0].Image == "" || template.Annotations[v1alpha1.AnnotationTemplate] == "" {
		t.Error("the template that was asked about has changed")
	}
}

// TestAlertsReadWhatIsMeasured holds the alerts against the list of metrics
// that operators of the product read.
func TestAlertsReadWhatIsMeasured(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	metric := regexp.MustCompile(`dipcast_[a-z_]+`)
	known := map[string]bool{}
	for _, name := range metric.FindAllString(string(doc), -1) {
		known[name] = true
	}
	rule := desired.Build(read(t, "testdata/all-apis.in.yaml")).PrometheusRule
	read := map[string]bool{}
	selector := `{tenant_namespace="acme",tenant="acme"}`
	for _, r := range rules(t, rule.Object) {
		expr, ok := r["expr"].(string)
		if !ok || strings.Contains(expr, "$") {
			t.Errorf("alert %v: expression %v", r["alert"], r["expr"])
		}
		names := metric.FindAllString(expr, -1)
		if len(names) == 0 || strings.Count(expr, selector) != len(names) {
			t.Errorf("alert %v reads series of other tenants: %s", r["alert"], expr)
		}
		for _, name := range names {
			name = strings.TrimSuffix(name, "_bucket") // of a histogram
			read[name] = true
			if !known[name] {
				t.Errorf("alert %v reads %s, which docs/operations.md does not list", r["alert"], name)
			}
		}
	}
	if len(read) < 8 {
		t.Errorf("the alerts read only %v", slices.Sorted(maps.Keys(read)))
	}
}

func rules(t *testing.T, rule map[string]any) []map[string]any {
	t.Helper()
	spec, ok := rule["spec"].(map[string]any)
	if !ok {
		t.Fatalf("no spec in %v", rule)
	}
	var out []map[string]any
	groups, _ := spec["groups"].([]any)
	for _, g := range groups {
		group, _ := g.(map[string]any)
		list, _ := group["rules"].([]any)
		for _, r := range list {
			if r, ok := r.(map[string]any); ok {
				out = append(out, r)
			}
		}
	}
	if len(out) == 0 {
		t.Fatalf("no rules in %v", rule)
	}
	return out
}

// The next pod goes where the last one was, if it can; that restarts nobody.
func TestThePodStaysNearItsNode(t *testing.T) {
	in := read(t, "testdata/all-apis.in.yaml")
	in.Node = desired.Node{}
	anywhere := desired.Build(in).StatefulSet.Spec.Template
	in.Node.Name = "n7"
	near := desired.Build(in).StatefulSet.Spec.Template
	if anywhere.Spec.Affinity != nil {
		t.Errorf("a pod that never ran prefers %v", anywhere.Spec.Affinity)
	}
	terms := near.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	if len(terms) != 1 || terms[0].Preference.MatchFields[0].Values[0] != "n7" || near.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		t.Errorf("the affinity is %v", near.Spec.Affinity)
	}
	if a, b := anywhere.Annotations[v1alpha1.AnnotationTemplate], near.Annotations[v1alpha1.AnnotationTemplate]; a != b {
		t.Errorf("the node is in the hash: %s, then %s", a, b)
	}
}
