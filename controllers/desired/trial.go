package desired

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Trial makes the pod that tries the image of a tenant's pod template on a
// node: the program reads the document there and ends. The kubelet gets the
// image for it, under the rules that hold for the PBX, and with neither its
// network nor its volume.
func Trial(t *v1alpha1.PBXTenant, template *corev1.PodTemplateSpec, node string) *corev1.Pod {
	from := template.DeepCopy().Spec
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: meta(t, TrialName(t.Name), ComponentTrial),
		Spec: corev1.PodSpec{
			NodeName:                      node,
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: ptr.To(int64(1)),
			AutomountServiceAccountToken:  from.AutomountServiceAccountToken,
			EnableServiceLinks:            from.EnableServiceLinks,
			SecurityContext:               from.SecurityContext,
			ImagePullSecrets:              from.ImagePullSecrets,
			Tolerations:                   from.Tolerations,
		},
	}
	for _, v := range from.Volumes {
		if v.Name == volumeDocument {
			pod.Spec.Volumes = append(pod.Spec.Volumes, v)
		}
	}
	for i := range from.Containers {
		if c := &from.Containers[i]; c.Name == ContainerPBX {
			pod.Annotations = map[string]string{v1alpha1.AnnotationImage: c.Image}
			pod.Spec.Containers = append(pod.Spec.Containers, trialContainer(c))
		}
	}
	return pod
}

func trialContainer(pbx *corev1.Container) corev1.Container {
	amounts := func(cpu, memory string) corev1.ResourceList {
		return corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
		}
	}
	return corev1.Container{
		Name: ContainerPBX, Image: pbx.Image, ImagePullPolicy: pbx.ImagePullPolicy,
		Args: []string{"--check", "--document", documentDir + "/" + v1alpha1.KeyDocument},
		// Next to nothing, so that a node that is full takes it, and an end to
		// what a stranger's program may take.
		Resources:                corev1.ResourceRequirements{Requests: amounts("10m", "32Mi"), Limits: amounts("1", "256Mi")},
		TerminationMessagePolicy: pbx.TerminationMessagePolicy,
		SecurityContext:          pbx.SecurityContext,
		VolumeMounts:             []corev1.VolumeMount{{Name: volumeDocument, MountPath: documentDir, ReadOnly: true}},
	}
}
