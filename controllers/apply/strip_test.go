package apply

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What others have put into a spec is noted, but for the spec of a claim: the
// volume's name there is Kubernetes' own and cannot be taken away again.
func TestStripNotesWhoElseSetASpec(t *testing.T) {
	set := func(manager, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{
			Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: metav1.NewFieldsV1(fields),
		}
	}
	for name, row := range map[string]struct {
		object client.Object
		entry  metav1.ManagedFieldsEntry
		want   string
	}{
		"a person changes a Service":       {&corev1.Service{}, set("kubectl-edit", `{"f:spec":{"f:type":{}}}`), "kubectl-edit"},
		"a person labels a Service":        {&corev1.Service{}, set("kubectl-label", `{"f:metadata":{"f:labels":{}}}`), ""},
		"Kubernetes binds a claim":         {&corev1.PersistentVolumeClaim{}, set("kube-controller-manager", `{"f:spec":{"f:volumeName":{}}}`), ""},
		"a person changes a Secret's data": {&corev1.Secret{}, set("kubectl-edit", `{"f:data":{"f:x":{}}}`), "kubectl-edit"},
		"a person writes our note": {
			&corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{intrudersKey: "nobody"}}},
			set("kubectl-annotate", `{"f:metadata":{"f:annotations":{}}}`), "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			row.object.SetManagedFields([]metav1.ManagedFieldsEntry{row.entry})
			if _, err := Strip(row.object); err != nil {
				t.Fatal(err)
			}
			if got := row.object.GetAnnotations()[intrudersKey]; got != row.want {
				t.Errorf("intruders %q, want %q", got, row.want)
			}
			if row.object.GetManagedFields() != nil {
				t.Error("managed fields are kept")
			}
		})
	}
}
