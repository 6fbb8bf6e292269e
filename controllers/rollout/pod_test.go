package rollout_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/rollout"
)

func running(started bool) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: "pbx", ContainerID: "containerd://c1", Started: ptr.To(started),
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}
}

func pod(status corev1.ContainerStatus, ready corev1.ConditionStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{UID: "u1", Annotations: map[string]string{
			v1alpha1.AnnotationTemplate: "t1", v1alpha1.AnnotationConfigGeneration: "g1",
		}},
		Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "other", Image: "x"}, {Name: "pbx", Image: "pbx:1"}}},
		Status: corev1.PodStatus{
			ContainerStatuses: []corev1.ContainerStatus{{Name: "other", ContainerID: "containerd://o"}, status},
			Conditions:        []corev1.PodCondition{{Type: corev1.PodScheduled, Status: "False"}, {Type: corev1.PodReady, Status: ready}},
		},
	}
}

func TestPodOf(t *testing.T) {
	if got := rollout.PodOf(nil, "pbx", nil); got != nil {
		t.Errorf("no pod is %+v", got)
	}
	ready := &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: "True"}}}}
	up := rollout.Pod{
		Template: "t1", Image: "pbx:1", Generation: "g1", Instance: "u1/containerd://c1", Up: true, Running: true, Ready: true,
		Node: rollout.Node{Name: "n1"},
	}
	waiting := running(false)
	waiting.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	for _, tc := range []struct {
		name string
		pod  *corev1.Pod
		want func(*rollout.Pod)
	}{
		{"ready", pod(running(true), "True"), func(*rollout.Pod) {}},
		{"not ready", pod(running(true), "False"), func(p *rollout.Pod) { p.Ready = false }},
		{"starting, an old condition still says ready", pod(running(false), "True"), func(p *rollout.Pod) { p.Up, p.Ready = false, false }},
		{"crashing", pod(waiting, "False"), func(p *rollout.Pod) { p.Up, p.Running, p.Ready, p.Crashing = false, false, false, true }},
		{"never started", pod(corev1.ContainerStatus{Name: "pbx"}, "False"), func(p *rollout.Pod) {
			p.Up, p.Running, p.Ready, p.Instance = false, false, false, "u1/"
		}},
		{"the kubelet has not spoken", pod(corev1.ContainerStatus{Name: "third"}, "Unknown"), func(p *rollout.Pod) {
			p.Up, p.Running, p.Ready, p.Instance = false, false, false, "u1/"
		}},
		{"a mirror's image", func() *corev1.Pod {
			p := pod(running(true), "True")
			p.Annotations[v1alpha1.AnnotationImage] = rollout.Admitted("pbx:wanted", "pbx:1")
			return p
		}(), func(p *rollout.Pod) { p.Image = "pbx:wanted" }},
		{"an image by hand after a mirror's", func() *corev1.Pod {
			p := pod(running(true), "True")
			p.Annotations[v1alpha1.AnnotationImage] = rollout.Admitted("pbx:wanted", "mirror/pbx:wanted")
			return p
		}(), func(*rollout.Pod) {}},
		{"told to go", func() *corev1.Pod {
			p := pod(running(true), "True")
			p.DeletionTimestamp = &metav1.Time{Time: now}
			return p
		}(), func(p *rollout.Pod) { p.Terminating = true }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := up
			tc.want(&want)
			if diff := cmp.Diff(&want, rollout.PodOf(tc.pod, "pbx", ready)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestNodeOf(t *testing.T) {
	since := metav1.NewTime(now.Add(-time.Hour))
	conditions := func(status corev1.ConditionStatus) corev1.NodeStatus {
		return corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeDiskPressure, Status: "True"},
			{Type: corev1.NodeReady, Status: status, LastTransitionTime: since},
		}}
	}
	for _, tc := range []struct {
		name string
		at   string
		node *corev1.Node
		want rollout.Node
	}{
		{"not scheduled", "", nil, rollout.Node{}},
		{"gone", "n1", nil, rollout.Node{Name: "n1", Gone: true}},
		{"well", "n1", &corev1.Node{Status: conditions("True")}, rollout.Node{Name: "n1"}},
		{"not ready", "n1", &corev1.Node{Status: conditions("False")}, rollout.Node{Name: "n1", NotReady: since.Time}},
		{"unknown", "n1", &corev1.Node{Status: conditions("Unknown")}, rollout.Node{Name: "n1", NotReady: since.Time}},
		{"never seen", "n1", &corev1.Node{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: since}}, rollout.Node{Name: "n1", NotReady: since.Time}},
		{"cordoned", "n1", &corev1.Node{Spec: corev1.NodeSpec{Unschedulable: true}, Status: conditions("True")}, rollout.Node{Name: "n1", Cordoned: true}},
		{"out of service", "n1", &corev1.Node{
			Spec:   corev1.NodeSpec{Taints: []corev1.Taint{{Key: "a"}, {Key: corev1.TaintNodeOutOfService}, {Key: "b"}}},
			Status: conditions("Unknown"),
		}, rollout.Node{Name: "n1", OutOfService: true, NotReady: since.Time}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, rollout.NodeOf(tc.at, tc.node)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
