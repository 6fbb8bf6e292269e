package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// TemplateHash names what a pod is made of, without images, without the affinity
// to where it was last and without the annotation that carries the hash. It is taken over the template's JSON with
// sorted keys and without empty values, so that neither a new field of a newer
// Kubernetes library nor the order of a map changes it: a changed hash means
// that every PBX is restarted.
func TemplateHash(template *corev1.PodTemplateSpec) string {
	t := template.DeepCopy()
	delete(t.Annotations, v1alpha1.AnnotationTemplate)
	t.Spec.Affinity = nil
	for i := range t.Spec.Containers {
		t.Spec.Containers[i].Image = ""
	}
	for i := range t.Spec.InitContainers {
		t.Spec.InitContainers[i].Image = ""
	}
	raw, _ := json.Marshal(t) //nolint:errchkjson // a pod template is strings, numbers and lists: it always has a JSON form
	var tree any
	_ = json.Unmarshal(raw, &tree)                   // it was written the line before
	canonical, _ := json.Marshal(withoutEmpty(tree)) //nolint:errchkjson // as the line above
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])[:16]
}

// withoutEmpty drops nulls, empty maps, lists and strings below v.
func withoutEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			if value = withoutEmpty(value); value != nil {
				out[key] = value
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, value := range v {
			out = append(out, withoutEmpty(value))
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case string:
		if v == "" {
			return nil
		}
	}
	return v
}
