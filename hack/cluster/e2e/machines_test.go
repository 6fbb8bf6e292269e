//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// otherNode is the node of the two that is not this one.
func otherNode(name string) string {
	if name == "n1" {
		return "n2"
	}
	return "n1"
}

// operatorNode is the node that the operator runs on.
func operatorNode(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(kubectl(t, "-n", system, "get", "pods", "-l", "app.kubernetes.io/name=dipcast-operator",
		"--field-selector", "status.phase=Running", "-o", "jsonpath={.items[0].spec.nodeName}"))
}

// switchOff cuts a node's power until the test ends, or switchOn.
func switchOff(t *testing.T, name string) {
	t.Helper()
	t.Cleanup(func() {
		if err := power(context.WithoutCancel(t.Context()), "on", name); err != nil {
			t.Error(err)
		}
	})
	if err := power(within(t), "off", name); err != nil {
		t.Fatal(err)
	}
	until(t, patience, "Kubernetes notices that node "+name+" is dead", func(ctx context.Context) string {
		return nodeReady(ctx, name, corev1.ConditionUnknown)
	})
}

func switchOn(t *testing.T, name string) {
	t.Helper()
	if err := power(within(t), "on", name); err != nil {
		t.Fatal(err)
	}
	until(t, patience, "node "+name+" is ready", func(ctx context.Context) string {
		return nodeReady(ctx, name, corev1.ConditionTrue)
	})
}

func power(ctx context.Context, verb, node string) error {
	_, err := run(ctx, "", "hack/cluster/node.sh", verb, node)
	return err
}

func nodeReady(ctx context.Context, name string, want corev1.ConditionStatus) string {
	node := &corev1.Node{}
	if err := the.client.Get(ctx, client.ObjectKey{Name: name}, node); err != nil {
		return err.Error()
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != want {
			return fmt.Sprintf("Ready=%s: %s", c.Status, c.Message)
		}
	}
	return ""
}

// controlPlane kills a program of the control plane or starts it again.
func controlPlane(ctx context.Context, verb, program string) error {
	_, err := run(ctx, "", "hack/cluster/control-plane.sh", verb, program)
	return err
}

// listeners tells, for each PROTOCOL PORT of a node, the local addresses of the
// sockets that listen.
func listeners(t *testing.T, node string) map[string][]string {
	t.Helper()
	out, err := run(within(t), "", "nsenter", "--net=/run/netns/dipcast-"+node, "ss", "-Hlntu")
	if err != nil {
		t.Fatal(err)
	}
	open := map[string][]string{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			t.Fatalf("ss says %q", line)
		}
		local := fields[4]
		key := fields[0] + " " + local[strings.LastIndexByte(local, ':')+1:]
		open[key] = append(open[key], local)
	}
	return open
}
