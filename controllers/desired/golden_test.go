package desired_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/hostport"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// scene is what an .in.yaml holds.
type scene struct {
	Class            *v1alpha1.PBXClass  `json:"class"`
	Tenant           *v1alpha1.PBXTenant `json:"tenant"`
	Slot             *int                `json:"slot,omitempty"` // none: no ports
	Document         *string             `json:"document,omitempty"`
	Image            string              `json:"image,omitempty"`
	ImagePullSecrets []string            `json:"imagePullSecrets,omitempty"`
	MonitoringLabels map[string]string   `json:"monitoringLabels,omitempty"`
	Trunks           int                 `json:"trunks,omitempty"`
	Node             desired.Node        `json:"node,omitzero"`
	APIs             desired.APIs        `json:"apis,omitzero"`
	Receivers        *desired.Receivers  `json:"receivers,omitempty"`
}

func read(tb testing.TB, file string) desired.Input {
	tb.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var s scene
	if err := yaml.UnmarshalStrict(raw, &s); err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
	in := desired.Input{
		Tenant: s.Tenant, Class: s.Class, Image: s.Image, ImagePullSecrets: s.ImagePullSecrets,
		MonitoringLabels: s.MonitoringLabels, Trunks: s.Trunks, Node: s.Node, APIs: s.APIs, Receivers: s.Receivers,
	}
	if s.Document != nil {
		in.Document = []byte(*s.Document)
	}
	if s.Slot != nil {
		pool := s.Class.Spec.Network.PortPool
		l, err := hostport.New(hostport.Pool{From: int(pool.From), To: int(pool.To)}, int(s.Class.Spec.Limits.ConcurrentCalls))
		if err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		if in.Ports, err = l.Ports(*s.Slot); err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
	}
	return in
}

func inputs(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(files) < 15 {
		tb.Fatalf("%d golden inputs, %v; want at least 15", len(files), err)
	}
	return files
}

func render(tb testing.TB, o desired.Objects) []byte {
	tb.Helper()
	var out bytes.Buffer
	for _, object := range o.All() {
		text, err := yaml.Marshal(object)
		if err != nil {
			tb.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(text)
	}
	return out.Bytes()
}

func TestGolden(t *testing.T) {
	for _, input := range inputs(t) {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".in.yaml"), func(t *testing.T) {
			got := render(t, desired.Build(read(t, input)))
			if again := render(t, desired.Build(read(t, input))); !bytes.Equal(got, again) {
				t.Error("building twice gives two results")
			}
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

// TestTrialGolden shows the pod that tries the image of a class with every option.
func TestTrialGolden(t *testing.T) {
	in := read(t, "testdata/class-options.in.yaml")
	got, err := yaml.Marshal(desired.Trial(in.Tenant, &desired.Build(in).StatefulSet.Spec.Template, "node-1"))
	if err != nil {
		t.Fatal(err)
	}
	const output = "testdata/trial.yaml"
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
}

// TestBuildSharesNothing guards the cache that class and tenant come from.
func TestBuildSharesNothing(t *testing.T) {
	for _, input := range inputs(t) {
		in, before := read(t, input), read(t, input)
		for _, o := range desired.Build(in).All() {
			for key := range o.GetLabels() {
				o.GetLabels()[key] = "changed"
			}
		}
		built := desired.Build(in)
		if set := built.StatefulSet; set != nil {
			spec := &set.Spec.Template.Spec
			for key := range spec.NodeSelector {
				spec.NodeSelector[key] = "changed"
			}
			for i := range spec.Tolerations {
				if spec.Tolerations[i].TolerationSeconds != nil {
					*spec.Tolerations[i].TolerationSeconds = 1
				}
			}
			clear(spec.Containers[0].Resources.Limits)
			clear(spec.Containers[0].Resources.Requests)
		}
		if built.Ingress != nil && built.Ingress.Spec.IngressClassName != nil {
			*built.Ingress.Spec.IngressClassName = "changed"
		}
		if diff := cmp.Diff(before, in); diff != "" {
			t.Errorf("%s: what is built reaches into what it was built of:\n%s", input, diff)
		}
	}
}
