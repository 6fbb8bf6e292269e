package compile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/manifest"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden is what an .out.yaml holds.
type golden struct {
	Problems  []string                  `json:"problems"`
	Documents map[string]*conf.Document `json:"documents"` // by namespace/name; null: keep the last good one
}

func TestGolden(t *testing.T) {
	loader := newLoader(t)
	inputs, err := filepath.Glob("testdata/*/*.in.yaml")
	if err != nil || len(inputs) < 40 {
		t.Fatalf("%d golden inputs, %v; want at least 40", len(inputs), err)
	}
	for _, input := range inputs {
		name := strings.TrimSuffix(strings.TrimPrefix(input, "testdata/"), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			got := marshal(t, compileFile(t, loader, input))
			output := strings.TrimSuffix(input, ".in.yaml") + ".out.yaml"
			if *update {
				if err := os.WriteFile(output, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(output)
			if err != nil {
				t.Fatalf("%v: run the test with -update", err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("differs from %s (-want +got):\n%s", output, diff)
			}
		})
	}
}

func compileFile(t *testing.T, loader *manifest.Loader, file string) golden {
	t.Helper()
	set, problems := loader.Load([]string{file})
	tenants := set.Tenants()
	problems = append(problems, manifest.AssignPorts(tenants)...)
	out := golden{Problems: []string{}, Documents: map[string]*conf.Document{}}
	found := statuses(t, file)
	own := installation(t, file)
	for _, in := range tenants {
		in.Generation = "1"
		in.TrustedProxies, in.TrustedCAs = own.TrustedProxies, own.TrustedCAs
		for i := range in.Plans {
			in.Plans[i].Status.Directory = found[in.Plans[i].Namespace+"/"+in.Plans[i].Name]
		}
		if in.Class == nil || in.Class.Spec.Network.Advertise.From != v1alpha1.AdvertiseStatic {
			in.Advertise = map[string][]string{"n1": {"203.0.113.10", "2001:db8::10"}}
		}
		for _, w := range compile.MissingSecrets(in) {
			data, err := w.Make(strings.NewReader(strings.Repeat("made "+w.Name+" ", 10)))
			if err != nil {
				t.Fatal(err)
			}
			in.Secrets[w.Name] = data
		}
		doc, more := compile.Compile(in)
		if (doc == nil) != compile.HasErrors(more) {
			t.Errorf("document %v with problems %v", doc, more)
		}
		if again, same := compile.Compile(in); !cmp.Equal(doc, again) || !cmp.Equal(more, same) {
			t.Error("compiling twice gives two results")
		}
		out.Documents[in.Tenant.Namespace+"/"+in.Tenant.Name] = doc
		problems = append(problems, more...)
		parseBack(t, doc)
	}
	for _, p := range problems {
		p.File = ""
		out.Problems = append(out.Problems, p.Severity.String()+" "+p.Reason+": "+p.String())
	}
	return out
}

// statuses reads what the operator would have found in the directory: manifests
// lose their status when they are loaded.
func statuses(t *testing.T, file string) map[string]*v1alpha1.DirectoryStatus {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*v1alpha1.DirectoryStatus{}
	for part := range strings.SplitSeq(string(raw), "\n---\n") {
		if !strings.Contains(part, "kind: ExtensionPlan") || !strings.Contains(part, "\nstatus:") {
			continue
		}
		var plan v1alpha1.ExtensionPlan
		if err := yaml.Unmarshal([]byte(part), &plan); err != nil {
			t.Fatal(err)
		}
		out[plan.Namespace+"/"+plan.Name] = plan.Status.Directory
	}
	return out
}

// settings are what the operator was started with.
type settings struct {
	TrustedProxies []string `json:"trustedProxies"`
	TrustedCAs     string   `json:"trustedCAs"`
}

// installation reads NAME.installation.yaml beside NAME.in.yaml, if there is one.
func installation(t *testing.T, input string) settings {
	t.Helper()
	var s settings
	raw, err := os.ReadFile(strings.TrimSuffix(input, ".in.yaml") + ".installation.yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return s
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(raw, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// parseBack proves that the PBX reads what the compiler wrote.
func parseBack(t *testing.T, doc *conf.Document) {
	t.Helper()
	if doc == nil {
		return
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	back, err := conf.Parse(raw)
	if err != nil {
		t.Fatalf("the PBX refuses the document: %v", err)
	}
	again, err := json.Marshal(back)
	if err != nil || !bytes.Equal(raw, again) {
		t.Errorf("the document changes on its way: %v\n%s\n%s", err, raw, again)
	}
}

func marshal(t *testing.T, g golden) []byte {
	t.Helper()
	out, err := yaml.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
