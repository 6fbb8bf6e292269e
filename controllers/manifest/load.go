package manifest

import (
	"bytes"
	"cmp"
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

// maxFile bounds one manifest, so that a wrong path cannot fill the memory.
const maxFile = 16 << 20

// Loader reads manifests. Making one compiles the schemas and CEL rules of
// all kinds (some hundred milliseconds); keep it for reloads.
type Loader struct {
	schemas map[string]*kindSchema
}

// NewLoader returns a Loader with the CRDs that this program carries.
func NewLoader() (*Loader, error) {
	schemas, err := readSchemas()
	if err != nil {
		return nil, err
	}
	return &Loader{schemas: schemas}, nil
}

// Load reads files and folders (recursively: *.yaml, *.yml, *.json) with a
// new Loader.
func Load(paths []string) (*Set, []compile.Problem) {
	l, err := NewLoader()
	if err != nil {
		return newSet(), []compile.Problem{unreadable("", err.Error())}
	}
	return l.Load(paths)
}

// Load reads files and folders and returns what is right, and every problem
// of the files, of single objects and between tenants (compile.CheckFleet).
// An object with an Error is not in the set.
func (l *Loader) Load(paths []string) (*Set, []compile.Problem) {
	set := newSet()
	var problems []compile.Problem
	var files []string
	for _, path := range paths {
		found, err := find(path)
		if err != nil {
			problems = append(problems, unreadable(path, reason(err)))
			continue
		}
		if len(found) == 0 {
			problems = append(problems, unreadable(path, "holds no .yaml, .yml or .json file: name a folder with manifests"))
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	for _, file := range slices.Compact(files) {
		docs, err := split(file)
		if err != nil {
			problems = append(problems, unreadable(file, reason(err)))
			continue
		}
		for _, d := range docs {
			problems = append(problems, l.add(set, d)...)
		}
	}
	set.sort()
	fleet := set.withoutEchoes(compile.CheckFleet(set.Fleet))
	set.Locate(fleet)
	problems = append(problems, fleet...)
	return set, problems
}

// find lists the manifests of a path.
func find(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var out []string
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p != path && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		switch strings.ToLower(filepath.Ext(p)) {
		case ".yaml", ".yml", ".json":
			if !d.IsDir() {
				out = append(out, p)
			}
		}
		return nil
	})
	return out, err
}

// split cuts a file into its documents.
func split(file string) ([]*document, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("has %d bytes: at most %d are read, name a manifest", info.Size(), maxFile)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []*document
	current := &document{file: file, line: 1}
	for n, line := range bytes.SplitAfter(raw, []byte("\n")) {
		if marker(line) {
			out = append(out, current)
			current = &document{file: file, line: n + 2}
			continue
		}
		current.text = append(current.text, line...)
	}
	return append(out, current), nil
}

// marker reports whether a line ends a document. Text in block scalars is
// indented and so never looks like one.
func marker(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	if !ok {
		return false
	}
	rest = bytes.TrimSpace(rest)
	return len(rest) == 0 || rest[0] == '#'
}

// header is what every object begins with.
type header struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
}

// add judges one document and puts its object into the set.
func (l *Loader) add(set *Set, d *document) []compile.Problem {
	raw, err := yaml.YAMLToJSONStrict(d.text)
	if err != nil {
		set.refused[compile.Object{}] = true // it may be anything
		line, message := yamlError(err)
		return []compile.Problem{unreadable(d.lineAt(line), message)}
	}
	if len(bytes.TrimSpace(raw)) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	var obj map[string]any
	var h header
	if err := errors.Join(json.Unmarshal(raw, &obj), json.Unmarshal(raw, &h)); err != nil || obj == nil {
		return []compile.Problem{d.problem(compile.Object{}, "", "is no object with apiVersion, kind and metadata: remove it", v1alpha1.ReasonUnreadable)}
	}
	d.parse()
	o := compile.Object{Kind: h.Kind, Namespace: h.Metadata.Namespace, Name: h.Metadata.Name}
	switch {
	case h.APIVersion == v1alpha1.GroupVersion().String() && l.schemas[h.Kind] != nil:
		return l.addOurs(set, d, o, obj)
	case strings.HasPrefix(h.APIVersion, v1alpha1.Group+"/"), h.APIVersion == "" && l.schemas[h.Kind] != nil:
		set.refused[o] = true
		if l.schemas[h.Kind] != nil {
			p := d.problem(o, "apiVersion", "must be "+v1alpha1.GroupVersion().String(), v1alpha1.ReasonSchemaViolation)
			p.Value = h.APIVersion
			return []compile.Problem{p}
		}
		return []compile.Problem{d.problem(o, "kind", fmt.Sprintf("%s has no kind %s: the kinds of %s are %s",
			h.APIVersion, h.Kind, v1alpha1.GroupVersion(), strings.Join(l.kinds(), ", ")), v1alpha1.ReasonSchemaViolation)}
	case h.APIVersion == "v1" && h.Kind == "Secret":
		return addSecret(set, d, o, raw)
	case h.APIVersion == "v1" && h.Kind == "Namespace":
		return nil
	case h.APIVersion == "" || h.Kind == "":
		return []compile.Problem{d.problem(o, "", "has no apiVersion or no kind: add them", v1alpha1.ReasonUnreadable)}
	}
	p := d.problem(o, "kind", h.APIVersion+" "+h.Kind+" is not read by dipcast: it is passed over", v1alpha1.ReasonNotServed)
	p.Severity = compile.Warning
	return []compile.Problem{p}
}

func (l *Loader) kinds() []string {
	var out []string
	for k := range l.schemas {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (l *Loader) addOurs(set *Set, d *document, o compile.Object, obj map[string]any) []compile.Problem {
	schema := l.schemas[o.Kind]
	if meta, ok := obj["metadata"].(map[string]any); ok && schema.namespaced && o.Namespace == "" {
		o.Namespace = "default" // as kubectl does
		meta["namespace"] = o.Namespace
	}
	var problems []compile.Problem
	if p, first := set.claim(d, o); !first {
		problems = append(problems, p)
	}
	mistyped := map[string]bool{}
	for _, e := range schema.judge(context.Background(), obj) {
		if e.Type == field.ErrorTypeTypeInvalid {
			mistyped[e.Field] = true
		} else if mistyped[e.Field] {
			continue // it follows from the wrong type
		}
		value, message := explain(e, d.scalar(e.Field))
		p := d.problem(o, e.Field, message, v1alpha1.ReasonSchemaViolation)
		p.Value = value
		if !slices.Contains(problems, p) {
			problems = append(problems, p)
		}
	}
	if len(problems) > 0 {
		set.refused[o] = true
		return problems
	}
	if err := set.decode(o.Kind, obj); err != nil {
		return []compile.Problem{d.problem(o, "", err.Error(), v1alpha1.ReasonSchemaViolation)}
	}
	return nil
}

func addSecret(set *Set, d *document, o compile.Object, raw []byte) []compile.Problem {
	o.Namespace = cmp.Or(o.Namespace, "default")
	var s corev1.Secret
	strict := stdjson.NewDecoder(bytes.NewReader(raw))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&s); err != nil {
		set.refused[o] = true
		// The decoder's words may quote the secret.
		return []compile.Problem{d.problem(o, "", "is no valid Secret: data must be base64, stringData plain text in quotes, and no field unknown", v1alpha1.ReasonSchemaViolation)}
	}
	s.Namespace = o.Namespace
	var problems []compile.Problem
	if p, first := set.claim(d, o); !first {
		problems = append(problems, p)
	}
	for _, message := range apivalidation.NameIsDNSSubdomain(o.Name, false) {
		problems = append(problems, d.problem(o, "metadata.name", plainName(message), v1alpha1.ReasonSchemaViolation))
	}
	if len(problems) > 0 {
		set.refused[o] = true
		return problems
	}
	data := map[string][]byte{}
	for k, v := range s.Data {
		data[k] = v
	}
	for k, v := range s.StringData {
		data[k] = []byte(v)
	}
	set.addSecret(o.Namespace, o.Name, data)
	return nil
}

// decode turns a judged object into its Go type.
func (s *Set) decode(kind string, obj map[string]any) error {
	into := func(x any) error { return runtime.DefaultUnstructuredConverter.FromUnstructured(obj, x) }
	switch kind {
	case v1alpha1.KindPBXClass:
		return appendTo(&s.Fleet.Classes, into)
	case v1alpha1.KindPBXTenant:
		return appendTo(&s.Fleet.Tenants, into)
	case v1alpha1.KindExtensionPlan:
		return appendTo(&s.Fleet.Plans, into)
	case v1alpha1.KindSIPTrunk:
		return appendTo(&s.Fleet.Trunks, into)
	case v1alpha1.KindCallFlow:
		return appendTo(&s.Fleet.Flows, into)
	case v1alpha1.KindNaverWorksBot:
		return appendTo(&s.Fleet.Bots, into)
	}
	return fmt.Errorf("kind %s is unknown: remove it", kind)
}

func appendTo[T any](list *[]T, into func(any) error) error {
	var x T
	if err := into(&x); err != nil {
		return err
	}
	*list = append(*list, x)
	return nil
}

func unreadable(file, message string) compile.Problem {
	return compile.Problem{File: file, Message: message, Severity: compile.Error, Reason: v1alpha1.ReasonUnreadable}
}

// reason is an error's text without the path, which the problem names itself.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error() + ": check the path"
	}
	return err.Error()
}
