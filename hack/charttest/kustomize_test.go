package charttest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// binaries is the folder with etcd, kube-apiserver and kubectl.
func binaries(t *testing.T) string {
	t.Helper()
	dir, err := program(t, root+"/hack/cluster/kube-bin.sh", "envtest")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(dir)
}

// TestKustomizeEqualsChart: who installs without Helm gets the same objects.
func TestKustomizeEqualsChart(t *testing.T) {
	text, err := program(t, binaries(t)+"/kubectl", "kustomize", root+"/config/default")
	if err != nil {
		t.Fatal(err)
	}
	kustomize, chart := normal(t, text), normal(t, render(t))
	// The chart is installed into a namespace that Helm makes; the classes are
	// applied after the kinds, by Helm's hook or by hand.
	delete(kustomize, "Namespace /"+namespace)
	for name := range chart {
		if strings.HasPrefix(name, "PBXClass ") {
			delete(chart, name)
		}
	}
	if diff := cmp.Diff(chart, kustomize); diff != "" {
		t.Errorf("objects (-chart +config/default):\n%s", diff)
	}
}

// normal takes away what only says which tool installs.
func normal(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	objects := make(map[string]map[string]any)
	for _, u := range parse(t, text) {
		name := fmt.Sprintf("%s %s/%s", u.GetKind(), u.GetNamespace(), u.GetName())
		strip(u)
		if u.GetKind() == "Deployment" {
			u = typed(t, u)
		}
		objects[name] = u.Object
	}
	return objects
}

// typed makes two spellings of one Deployment the same.
func typed(t *testing.T, u *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	var d appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, &d, true); err != nil {
		t.Fatal(err)
	}
	for _, label := range toolLabels() {
		delete(d.Spec.Template.Labels, label)
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&d)
	if err != nil {
		t.Fatal(err)
	}
	return &unstructured.Unstructured{Object: object}
}

func toolLabels() []string {
	return []string{"helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version"}
}

func strip(u *unstructured.Unstructured) {
	labels, annotations := u.GetLabels(), u.GetAnnotations()
	for _, label := range toolLabels() {
		delete(labels, label)
	}
	delete(annotations, "helm.sh/resource-policy")
	if u.GetKind() == "CustomResourceDefinition" {
		labels = nil // kustomize labels them, too
	}
	u.SetLabels(labels)
	u.SetAnnotations(annotations)
}
