package desired

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Secret builds a Secret whose content the operator made and keeps: a
// password, a token, a key.
func Secret(t *v1alpha1.PBXTenant, name string, data map[string][]byte) *corev1.Secret {
	s := secret(t, name, ComponentSecret, data)
	s.Labels[v1alpha1.LabelGenerated] = "true"
	return s
}

// config builds the Secret that the PBX reads its document from.
func config(in Input) *corev1.Secret {
	if in.Document == nil {
		return nil
	}
	return secret(in.Tenant, ConfigName(in.Tenant.Name), ComponentConfig, map[string][]byte{v1alpha1.KeyDocument: in.Document})
}

func secret(t *v1alpha1.PBXTenant, name, component string, data map[string][]byte) *corev1.Secret {
	s := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: meta(t, name, component),
		Type:       corev1.SecretTypeOpaque,
		Data:       data,
	}
	s.Labels[v1alpha1.LabelWatched] = "true" // the operator caches no other
	return s
}
