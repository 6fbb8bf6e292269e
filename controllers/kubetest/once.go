package kubetest

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/pbx/conf"
)

// runOnce runs a pod whose program ends by itself, and shows how it ended.
func (n *Nodes) runOnce(ctx context.Context, pod *corev1.Pod) error {
	if pod.Status.Phase != corev1.PodPending {
		return nil
	}
	before := pod.DeepCopy()
	c := corev1.ContainerStatus{Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image}
	ended := corev1.ContainerStateTerminated{StartedAt: metav1.Now(), FinishedAt: metav1.Now()}
	switch {
	case strings.Contains(c.Image, Missing):
		c.State.Waiting = &corev1.ContainerStateWaiting{
			Reason: "ImagePullBackOff", Message: `Back-off pulling image "` + c.Image + `": ErrImagePull: ` + c.Image + ": not found",
		}
	case strings.Contains(c.Image, Broken):
		ended.ExitCode, ended.Message = 1, "starting\npbx: no such thing\n"
		pod.Status.Phase, c.State.Terminated = corev1.PodFailed, &ended
	default:
		if !strings.Contains(c.Image, Forgetful) {
			ended.Message = fmt.Sprintf(`{"program":"fake","journal":%d}`, conf.JournalVersion)
		}
		pod.Status.Phase, c.State.Terminated = corev1.PodSucceeded, &ended
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{c}
	return client.IgnoreNotFound(n.client.Status().Patch(ctx, pod, client.MergeFrom(before)))
}
