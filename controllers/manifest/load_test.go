package manifest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/manifest"
	"github.com/dipcast/dipcast/pbx/conf"
)

const (
	samples = "../../config/samples/"
	class   = `apiVersion: pbx.dipcast.io/v1alpha1
kind: PBXClass
metadata: {name: small}
spec:
  limits: {extensions: 10, registrations: {operating: 10, maximum: 20}, concurrentCalls: 5}
  network: {portPool: {from: 20000, to: 20999}}
`
	tenant = `apiVersion: pbx.dipcast.io/v1alpha1
kind: PBXTenant
metadata: {name: acme, namespace: acme}
spec: {className: small, domain: acme.pbx.example.com}
`
	plan = `apiVersion: pbx.dipcast.io/v1alpha1
kind: ExtensionPlan
metadata: {name: seoul, namespace: acme}
spec: {tenantRef: {name: acme}, extensions: [{number: "101"}]}
`
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lines returns the problems without the folder of their files.
func lines(problems []compile.Problem) string {
	var out []string
	for _, p := range problems {
		p.File = filepath.Base(p.File)
		out = append(out, p.Severity.String()+" "+p.String())
	}
	return strings.Join(out, "\n")
}

func TestProblemsOfFiles(t *testing.T) {
	loader, err := manifest.NewLoader()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, text, want string }{
		{"nothing wrong", class + "---\n" + tenant, ""},
		{"empty documents", "---\n---\n# nothing\n---\n" + class, ""},
		{"CRLF and a marker with a comment", strings.ReplaceAll(class+"--- # next\n"+tenant, "\n", "\r\n"), ""},
		{"namespaces are known", "apiVersion: v1\nkind: Namespace\nmetadata: {name: acme}\n", ""},
		{"no YAML", "a: [\n", "error m.yaml:1: is no YAML: "},
		{"no YAML in a later document", class + "---\n" + strings.Replace(tenant, "spec: {", " spec: {", 1), "error m.yaml:10: is no YAML: "},
		{"a tab", "a:\n\tb: 1\n", "indent with spaces"},
		{"a list in place of a number", strings.Replace(class, "extensions: 10", "extensions: [10]", 1), "spec.limits.extensions: must be a whole number"},
		{"misspelt field", strings.Replace(class, "concurrentCalls", "concurentCall", 1), "spec.limits.concurentCall: unknown field: remove it or write concurrentCalls"},
		{"misspelt field of a list", class + "---\n" + tenant + "---\n" + strings.Replace(plan, "number", "nummer", 1), "spec.extensions[0].nummer: unknown field: remove it or write number"},
		{"key twice", "kind: a\nkind: b\n", `error m.yaml:2: is no YAML: key "kind" already set in map: remove one of the two`},
		{"no object", "- a\n", "error m.yaml:1: is no object with apiVersion, kind and metadata: remove it"},
		{"no kind", "apiVersion: v1\n", "error m.yaml:1: has no apiVersion or no kind: add them"},
		{"another kind", class + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", "warning m.yaml:9: ConfigMap x: kind: v1 ConfigMap is not read by dipcast: it is passed over"},
		{"misspelt kind", strings.Replace(class, "PBXClass", "PBXKlass", 1), "error m.yaml:2: PBXKlass small: kind: pbx.dipcast.io/v1alpha1 has no kind PBXKlass: the kinds of pbx.dipcast.io/v1alpha1 are CallFlow, ExtensionPlan, NaverWorksBot, PBXClass, PBXTenant, SIPTrunk"},
		{"another version", strings.Replace(class, "v1alpha1", "v1", 1), "error m.yaml:1: PBXClass small: apiVersion pbx.dipcast.io/v1: must be pbx.dipcast.io/v1alpha1"},
		{"required", strings.Replace(class, "concurrentCalls: 5", "", 1), "error m.yaml:5: PBXClass small: spec.limits.concurrentCalls: is required: add it"},
		{"unknown field", class + "  colour: red\n", "error m.yaml:7: PBXClass small: spec.colour: unknown field: remove it or correct its spelling"},
		{"unknown metadata", strings.Replace(class, "{name: small}", "{name: small, owner: me}", 1), "PBXClass small: metadata.owner: unknown field"},
		{"malformed metadata", strings.Replace(class, "{name: small}", "{name: small, labels: [a]}", 1), "PBXClass small: metadata"},
		{"name", strings.Replace(class, "name: small", "name: Small_1", 1), "PBXClass Small_1: metadata.name Small_1: must be lower-case letters"},
		{"a class with a namespace", strings.Replace(class, "{name: small}", "{name: small, namespace: x}", 1), "metadata.namespace"},
		{"enum", class + "  update: {policy: Later}\n", `error m.yaml:7: PBXClass small: spec.update.policy Later: must be one of "Carry", "Drain", "Immediate"`},
		{"type", strings.Replace(class, "extensions: 10", "extensions: ten", 1), "spec.limits.extensions ten: must be a whole number"},
		{"no length of time", class + "  update: {maxWait: soon}\n", "spec.update.maxWait soon: must be a length of time between 1m and 24h, e.g. 90s"},
		{"CEL", class + "  update: {maxWait: 1s}\n", "error m.yaml:7: PBXClass small: spec.update.maxWait 1s: must be a length of time between 1m and 24h, e.g. 90s or 1m30s"},
		{"too long", class + "---\n" + tenant[:len(tenant)-2] + ", displayName: " + strings.Repeat("x", 101) + "}\n", "spec.displayName"},
		{"list with a key twice", class + "---\n" + tenant + `---
apiVersion: pbx.dipcast.io/v1alpha1
kind: ExtensionPlan
metadata: {name: seoul, namespace: acme}
spec:
  tenantRef: {name: acme}
  extensions:
    - number: "101"
    - number: "101"
`, "error m.yaml:20: ExtensionPlan acme/seoul: spec.extensions[1] 101: stands there twice: remove one of the two"},
		{"object twice", class + "---\n" + class, "error m.yaml:10: PBXClass small: metadata.name: the same object stands in"},
		{"Secret with a number", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: 12345}\n", "error m.yaml:1: Secret default/s: is no valid Secret"},
		{"Secret with a wrong name", "apiVersion: v1\nkind: Secret\nmetadata: {name: S}\n", "error m.yaml:3: Secret default/S: metadata.name: must be lower-case letters"},
		{"Secret twice", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n", "error m.yaml:7: Secret default/s: metadata.name: the same object stands in"},
		{"no namespace is the default one", class + "---\n" + strings.Replace(tenant, ", namespace: acme", "", 1) + "---\n" + `apiVersion: pbx.dipcast.io/v1alpha1
kind: ExtensionPlan
metadata: {name: seoul}
spec: {tenantRef: {name: acme}}
`, ""},
		{"a refused tenant is told once", class + "---\n" + strings.Replace(tenant, "acme.pbx.example.com", "acme", 1) + `---
apiVersion: pbx.dipcast.io/v1alpha1
kind: ExtensionPlan
metadata: {name: seoul, namespace: acme}
spec: {tenantRef: {name: acme}}
`, "error m.yaml:11: PBXTenant acme/acme: spec.domain acme: must be a domain name in lower case with at least one dot, e.g. acme.pbx.example.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, problems := loader.Load([]string{write(t, "m.yaml", tc.text)})
			got := lines(problems)
			if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("want %q, got\n%s", tc.want, got)
			}
			if strings.Contains(got, "12345") {
				t.Error("a secret is shown")
			}
			if tc.name == "a refused tenant is told once" && len(problems) != 1 {
				t.Errorf("%d problems:\n%s", len(problems), got)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a/class.YAML": class, "a/b/tenant.yml": tenant, "a/notes.txt": "no: [", "a/.hidden/x.yaml": "no: [", "a/.x.yaml": "no: [",
		"a/ns.json": `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "acme"}}`,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// A path that is named twice is read once.
	set, problems := manifest.Load([]string{dir, filepath.Join(dir, "a/class.YAML")})
	if len(problems) > 0 || len(set.Tenants()) != 1 || set.Tenants()[0].Class == nil {
		t.Errorf("%d tenants\n%s", len(set.Tenants()), lines(problems))
	}
	empty := t.TempDir()
	for _, tc := range []struct{ path, want string }{
		{empty, "holds no .yaml, .yml or .json file"},
		{filepath.Join(empty, "none"), "no such file or directory: check the path"},
	} {
		if _, problems := manifest.Load([]string{tc.path}); !strings.Contains(lines(problems), tc.want) {
			t.Errorf("want %q, got\n%s", tc.want, lines(problems))
		}
	}
	huge := filepath.Join(empty, "huge.yaml")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 1<<25); err != nil {
		t.Fatal(err)
	}
	if _, problems := manifest.Load([]string{huge}); !strings.Contains(lines(problems), "has 33554432 bytes: at most") {
		t.Errorf("huge file:\n%s", lines(problems))
	}
}

func TestSecretsAndOrder(t *testing.T) {
	set, problems := manifest.Load([]string{write(t, "m.yaml", class+"---\n"+
		strings.NewReplacer("name: acme", "name: zeta", "acme.pbx", "zeta.pbx").Replace(tenant)+"---\n"+tenant+`---
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: acme}
data: {a: aGVsbG8=, b: aGVsbG8=}
stringData: {b: "world"}
---
apiVersion: v1
kind: Secret
metadata: {name: other, namespace: elsewhere}
stringData: {a: "x"}
`)})
	if len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	tenants := set.Tenants()
	if len(tenants) != 2 || tenants[0].Tenant.Name != "acme" || tenants[1].Tenant.Name != "zeta" {
		t.Fatalf("tenants %v", tenants)
	}
	s := tenants[0].Secrets
	if len(s) != 1 || string(s["s"]["a"]) != "hello" || string(s["s"]["b"]) != "world" {
		t.Errorf("secrets %q", s)
	}
	s["made"] = nil
	if len(tenants[1].Secrets) != 1 || len(set.Tenants()[0].Secrets) != 1 {
		t.Error("two tenants share one map of Secrets")
	}
}

func TestAssignPorts(t *testing.T) {
	set, problems := manifest.Load([]string{samples + "demo", samples + "beta"})
	if len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	tenants := set.Tenants() // acme of dipcast-100, beta of dipcast-50
	again := append(slices.Clone(tenants), tenants[0], tenants[0])
	again[2].Ports = conf.Ports{SIP: 20001} // touches slot 0
	if problems := manifest.AssignPorts(again); len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	for i, want := range []int{20406, 10000, 20001, 20812} {
		if got := again[i].Ports.SIP; got != want {
			t.Errorf("tenant %d has SIP port %d, want %d", i, got, want)
		}
	}
	if got := again[0].Ports; got.RTPTo-got.RTPFrom+1 != 400 {
		t.Errorf("RTP ports %+v, want 400", got)
	}
	kept := []compile.Input{tenants[0], tenants[0]}
	kept[0].Ports = conf.Ports{SIP: 5060, RTPFrom: 20400, RTPTo: 20410} // touches slots 0 and 1
	if problems := manifest.AssignPorts(kept); len(problems) > 0 || kept[1].Ports.SIP != 20812 {
		t.Errorf("%v %+v", problems, kept[1].Ports)
	}
	if problems := manifest.AssignPorts([]compile.Input{{}}); len(problems) > 0 {
		t.Errorf("a tenant without a class: %v", problems)
	}
}

func TestCheck(t *testing.T) {
	loader, err := manifest.NewLoader()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, text, want string }{
		{"clean", class + "---\n" + tenant, ""},
		{"no tenant", class, "error .: the manifests hold no PBXTenant: write one"},
		{"located", class + "---\n" + strings.Replace(tenant, "small", "large", 1), "error m.yaml:11: PBXTenant acme/acme: spec.className large: there is no such PBXClass"},
		{"a refused plan is told once", class + "---\n" + tenant + `---
apiVersion: pbx.dipcast.io/v1alpha1
kind: ExtensionPlan
metadata: {name: seoul, namespace: acme}
spec:
  tenantRef: {name: acme}
  extensions: [{number: 101}]
---
apiVersion: pbx.dipcast.io/v1alpha1
kind: CallFlow
metadata: {name: main, namespace: acme}
spec: {tenantRef: {name: acme}, numbers: ["1"], whenOpen: {dial: "101"}}
`, "error m.yaml:18: ExtensionPlan acme/seoul: spec.extensions[0].number 101: must be text: write it in quotes, \"101\","},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := write(t, "m.yaml", tc.text)
			_, problems := loader.Check([]string{path})
			got := lines(problems)
			if (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) || len(problems) > 1 {
				t.Errorf("want %q, got\n%s", tc.want, got)
			}
			if _, same := manifest.Check([]string{path}); lines(same) != got {
				t.Errorf("a new loader says\n%s", lines(same))
			}
		})
	}
}

// FuzzLoad: whatever stands in a file, loading it ends with problems, not
// with a panic.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		class, tenant, class + "---\n" + tenant, "", "---", "null", "a: &x [*x]", "{}", "kind: PBXClass\napiVersion: pbx.dipcast.io/v1alpha1\n",
		"apiVersion: pbx.dipcast.io/v1alpha1\nkind: PBXTenant\nmetadata: 3\nspec: 4\n", "apiVersion: v1\nkind: Secret\nmetadata: []\n",
		"apiVersion: pbx.dipcast.io/v1alpha1\nkind: PBXTenant\nmetadata: null\nspec: null\n",
	} {
		f.Add(seed)
	}
	loader, err := manifest.NewLoader()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, problems := loader.Check([]string{write(t, "m.yaml", text)})
		if len(set.Tenants()) == 0 && len(problems) == 0 {
			t.Error("neither a tenant nor a problem")
		}
	})
}
