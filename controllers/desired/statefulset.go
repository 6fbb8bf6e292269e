package desired

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// statefulSet keeps the tenant's one pod alive. It replaces no pod of its own
// accord, neither for a new template (OnDelete) nor when its node is dead: a
// pod there stays Terminating until somebody who knows says that it is gone.
// Both are the update engine's work.
func statefulSet(in Input) *appsv1.StatefulSet {
	if in.Ports.Zero() || in.Class == nil {
		return nil
	}
	name := PBXName(in.Tenant.Name)
	return &appsv1.StatefulSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
		ObjectMeta: meta(in.Tenant, name, ComponentPBX),
		Spec: appsv1.StatefulSetSpec{
			Replicas:             ptr.To(int32(1)),
			ServiceName:          name,
			PodManagementPolicy:  appsv1.ParallelPodManagement,
			UpdateStrategy:       appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType},
			RevisionHistoryLimit: ptr.To(int32(2)),
			Selector:             &metav1.LabelSelector{MatchLabels: Selector(in.Tenant.Name)},
			Template:             podTemplate(in),
		},
	}
}
