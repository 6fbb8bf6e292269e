package apply

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// intrudersKey is an annotation that exists in the cache alone: who else has
// set fields of the spec.
const intrudersKey = "pbx.dipcast.io/intruders"

// Strip is a transform of the cache: managed fields are much of an object's
// size and are not kept. What they tell of spec and data that others have set
// is noted before.
func Strip(obj any) (any, error) {
	o, ok := obj.(client.Object)
	if !ok || o.GetManagedFields() == nil {
		return obj, nil
	}
	var names []string
	_, claim := obj.(*corev1.PersistentVolumeClaim)
	for _, entry := range o.GetManagedFields() {
		// A claim's spec is completed by Kubernetes (volumeName) and immutable then.
		if !claim && intrudes(entry) && !slices.Contains(names, entry.Manager) {
			names = append(names, entry.Manager)
		}
	}
	o.SetManagedFields(nil)
	annotations := maps.Clone(o.GetAnnotations())
	delete(annotations, intrudersKey) // somebody's own would be a note that never ends
	if len(names) > 0 {
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[intrudersKey] = strings.Join(names, ",")
	}
	o.SetAnnotations(annotations)
	return obj, nil
}

// intrudes reports whether somebody else has updated spec, data or endpoints. What goes
// through a subresource has its own rights and leaves no fields behind.
func intrudes(entry metav1.ManagedFieldsEntry) bool {
	if entry.Manager == v1alpha1.FieldOwner || entry.Operation != metav1.ManagedFieldsOperationUpdate ||
		entry.Subresource != "" || entry.FieldsV1 == nil {
		return false
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
		return false
	}
	_, spec := fields["f:spec"]
	_, data := fields["f:data"]
	_, endpoints := fields["f:endpoints"]
	return spec || data || endpoints
}

// stands reports whether everything that is wanted stands in the object.
func stands(want *unstructured.Unstructured, have client.Object) (bool, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(have)
	if err != nil {
		return false, err
	}
	for key, value := range want.Object {
		if key == "apiVersion" || key == "kind" {
			continue // typed objects from a cache do not carry them
		}
		if !within(value, content[key]) {
			return false, nil
		}
	}
	return true, nil
}

// within reports whether everything of want stands in have. Maps may hold more:
// defaults, or what others added. Elements of a list are looked for at their
// own place first and then anywhere, since lists with keys are merged.
func within(want, have any) bool {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return have == nil && len(w) == 0
		}
		for key, value := range w {
			if !within(value, h[key]) {
				return false
			}
		}
		return true
	case []any:
		h, ok := have.([]any)
		if !ok {
			return have == nil && len(w) == 0
		}
		for i, value := range w {
			if i < len(h) && within(value, h[i]) {
				continue
			}
			if !slices.ContainsFunc(h, func(other any) bool { return within(value, other) }) {
				return false
			}
		}
		return true
	case nil:
		return true
	default:
		return same(want, have)
	}
}

// same compares plain values. A false, 0 or "" that the API server leaves out
// is the same as one that is written.
func same(want, have any) bool {
	if have == nil {
		return reflect.ValueOf(want).IsZero()
	}
	if w, ok := number(want); ok {
		h, ok := number(have)
		return ok && w == h
	}
	return want == have
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case int:
		return float64(n), true
	case int32:
		return float64(n), true
	case float64:
		return n, true
	default:
		return 0, false
	}
}
