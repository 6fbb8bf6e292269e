package charttest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestSchemaRefuses: a typo is told at once, by name, and not found weeks
// later as a setting that never was in force.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		set  string
		want []string
	}{
		{"operator.replica=2", []string{"operator", "'replica'"}},
		{"images.tag=v1", []string{"'images'"}},
		{"operator.replicas=two", []string{"operator/replicas", "integer"}},
		{"operator.logLevel=verbose", []string{"operator/logLevel", "'debug', 'info', 'warn', 'error'"}},
		{"operator.nodeDeadAfter=5", []string{"operator/nodeDeadAfter", "want string"}},
		{"operator.nodeDeadAfter=5 minutes", []string{"operator/nodeDeadAfter", "pattern"}},
		{"image.pullPolicy=Sometimes", []string{"image/pullPolicy", "'IfNotPresent'"}},
		{"trustedProxies={10.0.0.1}", []string{"trustedProxies/0", "pattern"}},
		{"trustedCAs=/etc/ca.pem", []string{"trustedCAs", "BEGIN CERTIFICATE"}},
		{"rbac.tenantNamespaces={Acme}", []string{"rbac/tenantNamespaces/0", "Acme"}},
		{"metrics.monitor.kind=Probe", []string{"metrics/monitor/kind", "'ServiceMonitor'"}},
		{"metrics.monitor.enabled=perhaps", []string{"metrics/monitor/enabled", "'auto'"}},
		{"classes[0].name=only", []string{"classes/0", "'spec'"}},
	}
	for _, tt := range tests {
		t.Run(tt.set, func(t *testing.T) {
			t.Parallel()
			_, err := helm(t, "template", "dipcast", chart, "--set", tt.set)
			if err == nil {
				t.Fatal("was taken")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the refusal does not say %q:\n%v", want, err)
				}
			}
		})
	}
}

// schema is the part of JSON schema that the chart uses.
type schema struct {
	Type                 string
	Description          string
	Properties           map[string]schema
	AdditionalProperties any
	Items                *schema
	Enum                 []any
}

// TestSchemaAndValuesAgree: the schema knows every value and the values file
// shows everything that the schema knows, with a description each.
func TestSchemaAndValuesAgree(t *testing.T) {
	var s schema
	var values map[string]any
	for file, into := range map[string]any{"values.schema.json": &s, "values.yaml": &values} {
		text, err := os.ReadFile(chart + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, into); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	delete(s.Properties, "global") // Helm's own
	agree(t, "", s, values)
}

func agree(t *testing.T, path string, s schema, value any) {
	t.Helper()
	if s.Description == "" {
		t.Errorf("%s has no description in the schema", path)
	}
	if s.Type == "" && len(s.Enum) == 0 {
		t.Errorf("%s has no type in the schema", path)
	}
	if s.Type != "object" || len(s.Properties) == 0 {
		return
	}
	if closed, ok := s.AdditionalProperties.(bool); !ok || closed {
		t.Errorf("%s takes unknown names: set additionalProperties to false", path)
	}
	object, _ := value.(map[string]any)
	for name, part := range s.Properties {
		v, ok := object[name]
		if !ok {
			t.Errorf("values.yaml does not show %s.%s", path, name)
			continue
		}
		agree(t, path+"."+name, part, v)
	}
	for name := range object {
		if _, ok := s.Properties[name]; !ok {
			t.Errorf("the schema does not know %s.%s", path, name)
		}
	}
}

// TestValuesAreUsed: a value that no template reads would be a promise that
// nobody keeps.
func TestValuesAreUsed(t *testing.T) {
	var templates strings.Builder
	files, err := os.ReadDir(chart + "/templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(chart + "/templates/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		templates.Write(text)
	}
	text, err := os.ReadFile(chart + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	var names []string
	for group, part := range values {
		object, ok := part.(map[string]any)
		if !ok {
			names = append(names, group)
			continue
		}
		for name := range object {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if !strings.Contains(templates.String(), "."+name) && !strings.Contains(templates.String(), fmt.Sprintf("%q", name)) {
			t.Errorf("no template reads %s", name)
		}
	}
}
