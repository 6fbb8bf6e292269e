package podstate_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/podstate"
)

// row is a situation of a pod and the condition that tells of it.
type row struct {
	name   string
	in     podstate.Input
	status metav1.ConditionStatus
	reason string
	want   string // the message begins so
}

func judge(t *testing.T, rows []row) {
	t.Helper()
	for _, tc := range rows {
		t.Run(tc.name, func(t *testing.T) {
			c := podstate.Of(tc.in)
			if c.Type != v1alpha1.ConditionPodRunning || c.Status != tc.status || c.Reason != tc.reason || !strings.HasPrefix(c.Message, tc.want) {
				t.Errorf("%s %s: %s\nwant %s %s: %s", c.Status, c.Reason, c.Message, tc.status, tc.reason, tc.want)
			}
		})
	}
}

func TestPodThatIsOnNoNode(t *testing.T) {
	class := &v1alpha1.PBXClass{ObjectMeta: metav1.ObjectMeta{Name: "dipcast-100"}}
	pending := func(said string) *corev1.Pod {
		return &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: said,
		}}}}
	}
	storage := "fast"
	judge(t, []row{
		{"no pod yet", podstate.Input{}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "the pod is not made yet"},
		{
			"pod security",
			podstate.Input{Refusals: []string{`pods "acme-pbx-0" is forbidden: violates PodSecurity "restricted:latest": host namespaces (hostNetwork=true)`}},
			metav1.ConditionFalse, v1alpha1.ReasonPodRefused, "the namespace's pod security level forbids host networking, which a PBX needs: label the namespace pod-security.kubernetes.io/enforce=privileged",
		},
		{"a quota", podstate.Input{Refusals: []string{"exceeded quota: pods"}}, metav1.ConditionFalse, v1alpha1.ReasonPodRefused, "the API server refuses the pod: exceeded quota"},
		{
			"ports of a shared slot",
			podstate.Input{Pod: pending("0/2 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."), Class: class, SharedOn: []string{"n1"}},
			metav1.ConditionFalse, v1alpha1.ReasonUnschedulable, "slot 0 is shared with another tenant that runs on node n1: add a node or widen the portPool of PBXClass dipcast-100",
		},
		{
			"ports of another program",
			podstate.Input{Pod: pending("1 node(s) didn't have free ports"), Class: class, Slot: 7},
			metav1.ConditionFalse, v1alpha1.ReasonUnschedulable, "the ports of slot 7 are in use by another program",
		},
		{
			"resources",
			podstate.Input{Pod: pending("0/1 nodes are available: 1 Insufficient memory. preemption: 0/1 nodes"), Class: class},
			metav1.ConditionFalse, v1alpha1.ReasonUnschedulable, "no node has enough left of what resources.requests of PBXClass dipcast-100 ask",
		},
		{
			"taints",
			podstate.Input{Pod: pending("0/2 nodes are available: 2 node(s) had untolerated taint(s)."), Class: class},
			metav1.ConditionFalse, v1alpha1.ReasonUnschedulable, "nodes have taints that scheduling.tolerations of PBXClass dipcast-100 do not tolerate: tolerate them or remove the taints (",
		},
		{
			"a dead node beside a shared one",
			podstate.Input{
				Pod:   pending("0/2 nodes are available: 1 node(s) didn't have free ports for the requested pod ports, 1 node(s) had untolerated taint(s)."),
				Class: class, SharedOn: []string{"n1"}, Dead: []string{"n2"},
			},
			metav1.ConditionFalse, v1alpha1.ReasonUnschedulable, "slot 0 is shared with another tenant that runs on node n1: add a node or widen the portPool of PBXClass dipcast-100; " +
				"node n2 is not ready: bring it back or add a node (",
		},
		{
			"a dead node and a tainted one",
			podstate.Input{Pod: pending("0/12 nodes are available: 12 node(s) had untolerated taint(s)."), Class: class, Dead: []string{"n2", "n3"}},
			metav1.ConditionFalse, v1alpha1.ReasonUnschedulable, "nodes n2, n3 are not ready: bring one back or add a node; nodes have taints",
		},
		{"something new", podstate.Input{Pod: pending("0/1 nodes are available: the moon.")}, metav1.ConditionFalse, v1alpha1.ReasonUnschedulable, "no node can take the pod: 0/1 nodes"},
		{
			"a volume that is not bound", podstate.Input{
				Pod:   pending("pod has unbound immediate PersistentVolumeClaims"),
				Claim: &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "acme-data"}, Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &storage}},
			}, metav1.ConditionFalse, v1alpha1.ReasonUnschedulable, "volume acme-data is not bound: check that storage class fast exists",
		},
	})
}

func TestPodOnItsNode(t *testing.T) {
	on := func(status corev1.PodStatus) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n1"}, Status: status}
	}
	waits := func(reason, message string) *corev1.Pod {
		return on(corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Image: "registry.example/pbx:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: "starting\npbx: listen udp :5060: address already in use\n"}},
		}}})
	}
	runs := corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}
	isReady := runs
	isReady.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	now := metav1.Now()
	judge(t, []row{
		{"no image", podstate.Input{Pod: waits("ImagePullBackOff", "")}, metav1.ConditionFalse, v1alpha1.ReasonImagePull, "image registry.example/pbx:1 cannot be had (ImagePullBackOff)"},
		{"a crash", podstate.Input{Pod: waits("CrashLoopBackOff", "back-off 10s")}, metav1.ConditionFalse, v1alpha1.ReasonCrashing, "the PBX does not stay up: pbx: listen udp :5060: address already in use"},
		{"it starts", podstate.Input{Pod: on(runs)}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "the pod starts on node n1"},
		{"its node is dead", podstate.Input{Pod: on(runs), Dead: []string{"n1"}}, metav1.ConditionFalse, v1alpha1.ReasonUnreachable, "node n1 is not ready, and the pod is on it: bring the node back"},
		{"another node is dead", podstate.Input{Pod: on(runs), Dead: []string{"n2"}}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "the pod starts on node n1"},
		{"it drains", podstate.Input{Pod: on(runs), Draining: true}, metav1.ConditionTrue, v1alpha1.ReasonDraining, "the pod runs on node n1 and takes no new calls"},
		{"it runs", podstate.Input{Pod: on(isReady)}, metav1.ConditionTrue, v1alpha1.ReasonRunning, "the pod runs on node n1"},
		{
			"it ends",
			podstate.Input{Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}, Status: isReady}},
			metav1.ConditionFalse, v1alpha1.ReasonProgressing, "the pod ends",
		},
	})
}
