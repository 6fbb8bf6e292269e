package charttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// cluster is an API server without nodes.
type cluster struct {
	client.Client
	kubeconfig string
}

func startCluster(t *testing.T) cluster {
	t.Helper()
	env := &envtest.Environment{BinaryAssetsDirectory: binaries(t)}
	config, err := env.Start()
	// Also after a failed start: what did start would go on.
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Errorf("stop the API server: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	user, err := env.AddUser(envtest.User{Name: "installer", Groups: []string{"system:masters"}}, config)
	if err != nil {
		t.Fatal(err)
	}
	text, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	return cluster{Client: c, kubeconfig: file}
}

func (c cluster) helm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := helm(t, append(args, "--kubeconfig", c.kubeconfig, "--namespace", namespace)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (c cluster) kubectl(t *testing.T, args ...string) {
	t.Helper()
	if _, err := program(t, binaries(t)+"/kubectl", append(args, "--kubeconfig", c.kubeconfig)...); err != nil {
		t.Fatal(err)
	}
}

// TestInstall follows a release through its life on a real API server: the
// first install brings kinds and classes at once, an upgrade takes the classes
// over and carries new kinds in, and the end leaves what tenants live of.
func TestInstall(t *testing.T) {
	c, ctx := startCluster(t), t.Context()
	out := c.helm(t, "install", "dipcast", chart, "--create-namespace")
	if !strings.Contains(out, "pod-security.kubernetes.io/enforce=privileged") {
		t.Errorf("the notes do not say which label a tenant's namespace needs:\n%s", out)
	}
	wantClasses(t, c, "dipcast-100", "dipcast-50")
	var operator appsv1.Deployment
	get(t, c, namespace, "dipcast-operator", &operator)

	// Somebody's old kind, as an earlier version left it.
	var kind apiextensions.CustomResourceDefinition
	get(t, c, "", "pbxclasses.pbx.dipcast.io", &kind)
	names := kind.Spec.Names.ShortNames
	kind.Spec.Names.ShortNames = []string{"old"}
	if err := c.Update(ctx, &kind); err != nil {
		t.Fatal(err)
	}
	// --force-conflicts: the change above was made by somebody else than Helm.
	c.helm(t, "upgrade", "dipcast", chart, "--set", "operator.maxUpdates=7", "--force-conflicts")
	get(t, c, "", "pbxclasses.pbx.dipcast.io", &kind)
	if strings.Join(kind.Spec.Names.ShortNames, ",") != strings.Join(names, ",") {
		t.Errorf("an upgrade left the kind at short names %q, want %q", kind.Spec.Names.ShortNames, names)
	}
	get(t, c, namespace, "dipcast-operator", &operator)
	if args := strings.Join(operator.Spec.Template.Spec.Containers[0].Args, " "); !strings.Contains(args, "--max-updates=7") {
		t.Errorf("the operator runs with %s", args)
	}
	wantClasses(t, c, "dipcast-100", "dipcast-50")

	c.helm(t, "uninstall", "dipcast")
	wantClasses(t, c, "dipcast-100", "dipcast-50")
	for _, gone := range []client.Object{&appsv1.Deployment{}, &corev1.ServiceAccount{}, &rbacv1.ClusterRole{}} {
		key := client.ObjectKey{Namespace: namespace, Name: "dipcast-operator"}
		if _, ok := gone.(*rbacv1.ClusterRole); ok {
			key.Namespace = ""
		}
		if err := c.Get(ctx, key, gone); !apierrors.IsNotFound(err) {
			t.Errorf("after the uninstall %T dipcast-operator is there: %v", gone, err)
		}
	}
	// Installed again, it takes over what it left.
	c.helm(t, "install", "dipcast", chart)
	wantClasses(t, c, "dipcast-100", "dipcast-50")
}

// TestInstallEverySet: the API server takes every installation that the
// golden files show, where it knows the kinds.
func TestInstallEverySet(t *testing.T) {
	c := startCluster(t)
	for _, name := range []string{"acme", "beta", "node-guard", namespace} {
		if err := c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	c.helm(t, "install", "dipcast", chart)
	for _, set := range valueSets(t) {
		if set == "monitored" || set == "service-monitor" {
			continue // kinds of the Prometheus operator
		}
		c.helm(t, "upgrade", "dipcast", chart, "--values", filepath.Join("testdata", set+".values.yaml"), "--set", "metrics.dashboards.enabled=true")
		wantAdmitted(t, c, set)
	}
}

// wantAdmitted has the API server judge the operator's pod by the pod security
// level "restricted".
func wantAdmitted(t *testing.T, c cluster, set string) {
	t.Helper()
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "judge-" + set, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	if err := c.Create(t.Context(), space); err != nil {
		t.Fatal(err)
	}
	var operator appsv1.Deployment
	get(t, c, namespace, "dipcast-operator", &operator)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "operator", Namespace: space.Name}, Spec: operator.Spec.Template.Spec}
	// The admission of accounts and priority classes is no matter of this.
	pod.Spec.PriorityClassName, pod.Spec.ServiceAccountName = "", ""
	refused := pod.DeepCopy()
	if err := c.Create(t.Context(), pod, client.DryRunAll); err != nil {
		t.Errorf("%s: %v", set, err)
	}
	refused.Spec.HostNetwork = true
	if err := c.Create(t.Context(), refused, client.DryRunAll); err == nil || !strings.Contains(err.Error(), `PodSecurity "restricted`) {
		t.Errorf("%s: the API server does not judge: %v", set, err)
	}
}

func get(t *testing.T, c cluster, namespace, name string, into client.Object) {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, into); err != nil {
		t.Fatal(err)
	}
}

func wantClasses(t *testing.T, c cluster, names ...string) {
	t.Helper()
	var list v1alpha1.PBXClassList
	if err := c.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, class := range list.Items {
		got = append(got, class.Name)
	}
	if strings.Join(got, ",") != strings.Join(names, ",") {
		t.Errorf("classes %q, want %q", got, names)
	}
}

// TestHandOver: kinds that somebody applied by hand are handed over to the
// release as docs/install.md says.
func TestHandOver(t *testing.T) {
	c := startCluster(t)
	c.kubectl(t, "apply", "--server-side", "-k", root+"/config/crd")
	c.kubectl(t, "create", "namespace", namespace)
	if _, err := helm(t, "install", "dipcast", chart, "--namespace", namespace, "--kubeconfig", c.kubeconfig); err == nil || !strings.Contains(err.Error(), "invalid ownership metadata") {
		t.Fatalf("kinds of somebody else were taken, or refused for another reason: %v", err)
	}
	for _, kind := range []string{"callflows", "extensionplans", "naverworksbots", "pbxclasses", "pbxtenants", "siptrunks"} {
		c.kubectl(t, "label", "crd", kind+".pbx.dipcast.io", "app.kubernetes.io/managed-by=Helm")
		c.kubectl(t, "annotate", "crd", kind+".pbx.dipcast.io", "meta.helm.sh/release-name=dipcast", "meta.helm.sh/release-namespace="+namespace)
	}
	c.helm(t, "install", "dipcast", chart)
	wantClasses(t, c, "dipcast-100", "dipcast-50")
}

// TestInstallWithoutHelm runs the commands of docs/install.md.
func TestInstallWithoutHelm(t *testing.T) {
	c := startCluster(t)
	c.kubectl(t, "apply", "--server-side", "-k", root+"/config/default")
	c.kubectl(t, "wait", "--for=condition=Established", "--timeout=60s", "crd/pbxclasses.pbx.dipcast.io")
	c.kubectl(t, "apply", "-f", root+"/config/samples/classes.yaml")
	wantClasses(t, c, "dipcast-100", "dipcast-50")
	var operator appsv1.Deployment
	get(t, c, namespace, "dipcast-operator", &operator)
}
