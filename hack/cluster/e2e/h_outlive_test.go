//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/phone"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

// A pod that somebody deletes hands its call over to the next one, which knows
// the phones from the volume; one that is deleted by force has no time to.
func TestCallsOutliveTheirPod(t *testing.T) {
	for name, how := range map[string][]string{
		"deleted": {"--wait=false"}, "forced": {"--force", "--grace-period=0", "--wait=false"},
	} {
		t.Run(name, func(t *testing.T) {
			c := found(t, plan{name: "outlive-" + name})
			c.ready()
			desk, other := c.desk("101"), c.desk("102")
			v := c.talk(desk, "025550101")
			old := c.pod()
			silence := v.listen()
			kubectl(t, append([]string{"-n", c.name, "delete", "pod", old.Name}, how...)...)
			c.replaced(old)
			v.goesOn("in the next pod")
			silence.print(t)
			v.end()
			c.recorded(1)
			c.ready()
			// Neither phone has registered anew.
			c.talk(other, "025550102").end()
			c.talk(desk, "025550101").end()
		})
	}
}

// silences are the longest times that the sides of a conversation heard nothing.
type silences struct {
	v    *conversation
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	longest map[string]time.Duration
}

// listen begins to measure.
func (v *conversation) listen() *silences {
	ctx, stop := context.WithCancel(v.t.Context())
	s := &silences{v: v, stop: stop, longest: map[string]time.Duration{}}
	for side, call := range v.sides() {
		s.done.Go(func() { s.follow(ctx, side, call) })
	}
	v.t.Cleanup(func() {
		stop()
		s.done.Wait()
	})
	return s
}

func (v *conversation) sides() map[string]*phone.Call {
	return map[string]*phone.Call{"caller": v.outside, "desk phone": v.inside}
}

func (s *silences) follow(ctx context.Context, side string, call *phone.Call) {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	last, received := time.Now(), call.Stats().Received
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-look.C:
			n := call.Stats().Received
			if n == received {
				continue
			}
			s.mu.Lock()
			s.longest[side] = max(s.longest[side], now.Sub(last))
			s.mu.Unlock()
			last, received = now, n
		}
	}
}

// print ends the measurement and tells what it found.
func (s *silences) print(t *testing.T) {
	t.Helper()
	s.stop()
	s.done.Wait()
	for side, call := range s.v.sides() {
		t.Logf("the %s heard nothing for %d ms at most; %d packets received, %d lost", side, s.longest[side].Milliseconds(), call.Stats().Received, call.Stats().Lost)
	}
}

// recorded waits until the company has that many records, the newest of a call
// that was answered and ended by hanging up.
func (c *company) recorded(n int) {
	c.t.Helper()
	until(c.t, patience, fmt.Sprintf("%d records of calls", n), func(ctx context.Context) string {
		var page pbx.CDRPage
		if err := c.fetch(ctx, "/api/v1/cdrs", &page); err != nil {
			return err.Error()
		}
		if len(page.Records) != n {
			return fmt.Sprintf("there are %d", len(page.Records))
		}
		if r := page.Records[0]; r.Disposition != pbx.Answered || r.Talk() <= 0 {
			return fmt.Sprintf("the newest is %s after %s", r.Disposition, r.Talk())
		}
		return ""
	})
}

// A new image of the PBX waits a moment for silence, and then replaces the
// process in its pod under the call; an upgrade of the chart that changes
// nothing of the PBX restarts nobody.
func TestAnUpgradeUnderACall(t *testing.T) {
	the.installed(t)
	ownClass(t, "e2e-upgrade", "{from: 16300, to: 16800}", "  update: {idleWait: 5s}\n")
	c := found(t, plan{name: "upgraded", class: "e2e-upgrade"})
	c.ready()
	t.Cleanup(func() {
		if _, err := the.chart(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	old := c.pod()
	desk := c.desk("101")
	v := c.talk(desk, "025550101")
	silence := v.listen()
	image := "localhost/dipcast/pbx:" + the.next
	c.upgraded(image)
	v.goesOn("under the new image")
	silence.print(t)
	if now := c.pod(); now.UID != old.UID || now.Spec.NodeName != old.Spec.NodeName {
		t.Errorf("an image alone took another pod: %s on %s, then %s on %s", old.UID, old.Spec.NodeName, now.UID, now.Spec.NodeName)
	}
	condition(t, c.tenant(), v1alpha1.ConditionUpdating, metav1.ConditionFalse, "")
	c.ready()
	if version := c.report().Program; version != the.next {
		t.Errorf("the PBX says that it is %s, want %s", version, the.next)
	}
	v.end()
	c.recorded(1)
	c.talk(desk, "025550101").end() // registered as before

	same := c.process()
	if _, err := the.chart(within(t), "pbx.image="+image, "operator.logLevel=debug"); err != nil {
		t.Fatal(err)
	}
	c.converges("301") // so the new operator has looked at it
	if now := c.process(); now != same {
		t.Errorf("an upgrade that changes nothing of the PBX restarted it: %s, then %s", same, now)
	}
	condition(t, c.tenant(), v1alpha1.ConditionUpdating, metav1.ConditionFalse, "")
}

// upgraded upgrades the chart to another image of the PBX, and waits until the
// company's process is made of it.
func (c *company) upgraded(image string) {
	t := c.t
	t.Helper()
	before := c.process()
	if _, err := the.chart(within(t), "pbx.image="+image); err != nil {
		t.Fatal(err)
	}
	until(t, patience, "a process of image "+image, func(ctx context.Context) string {
		pod, err := podOf(ctx, c.name, c.name)
		if err != nil || pod == nil || len(pod.Status.ContainerStatuses) != 1 {
			return fmt.Sprintf("no pod: %v", err)
		}
		s := pod.Status.ContainerStatuses[0]
		if pod.Spec.Containers[0].Image != image || !podReady(pod) || string(pod.UID)+" "+s.ContainerID == before {
			return fmt.Sprintf("pod %s has image %s, container %s, ready %v", pod.UID, pod.Spec.Containers[0].Image, s.ContainerID, s.Ready)
		}
		return ""
	})
}

// A node loses its power under a call. An administrator says so; the PBX goes on
// on the other node, with the call, whose phones follow to another address.
func TestACallFollowsToAnotherNode(t *testing.T) {
	c := found(t, plan{name: "followed"})
	c.ready()
	dead := c.pod().Spec.NodeName
	desk := c.desk("101")
	v := c.talk(desk, "025550101")
	old := c.pod()
	silence := v.listen()
	began := time.Now()
	switchOff(t, dead)
	noticed := time.Since(began)
	const taint = "node.kubernetes.io/out-of-service"
	kubectl(t, "taint", "node", dead, taint+"=nodeshutdown:NoExecute")
	t.Cleanup(func() {
		if _, err := run(context.WithoutCancel(t.Context()), "", "kubectl", "taint", "node", dead, taint+"-"); err != nil {
			t.Error(err)
		}
	})
	now := c.replaced(old)
	moved := time.Since(began)
	if now.Spec.NodeName != otherNode(dead) {
		t.Errorf("the pod moved from %s to %s", dead, now.Spec.NodeName)
	}
	v.goesOn("on the other node")
	t.Logf("the power is cut; noticed after %.1f s, the pod is ready on the other node after %.1f s, both sides hear each other after %.1f s",
		noticed.Seconds(), moved.Seconds(), time.Since(began).Seconds())
	silence.print(t)
	v.end()
	c.recorded(1)
	// The phone finds the PBX at its new address.
	c.talk(c.desk("101"), "025550101").end()
}

const toMobile = "내 모바일로 당겨 받기"

// A button that is pressed while there is no pod works soon after there is one.
func TestAPressWhileThePodIsAway(t *testing.T) {
	c := found(t, plan{name: "pressed", bot: true})
	c.configured()
	v := c.talk(c.desk("101"), "025550101")
	v.goesOn("before the pod goes")
	c.away()
	if err := c.press(toMobile); err != nil {
		t.Fatalf("the press is not taken: %v", err)
	}
	pressed := time.Now()
	c.back()
	ready := c.returned()
	mobile, err := c.carrier.WaitIncoming(within(t))
	if err != nil {
		t.Fatalf("the mobile does not ring: %v", err)
	}
	after := max(0, time.Since(ready))
	t.Logf("the mobile rings %.1f s after the press, %.1f s after the pod's return", time.Since(pressed).Seconds(), after.Seconds())
	if after > 5*time.Second {
		t.Errorf("the press was acted on %s after the pod's return, wanted are less than 5 s", after)
	}
	if err := mobile.Reject(486); err != nil {
		t.Error(err)
	}
	v.goesOn("after the pull that nobody took")

	if the.full {
		c.away()
		if err := c.press(toMobile); err != nil {
			t.Fatalf("the press is not taken: %v", err)
		}
		if _, err := the.sim.Wait(within(t), person(c.name), func(m sim.Message) bool { return strings.Contains(m.Text.Text, "30초 동안") }); err != nil {
			t.Errorf("nobody says that the press came to nothing: %v", err)
		}
		c.back()
		c.returned()
	}
	v.end()
}

// away takes the pod, and lets no other one come.
func (c *company) away() {
	c.t.Helper()
	old := c.pod()
	c.t.Cleanup(c.back)
	kubectl(c.t, "cordon", "n1", "n2")
	// One that refuses calls does not wait for its successor: nobody is there.
	if code, said := ask(c.t, http.MethodPost, "http://"+c.admin()+conf.PathDrain, c.token(), nil, []byte(`{"hold":"1m"}`)); code != http.StatusOK {
		c.t.Fatalf("the drain is answered with %d: %s", code, said)
	}
	kubectl(c.t, "-n", c.name, "delete", "pod", old.Name, "--force", "--grace-period=0", "--wait=false")
	until(c.t, patience, "a pod that waits", func(ctx context.Context) string {
		pod, err := podOf(ctx, c.name, c.name)
		if err != nil || pod == nil || pod.UID == old.UID || pod.Spec.NodeName != "" {
			return fmt.Sprintf("it is %v (%v)", pod, err)
		}
		return ""
	})
}

// back lets it come.
func (c *company) back() {
	if _, err := run(context.WithoutCancel(c.t.Context()), "", "kubectl", "uncordon", "n1", "n2"); err != nil {
		c.t.Error(err)
	}
}

// returned waits until the PBX's process runs, and returns since when.
func (c *company) returned() time.Time {
	c.t.Helper()
	var at time.Time
	until(c.t, patience, "the pod's return", func(ctx context.Context) string {
		pod, err := podOf(ctx, c.name, c.name)
		if err != nil || pod == nil || !podReady(pod) {
			return fmt.Sprintf("it is not ready (%v)", err)
		}
		i := slices.IndexFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady })
		at = pod.Status.Conditions[i].LastTransitionTime.Time
		return ""
	})
	return at
}

// press presses a button of the newest card in the employee's chat.
func (c *company) press(label string) error {
	c.t.Helper()
	all := the.sim.Messages(person(c.name))
	for _, m := range slices.Backward(all) {
		for i, b := range m.Buttons {
			if b.Label.Text == label {
				return the.sim.Press(within(c.t), person(c.name), m.Index, i)
			}
		}
	}
	return fmt.Errorf("no card of %d messages has a button %q", len(all), label)
}
