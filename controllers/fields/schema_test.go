package fields

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/config/crd"
)

type schema = apiextensionsv1.JSONSchemaProps

// node is one place of a kind's schema: a leaf, a list, a map or an object.
type node struct {
	path   string // "spec.extensions[].number"; {} are the values of a map
	schema *schema
}

// leaf reports whether people write a value there.
func (n node) leaf() bool {
	return len(n.schema.Properties) == 0 && n.schema.Items == nil && n.schema.AdditionalProperties == nil
}

// kind is one of ours with its places below spec, and whole manifests in which
// every one of them is written.
type kind struct {
	name  string
	root  *schema
	nodes []node
	whole []*unstructured.Unstructured
}

func kinds(t *testing.T) []kind {
	t.Helper()
	files, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var out []kind
	for _, file := range files {
		text, err := crd.Files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var def apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &def); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(def.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == v1alpha1.Version })
		k := kind{name: def.Spec.Names.Kind, root: def.Spec.Versions[i].Schema.OpenAPIV3Schema}
		spec := k.root.Properties["spec"]
		k.nodes = walk(nil, "spec", &spec)
		k.whole = manifests(t, "testdata/"+k.name+".yaml")
		out = append(out, k)
	}
	if len(out) != 6 {
		t.Fatalf("%d kinds, want 6", len(out))
	}
	return out
}

func walk(out []node, path string, s *schema) []node {
	out = append(out, node{path: path, schema: s})
	for _, name := range sorted(s.Properties) {
		below := s.Properties[name]
		out = walk(out, path+"."+name, &below)
	}
	if s.Items != nil {
		out = walk(out, path+"[]", s.Items.Schema)
	}
	if s.AdditionalProperties != nil {
		out = walk(out, path+"{}", s.AdditionalProperties.Schema)
	}
	return out
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for key := range m {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// manifests reads all objects of a file.
func manifests(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []*unstructured.Unstructured
	for part := range strings.SplitSeq(string(text), "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(part), &u.Object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		// Anchors share what they name.
		out = append(out, u.DeepCopy())
	}
	return out
}

// steps cuts a path of an object, "spec.hosts[0].port", into its steps.
func steps(path string) []string {
	return strings.Split(plain(path), ".")
}

// plain writes spec.hosts[0].port as spec.hosts.0.port: the API server writes
// keys of maps sometimes so and sometimes so.
func plain(path string) string {
	return strings.NewReplacer("[", ".", "]", "", `"`, "").Replace(path)
}

// find returns where a place of the schema is in an object, with the first
// element of each list and the first key of each map; "": the object has no
// such place.
func find(object map[string]any, place string) string {
	var at any = object
	var out strings.Builder
	for _, step := range steps(strings.ReplaceAll(strings.ReplaceAll(place, "[]", ".*"), "{}", ".*")) {
		switch x := at.(type) {
		case map[string]any:
			if step == "*" && len(x) > 0 {
				step = sorted(x)[0]
			}
			below, ok := x[step]
			if !ok {
				return ""
			}
			at = below
			out.WriteString("." + step)
		case []any:
			if len(x) == 0 {
				return ""
			}
			at = x[0]
			out.WriteString("[0]")
		default:
			return ""
		}
	}
	return strings.TrimPrefix(out.String(), ".")
}

// gone as a value removes the field.
type gone struct{}

// put sets a value in an object, with the maps that are missing on the way.
func put(object map[string]any, path string, value any) error {
	_, err := putAt(object, steps(path), value)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func putAt(at any, path []string, value any) (any, error) {
	if len(path) == 0 {
		return value, nil
	}
	switch x := at.(type) {
	case nil:
		return putAt(map[string]any{}, path, value)
	case map[string]any:
		if _, remove := value.(gone); remove && len(path) == 1 {
			delete(x, path[0])
			return x, nil
		}
		below, err := putAt(x[path[0]], path[1:], value)
		x[path[0]] = below
		return x, err
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i > len(x) {
			return x, fmt.Errorf("no element %s of %d", path[0], len(x))
		}
		if i == len(x) {
			x = append(x, nil)
		}
		x[i], err = putAt(x[i], path[1:], value)
		return x, err
	default:
		return at, fmt.Errorf("%v has nothing below it", at)
	}
}

// get returns the value at a path.
func get(object map[string]any, path string) any {
	var at any = object
	for _, step := range steps(path) {
		switch x := at.(type) {
		case map[string]any:
			at = x[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(x) {
				return nil
			}
			at = x[i]
		default:
			return nil
		}
	}
	return at
}

// placeOf turns a path of an object into its place in the schema.
func placeOf(s *schema, path string) string {
	out := ""
	for i, step := range steps(path) {
		switch {
		case s == nil:
			return out
		case s.Items != nil:
			out, s = out+"[]", s.Items.Schema
		case s.AdditionalProperties != nil:
			out, s = out+"{}", s.AdditionalProperties.Schema
		default:
			below, ok := s.Properties[step]
			if !ok {
				return out
			}
			if i > 0 {
				out += "."
			}
			out, s = out+step, &below
		}
	}
	return out
}
