//go:build cluster

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// run runs a program with input; its error carries what the program said.
func run(ctx context.Context, input, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	if input != "" {
		cmd.Stdin = strings.NewReader(input)
	}
	var out, both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &both
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out.String(), both.String())
	}
	return out.String(), nil
}

// kubectl runs kubectl, as a person would.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(within(t), "", "kubectl", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// apply applies manifests.
func apply(t *testing.T, manifests string) {
	t.Helper()
	if _, err := run(within(t), manifests, "kubectl", "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// within bounds one step of a test.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// until asks again until ok returns an empty string; else what is still wrong.
func until(t *testing.T, limit time.Duration, what string, ok func(ctx context.Context) string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := poll(ctx, ok); err != nil {
		t.Fatalf("waited %s in vain for: %s: %v", limit, what, err)
	}
}

func poll(ctx context.Context, ok func(ctx context.Context) string) error {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		wrong := ok(ctx)
		if wrong == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New(wrong)
		case <-again.C:
		}
	}
}

// get reads an object by its key.
func get[T client.Object](t *testing.T, o T, namespace, name string) T {
	t.Helper()
	if err := the.client.Get(within(t), client.ObjectKey{Namespace: namespace, Name: name}, o); err != nil {
		t.Fatal(err)
	}
	return o
}

// gone waits until an object does not exist.
func gone(t *testing.T, o client.Object) {
	t.Helper()
	until(t, patience, fmt.Sprintf("the end of %T %s", o, o.GetName()), func(ctx context.Context) string {
		err := the.client.Get(ctx, client.ObjectKeyFromObject(o), o)
		if client.IgnoreNotFound(err) == nil && err != nil {
			return ""
		}
		return fmt.Sprintf("it is still there (%v), finalizers %v", err, o.GetFinalizers())
	})
}

// condition waits until a condition of an object has the status and, unless
// it is empty, the reason, and tells of the present spec.
func condition(t *testing.T, o client.Object, kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	t.Helper()
	var found metav1.Condition
	until(t, patience, fmt.Sprintf("%T %s: %s=%s %s", o, client.ObjectKeyFromObject(o), kind, status, reason), func(ctx context.Context) string {
		if err := the.client.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err.Error()
		}
		is := meta.FindStatusCondition(conditionsOf(o), kind)
		if is == nil || is.Status != status || reason != "" && is.Reason != reason || is.ObservedGeneration != o.GetGeneration() {
			return fmt.Sprintf("it has %v", is)
		}
		found = *is
		return ""
	})
	return found
}

func conditionsOf(o client.Object) []metav1.Condition {
	switch x := o.(type) {
	case *v1alpha1.PBXTenant:
		return x.Status.Conditions
	case *v1alpha1.PBXClass:
		return x.Status.Conditions
	case *v1alpha1.ExtensionPlan:
		return x.Status.Conditions
	case *v1alpha1.SIPTrunk:
		return x.Status.Conditions
	case *v1alpha1.CallFlow:
		return x.Status.Conditions
	case *v1alpha1.NaverWorksBot:
		return x.Status.Conditions
	default:
		return nil
	}
}

// told is what the cluster says of a namespace, for people who look at a
// failed test.
func (s *installation) told(namespace string) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var all strings.Builder
	for _, args := range [][]string{
		{"get", "nodes,pbxclasses", "-o", "wide"},
		{"-n", namespace, "get", "pbxtenants,extensionplans,siptrunks,callflows,naverworksbots,statefulsets,pods,pvc,pdb,ingresses,services", "-o", "wide"},
		{
			"-n", namespace, "get", "pbxtenants,extensionplans,siptrunks,callflows,naverworksbots", "-o",
			`jsonpath={range .items[*]}{.kind} {.metadata.name}{range .status.conditions[*]}{"\n"}  {.type}={.status} {.reason}: {.message}{end}{"\n"}{end}`,
		},
		{"-n", namespace, "get", "events", "--sort-by=.lastTimestamp"},
		{"-n", namespace, "logs", "-l", "app.kubernetes.io/name=dipcast", "--tail=40", "--prefix"},
		{"-n", system, "logs", "-l", "app.kubernetes.io/name=dipcast-operator", "--tail=60"},
	} {
		out, err := run(ctx, "", "kubectl", args...)
		fmt.Fprintf(&all, "--- kubectl %s\n%s", strings.Join(args, " "), out)
		if err != nil {
			fmt.Fprintf(&all, "%v\n", err)
		}
	}
	return all.String()
}

// podOf returns the pod of a tenant; nil if there is none.
func podOf(ctx context.Context, namespace, tenant string) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	err := the.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: tenant + "-pbx-0"}, pod)
	if err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return pod, nil
}

// clear removes everything that these tests make, the operator last, which
// must still be there to clean up behind the companies.
func (s *installation) clear(ctx context.Context) error {
	var tenants v1alpha1.PBXTenantList
	err := s.client.List(ctx, &tenants)
	if meta.IsNoMatchError(err) {
		return s.uninstall(ctx)
	}
	if err != nil {
		return err
	}
	var marked corev1.NamespaceList
	if err := s.client.List(ctx, &marked, client.HasLabels{mark}); err != nil {
		return err
	}
	ours := map[string]bool{}
	for i := range marked.Items {
		ours[marked.Items[i].Name] = true
	}
	for i := range tenants.Items {
		if !ours[tenants.Items[i].Namespace] {
			return fmt.Errorf("PBXTenant %s/%s is somebody else's: these tests want the cluster for themselves: make cluster-down, or delete it",
				tenants.Items[i].Namespace, tenants.Items[i].Name)
		}
	}
	return s.clearNamespaces(ctx, marked.Items)
}

func (s *installation) clearNamespaces(ctx context.Context, namespaces []corev1.Namespace) error {
	for i := range namespaces {
		if err := removeNamespace(ctx, namespaces[i].Name, true); err != nil {
			return err
		}
	}
	if _, err := run(ctx, "", "kubectl", "delete", "pbxclasses", "-l", mark, "--ignore-not-found"); err != nil {
		return err
	}
	return s.uninstall(ctx)
}

// removeNamespace ends a company's tenants, then its namespace. Without an
// operator, which an aborted run may have taken away, the finalizers go.
func removeNamespace(ctx context.Context, name string, wait bool) error {
	if _, err := run(ctx, "", "kubectl", "-n", name, "delete", "pbxtenants,naverworksbots", "--all", "--timeout=60s"); err != nil {
		for _, kind := range []string{"pbxtenants", "naverworksbots"} {
			names, _ := run(ctx, "", "kubectl", "-n", name, "get", kind, "-o", "name")
			for _, object := range strings.Fields(names) {
				_, _ = run(ctx, "", "kubectl", "-n", name, "patch", object, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
			}
		}
	}
	_, err := run(ctx, "", "kubectl", "delete", "namespace", name, "--ignore-not-found", "--timeout=90s", fmt.Sprintf("--wait=%t", wait))
	return err
}

func (s *installation) uninstall(ctx context.Context) error {
	_, err := run(ctx, "", s.helm, "uninstall", release, "--namespace", system, "--ignore-not-found", "--wait", "--timeout", patience.String())
	if err != nil {
		return err
	}
	// The operator may have lost its rights before it could give the lease back.
	_, err = run(ctx, "", "kubectl", "-n", system, "delete", "lease", "dipcast-operator", "--ignore-not-found")
	return err
}
