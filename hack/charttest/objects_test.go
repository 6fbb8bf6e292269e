package charttest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, apiextensions.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestObjectsAreKnown decodes every object of every installation strictly: no
// field that the kind does not have, none twice.
func TestObjectsAreKnown(t *testing.T) {
	s := scheme(t)
	decoder := serializer.NewCodecFactory(s, serializer.EnableStrict).UniversalDeserializer()
	for _, set := range valueSets(t) {
		t.Run(set, func(t *testing.T) {
			seen := make(map[string]bool)
			for document := range strings.SplitSeq(renderSet(t, set), "\n---\n") {
				list := parse(t, document)
				if len(list) == 0 {
					continue
				}
				u := list[0]
				name := fmt.Sprintf("%s %s/%s", u.GroupVersionKind(), u.GetNamespace(), u.GetName())
				if seen[name] {
					t.Errorf("%s is there twice", name)
				}
				seen[name] = true
				checkMeta(t, name, u)
				if u.GroupVersionKind().Group == "monitoring.coreos.com" {
					continue // not in our scheme; their golden files were read by people
				}
				if _, _, err := decoder.Decode([]byte(document), nil, nil); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func checkMeta(t *testing.T, name string, u *unstructured.Unstructured) {
	t.Helper()
	switch u.GetKind() {
	case "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PBXClass":
		if u.GetNamespace() != "" {
			t.Errorf("%s: has a namespace and its kind has none", name)
		}
	default:
		if u.GetNamespace() == "" {
			t.Errorf("%s: has no namespace", name)
		}
	}
	if u.GetKind() != "CustomResourceDefinition" && u.GetLabels()["app.kubernetes.io/managed-by"] != "Helm" {
		t.Errorf("%s: labels %v do not say who manages it", name, u.GetLabels())
	}
}

// find returns the objects of one kind.
func find[T any](t *testing.T, text, kind string) (list []T) {
	t.Helper()
	for _, u := range parse(t, text) {
		if u.GetKind() != kind {
			continue
		}
		var object T
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, &object, true); err != nil {
			t.Fatal(err)
		}
		list = append(list, object)
	}
	return list
}

// TestRestricted holds the operator's pod against the rules of the pod
// security level "restricted".
func TestRestricted(t *testing.T) {
	for _, set := range valueSets(t) {
		for _, d := range find[appsv1.Deployment](t, renderSet(t, set), "Deployment") {
			for _, complaint := range restricted(d.Spec.Template.Spec) {
				t.Errorf("%s: Deployment %s: %s", set, d.Name, complaint)
			}
		}
	}
	pod := corev1.PodSpec{HostNetwork: true, Containers: []corev1.Container{{Name: "c", Ports: []corev1.ContainerPort{{HostPort: 1}}}}}
	if n := len(restricted(pod)); n != 7 {
		t.Errorf("a pod that breaks seven rules breaks %d: %q", n, restricted(pod))
	}
}

// restricted lists what the level "restricted" refuses; all containers of ours
// say everything themselves but the user and the seccomp profile.
func restricted(pod corev1.PodSpec) (complaints []string) {
	say := func(wrong bool, format string, args ...any) {
		if wrong {
			complaints = append(complaints, fmt.Sprintf(format, args...))
		}
	}
	say(pod.HostNetwork || pod.HostPID || pod.HostIPC, "uses a namespace of the host")
	sc := pod.SecurityContext
	say(sc == nil || sc.RunAsNonRoot == nil || !*sc.RunAsNonRoot || sc.RunAsUser == nil || *sc.RunAsUser == 0, "may run as root")
	say(sc == nil || sc.SeccompProfile == nil || sc.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault, "has no seccomp profile")
	for _, v := range pod.Volumes {
		say(v.ConfigMap == nil && v.Secret == nil && v.EmptyDir == nil && v.Projected == nil && v.PersistentVolumeClaim == nil,
			"volume %s is of a kind that is refused", v.Name)
	}
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		sc := c.SecurityContext
		say(sc == nil || sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation, "%s may gain privileges", c.Name)
		say(sc == nil || sc.Capabilities == nil || !slices.Contains(sc.Capabilities.Drop, "ALL") || len(sc.Capabilities.Add) > 0, "%s keeps capabilities", c.Name)
		say(sc == nil || sc.ReadOnlyRootFilesystem == nil || !*sc.ReadOnlyRootFilesystem, "%s may write to its image", c.Name)
		say(sc != nil && (sc.Privileged != nil || sc.RunAsUser != nil || sc.SeccompProfile != nil), "%s departs from the pod", c.Name)
		for _, p := range c.Ports {
			say(p.HostPort != 0, "%s has a port of the host", c.Name)
		}
	}
	return complaints
}

// TestTheGuardHasOneRight: the helper of the nodes has none of the rights that
// the operator's pod must not have, but for the host's network and NET_ADMIN;
// and nobody has it who did not ask for it.
func TestTheGuardHasOneRight(t *testing.T) {
	for _, set := range valueSets(t) {
		list := find[appsv1.DaemonSet](t, renderSet(t, set), "DaemonSet")
		if want := map[bool]int{true: 1}[set == "node-guard"]; len(list) != want {
			t.Errorf("%s: %d DaemonSets, want %d", set, len(list), want)
		}
		for _, d := range list {
			want := []string{"uses a namespace of the host", "may run as root", "node-guard keeps capabilities", "node-guard departs from the pod"}
			if got := restricted(d.Spec.Template.Spec); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", set, got, want)
			}
			c := d.Spec.Template.Spec.Containers[0].SecurityContext
			if !slices.Equal(c.Capabilities.Add, []corev1.Capability{"NET_ADMIN"}) || c.Privileged != nil || c.SeccompProfile != nil {
				t.Errorf("%s: the container may %+v", set, c)
			}
			if mounts := d.Spec.Template.Spec.Volumes; len(mounts) != 0 {
				t.Errorf("%s: the pod mounts %+v", set, mounts)
			}
		}
	}
}

// TestKinds: the chart carries the definitions that make generate wrote, kept
// when the chart goes.
func TestKinds(t *testing.T) {
	got := make(map[string]apiextensions.CustomResourceDefinition)
	for _, crd := range find[apiextensions.CustomResourceDefinition](t, render(t), "CustomResourceDefinition") {
		if crd.Annotations["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s would go with the release, and all tenants with it", crd.Name)
		}
		delete(crd.Annotations, "helm.sh/resource-policy")
		got[crd.Name] = crd
	}
	want := make(map[string]apiextensions.CustomResourceDefinition)
	for name, text := range generated(t, "config/crd/*.yaml", "charts/dipcast/files/crds") {
		var crd apiextensions.CustomResourceDefinition
		if err := yaml.UnmarshalStrict([]byte(text), &crd); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want[crd.Name] = crd
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds (-config/crd +chart):\n%s", diff)
	}
	if left := find[apiextensions.CustomResourceDefinition](t, render(t, "--set", "crds.install=false"), "CustomResourceDefinition"); len(left) > 0 {
		t.Errorf("crds.install=false renders %d kinds", len(left))
	}
}

// generated returns the text of generated files, and fails unless the chart's
// folder holds the same.
func generated(t *testing.T, pattern, copied string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no files: %v", pattern, err)
	}
	texts := make(map[string]string)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(f)] = string(text)
	}
	copies, err := os.ReadDir(filepath.Join(root, copied))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range copies {
		text, err := os.ReadFile(filepath.Join(root, copied, c.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if texts[c.Name()] != string(text) {
			t.Errorf("%s/%s is not as generated: run make generate", copied, c.Name())
		}
	}
	if len(copies) != len(texts) {
		t.Errorf("%s holds %d files of %d: run make generate", copied, len(copies), len(texts))
	}
	return texts
}

// TestRights: the chart grants what the markers in the code ask for, and binds
// what is in tenants' namespaces where the values say.
func TestRights(t *testing.T) {
	want := make(map[string][]rbacv1.PolicyRule)
	for _, text := range generated(t, "config/rbac/role*.yaml", "charts/dipcast/files/rbac") {
		for _, role := range find[rbacv1.ClusterRole](t, text, "ClusterRole") {
			want[role.Name] = role.Rules
		}
	}
	for _, set := range []string{"default", "namespaces"} {
		got := make(map[string][]rbacv1.PolicyRule)
		for _, role := range find[rbacv1.ClusterRole](t, renderSet(t, set), "ClusterRole") {
			got[role.Name] = role.Rules
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: rules (-config/rbac +chart):\n%s", set, diff)
		}
	}
	tests := []struct {
		set  string
		want []string
	}{
		{"default", []string{"* dipcast-operator", "* dipcast-tenant-objects", namespace + " dipcast-operator-leader-election", namespace + " dipcast-operator-callbacks"}},
		{"namespaces", []string{"* dipcast-operator", "acme dipcast-tenant-objects", "beta dipcast-tenant-objects", namespace + " dipcast-operator-leader-election", namespace + " dipcast-operator-callbacks"}},
		{"no-receiver", []string{"* dipcast-operator", "* dipcast-tenant-objects", namespace + " dipcast-operator-leader-election"}},
		{"no-rights", nil},
	}
	for _, tt := range tests {
		text := renderSet(t, tt.set)
		var got []string
		for _, b := range find[rbacv1.ClusterRoleBinding](t, text, "ClusterRoleBinding") {
			got = append(got, "* "+b.RoleRef.Name)
		}
		for _, b := range find[rbacv1.RoleBinding](t, text, "RoleBinding") {
			got = append(got, b.Namespace+" "+b.RoleRef.Name)
		}
		slices.Sort(got)
		slices.Sort(tt.want)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: bindings %q, want %q", tt.set, got, tt.want)
		}
	}
}

// TestNoWideRights: nobody can grow rights out of the operator's, and nothing
// is granted by a star.
func TestNoWideRights(t *testing.T) {
	text := render(t)
	for _, role := range find[rbacv1.ClusterRole](t, text, "ClusterRole") {
		for _, r := range role.Rules {
			all := slices.Concat(r.Verbs, r.APIGroups, r.Resources)
			for _, word := range []string{"*", "escalate", "bind", "impersonate", "deletecollection", "serviceaccounts/token", "pods/exec", "clusterroles", "roles"} {
				if slices.Contains(all, word) {
					t.Errorf("ClusterRole %s grants %s on %q", role.Name, word, r.Resources)
				}
			}
			if role.Name == "dipcast-operator" && slices.Contains(r.Resources, "secrets") {
				t.Error("Secrets are granted outside of tenants' namespaces")
			}
		}
	}
}

// TestClasses: the products of the chart are those of the samples.
func TestClasses(t *testing.T) {
	text, err := os.ReadFile(root + "/config/samples/classes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	specs := func(text string) map[string]v1alpha1.PBXClassSpec {
		list := make(map[string]v1alpha1.PBXClassSpec)
		for _, c := range find[v1alpha1.PBXClass](t, text, "PBXClass") {
			list[c.Name] = c.Spec
		}
		return list
	}
	if diff := cmp.Diff(specs(string(text)), specs(render(t))); diff != "" {
		t.Errorf("classes (-config/samples +chart):\n%s", diff)
	}
}

// TestFlags: the operator knows every flag that the chart gives it, and the
// chart can give every flag that the operator knows.
func TestFlags(t *testing.T) {
	text, err := os.ReadFile(root + "/cmd/operator/flags.go")
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, m := range regexp.MustCompile(`set\.\w+Var\(&[\w.]+, "([a-z-]+)"`).FindAllStringSubmatch(string(text), -1) {
		known[m[1]] = false
	}
	if len(known) < 10 {
		t.Fatalf("cmd/operator declares the flags %v: this test looks at the wrong place", known)
	}
	for _, set := range valueSets(t) {
		for _, d := range find[appsv1.Deployment](t, renderSet(t, set), "Deployment") {
			for _, arg := range d.Spec.Template.Spec.Containers[0].Args {
				name, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
				if _, ok := known[name]; !ok {
					t.Errorf("%s: the operator has no flag %s", set, arg)
				}
				known[name] = true
			}
		}
	}
	for name, given := range known {
		if !given {
			t.Errorf("no value set gives the operator --%s", name)
		}
	}
}

// TestLease: the lease that the operator takes is the one that it may take.
func TestLease(t *testing.T) {
	text, err := os.ReadFile(root + "/cmd/operator/flags.go")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`LeaderElectionID = "([^"]+)"`).FindSubmatch(text)
	if m == nil {
		t.Fatal("cmd/operator names no lease: this test looks at the wrong place")
	}
	roles := slices.DeleteFunc(find[rbacv1.Role](t, render(t), "Role"), func(r rbacv1.Role) bool { return r.Name != "dipcast-operator-leader-election" })
	if len(roles) != 1 {
		t.Fatalf("%d roles of that name, want one", len(roles))
	}
	granted := slices.ContainsFunc(roles[0].Rules, func(r rbacv1.PolicyRule) bool {
		return slices.Contains(r.Resources, "leases") && slices.Equal(r.ResourceNames, []string{string(m[1])}) && slices.Contains(r.Verbs, "update")
	})
	if !granted {
		t.Errorf("the operator takes the lease %s, and its role is %+v", m[1], roles[0].Rules)
	}
}
