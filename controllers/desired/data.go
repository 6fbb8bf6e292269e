package desired

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// data builds the tenant's volume. It exists with PostgreSQL too, where it
// keeps keys and recorded prompts. It belongs to the tenant only if it is to
// be deleted with it.
func data(in Input) *corev1.PersistentVolumeClaim {
	t := in.Tenant
	size, err := resource.ParseQuantity(t.Spec.Storage.Size)
	if err != nil || size.Sign() <= 0 {
		size = resource.MustParse("20Gi")
	}
	pvc := &corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: meta(t, DataName(t.Name), ComponentData),
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: size},
			},
		},
	}
	if t.Spec.DeletionPolicy != v1alpha1.DeletionDelete {
		pvc.OwnerReferences = nil
	}
	if t.Spec.Storage.StorageClassName != "" {
		pvc.Spec.StorageClassName = ptr.To(t.Spec.Storage.StorageClassName)
	}
	return pvc
}
