//go:build cluster

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/phone"
)

// replaced waits until another pod is there and is ready.
func (c *company) replaced(old *corev1.Pod) *corev1.Pod {
	c.t.Helper()
	var now *corev1.Pod
	until(c.t, 2*patience, "another pod than "+string(old.UID), func(ctx context.Context) string {
		pod, err := podOf(ctx, c.name, c.name)
		if err != nil || pod == nil {
			return fmt.Sprintf("there is none (%v)", err)
		}
		if pod.UID == old.UID || !podReady(pod) {
			return fmt.Sprintf("pod %s on %s is %s, deleted %v", pod.UID, pod.Spec.NodeName, pod.Status.Phase, pod.DeletionTimestamp)
		}
		now = pod
		return ""
	})
	return now
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// An operator that is killed takes no call with it; the next one goes on where
// it was, and gives nobody's ports away.
func TestTheOperatorIsKilled(t *testing.T) {
	c := found(t, plan{name: "orphaned"})
	c.ready()
	before := c.process()
	v := c.talk(c.desk("101"), "025550101")
	for _, name := range strings.Fields(kubectl(t, "-n", system, "get", "pods", "-l", "app.kubernetes.io/name=dipcast-operator", "-o", "name")) {
		kubectl(t, "-n", system, "delete", name, "--grace-period=0", "--force")
	}
	v.goesOn("without an operator")
	next := found(t, plan{name: "orphaned-next"})
	next.ready()
	c.converges("301")
	v.goesOn("under the next operator")
	v.lossless()
	v.end()
	if after := c.process(); after != before {
		t.Errorf("the PBX was restarted: %s, then %s", before, after)
	}
	noDuplicates(t)
}

// converges applies a new extension and waits until a phone has registered.
func (c *company) converges(extension string) {
	c.t.Helper()
	apply(c.t, c.extension(extension))
	plan := &v1alpha1.ExtensionPlan{ObjectMeta: metav1.ObjectMeta{Namespace: c.name, Name: "plan-" + extension}}
	condition(c.t, plan, v1alpha1.ConditionAccepted, metav1.ConditionTrue, "")
	until(c.t, 2*patience, "the PBX knows extension "+extension, func(ctx context.Context) string {
		var config corev1.Secret
		if err := the.client.Get(ctx, client.ObjectKey{Namespace: c.name, Name: c.name + "-config"}, &config); err != nil {
			return err.Error()
		}
		if !bytes.Contains(config.Data[v1alpha1.KeyDocument], []byte(`"`+extension+`"`)) {
			return "it is not in the document"
		}
		if g := c.report().Generation; !bytes.Contains(config.Data[v1alpha1.KeyDocument], []byte(g)) {
			return "the PBX runs generation " + g
		}
		return ""
	})
	p := newPhone(c.t, phone.Config{
		User: extension, Password: c.password(extension), Domain: c.name + ".pbx.example.com", Server: c.sip(), Listen: phonesAt + ":0",
	})
	if err := p.Register(within(c.t), time.Hour); err != nil {
		c.t.Fatalf("extension %s: %v", extension, err)
	}
}

// noDuplicates fails if two tenants on one node have a port in common.
func noDuplicates(t *testing.T) {
	t.Helper()
	var all v1alpha1.PBXTenantList
	if err := the.client.List(within(t), &all); err != nil {
		t.Fatal(err)
	}
	for i := range all.Items {
		for j := range all.Items[:i] {
			a, b := &all.Items[i], &all.Items[j]
			if a.Status.Ports == nil || b.Status.Ports == nil || a.Status.NodeName != b.Status.NodeName {
				continue
			}
			fromA, toA := span(t, a)
			fromB, toB := span(t, b)
			if fromA <= toB && fromB <= toA {
				t.Errorf("%s has ports %d-%d and %s %d-%d, both on %s", a.Name, fromA, toA, b.Name, fromB, toB, a.Status.NodeName)
			}
		}
	}
}

// The API server is away, for a minute in the full run: calls go on, phones
// register and call. Afterwards what was changed meanwhile is put right, and
// nothing was restarted.
func TestTheAPIServerIsAway(t *testing.T) {
	away := 10 * time.Second
	if the.full {
		away = time.Minute
	}
	c := found(t, plan{name: "headless"})
	c.ready()
	before, sip := c.process(), c.sip()
	desk := c.desk("101")
	v := c.talk(desk, "025550101")
	t.Cleanup(func() {
		if err := controlPlane(context.WithoutCancel(t.Context()), "on", "kube-apiserver"); err != nil {
			t.Error(err)
		}
	})
	if err := controlPlane(within(t), "off", "kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p := newPhone(t, phone.Config{
		User: "102", Password: c.password("102"), Domain: c.name + ".pbx.example.com", Server: sip, Listen: phonesAt + ":0",
	})
	if err := p.Register(within(t), time.Hour); err != nil {
		t.Fatalf("no phone registers without an API server: %v", err)
	}
	inner, err := p.Dial(within(t), "101", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rings, err := desk.WaitIncoming(within(t))
	if err != nil {
		t.Fatalf("no new call without an API server: %v (%s)", err, inner.State())
	}
	if err := rings.Reject(486); err != nil {
		t.Error(err)
	}
	if _, err := inner.WaitEnded(within(t)); err != nil {
		t.Error(err)
	}
	for time.Since(began) < away {
		v.goesOn("without an API server")
	}
	if err := controlPlane(within(t), "on", "kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	c.converges("301")
	t.Logf("the API server was away for %.0f s; a change was in force %.1f s after its return", back.Sub(began).Seconds(), time.Since(back).Seconds())
	v.goesOn("under the API server")
	v.lossless()
	v.end()
	next := found(t, plan{name: "headless-next"})
	next.ready()
	if after := c.process(); after != before {
		t.Errorf("the PBX was restarted: %s, then %s", before, after)
	}
	noDuplicates(t)
}

// kubectl drain waits for the call; then the pod moves to the other node.
func TestADrainedNodeWaitsForTheCall(t *testing.T) {
	c := found(t, plan{name: "moved"})
	c.ready()
	old := c.pod()
	node := old.Spec.NodeName
	v := c.talk(c.desk("101"), "025550101")
	t.Cleanup(func() {
		if _, err := run(context.WithoutCancel(t.Context()), "", "kubectl", "uncordon", node); err != nil {
			t.Error(err)
		}
	})
	drain := start(t, "kubectl", "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=300s")
	drain.says(t, "disruption budget")
	condition(t, c.tenant(), v1alpha1.ConditionUpdating, metav1.ConditionTrue, v1alpha1.ReasonWaitingForCalls)
	v.goesOn("while kubectl drain waits")
	// It still takes calls.
	second := c.talk(c.desk("102"), "025550102")
	v.lossless()
	v.end()
	second.goesOn("after the first call's end")
	if pod := c.pod(); pod.UID != old.UID || pod.DeletionTimestamp != nil {
		t.Errorf("the pod goes although a call is up")
	}
	second.end()
	if err := drain.ends(t); err != nil {
		t.Errorf("kubectl drain: %v\n%s", err, drain.text())
	}
	if now := c.replaced(old); now.Spec.NodeName != otherNode(node) {
		t.Errorf("the pod moved from %s to %s", node, now.Spec.NodeName)
	}
	if tenant := c.ready(); tenant.Status.NodeName != otherNode(node) {
		t.Errorf("the tenant is said to be on %s", tenant.Status.NodeName)
	}
	c.talk(c.desk("101"), "025550101").end()
	noDuplicates(t)
}

// program is a program that runs beside the test.
type program struct {
	done chan struct{}
	err  error // valid once done
	mu   sync.Mutex
	out  bytes.Buffer
}

// start starts a program; it ends with the test at the latest.
func start(t *testing.T, name string, args ...string) *program {
	t.Helper()
	p := &program{done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		cancel()
		<-p.done
	})
	return p
}

// Write implements io.Writer.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// says waits for words of the program.
func (p *program) says(t *testing.T, words string) {
	t.Helper()
	until(t, patience, "the program says "+words, func(context.Context) string {
		if text := p.text(); !strings.Contains(text, words) {
			return "it said: " + text
		}
		return ""
	})
}

// ends waits for the program's end.
func (p *program) ends(t *testing.T) error {
	t.Helper()
	select {
	case <-p.done:
		return p.err
	case <-within(t).Done():
		return context.DeadlineExceeded
	}
}
