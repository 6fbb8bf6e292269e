package charttest

import (
	"fmt"
	"os"
	"regexp"
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

// TestOverlay builds the overlay that docs/install.md shows.
func TestOverlay(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "# overlay/kustomization.yaml\n")
	overlay, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/install.md shows no overlay")
	}
	dir := t.TempDir()
	if out, err := program(t, "cp", "-r", root+"/config", dir); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Mkdir(dir+"/overlay", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/overlay/kustomization.yaml", []byte(overlay), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := program(t, binaries(t)+"/kubectl", "kustomize", dir+"/overlay")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"image: registry.example/voip/operator:v1.0.0\n", "- --pbx-image=registry.example/voip/pbx:v1.0.0\n"} {
		if strings.Count(out, want) != 1 {
			t.Errorf("the overlay does not give %q", want)
		}
	}
	if strings.Contains(out, "localhost/dipcast") {
		t.Error("the overlay leaves images of another name")
	}
}

// TestInstallGuide: each command of docs/install.md that Helm or make would run
// names things that exist.
func TestInstallGuide(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)").FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(string(makefile), "\n.PHONY: "+m[1]+"\n") {
			t.Errorf("docs/install.md says make %s, which does not exist", m[1])
		}
	}
	var sets []string
	for _, m := range regexp.MustCompile(`--set(?:-file)? (\S+=\S+)`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(m[1], "trustedCAs") {
			sets = append(sets, "--set", strings.Trim(m[1], "`"))
		}
	}
	if len(sets) < 4 {
		t.Fatalf("docs/install.md sets %q", sets)
	}
	render(t, sets...)
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(root + "/docs/" + m[1]); err != nil {
			t.Errorf("docs/install.md links to nothing: %v", err)
		}
	}
}
