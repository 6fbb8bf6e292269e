package charttest

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	root      = "../.."
	chart     = root + "/charts/dipcast"
	namespace = "dipcast-system"
)

// program runs a command and returns what it prints; it fails with what the
// command says.
func program(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	// Helm keeps its own folders: tests share none with the user.
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), errors.New(strings.TrimSpace(stderr.String()) + ": " + err.Error())
	}
	return stdout.String(), nil
}

func helmPath(t *testing.T) string {
	t.Helper()
	path, err := program(t, root+"/hack/tools/helm-bin.sh")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(path)
}

func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return program(t, helmPath(t), args...)
}

// render is `helm template` with more arguments.
func render(t *testing.T, args ...string) string {
	t.Helper()
	text, err := helm(t, append([]string{"template", "dipcast", chart, "--namespace", namespace}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// parse reads the objects of a stream of YAML.
func parse(t *testing.T, text string) (list []*unstructured.Unstructured) {
	t.Helper()
	for d := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096); ; {
		var u unstructured.Unstructured
		err := d.Decode(&u)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(u.Object) > 0 {
			list = append(list, &u)
		}
	}
}

// valueSets are the installations that the golden files show, by name.
func valueSets(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.values.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no value sets: %v", err)
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".values.yaml"))
	}
	return names
}

// renderSet renders one value set; the first line of the file may name APIs
// that its cluster has: "# apis: GROUP/VERSION/KIND ...".
func renderSet(t *testing.T, set string, args ...string) string {
	t.Helper()
	file := filepath.Join("testdata", set+".values.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	args = append(args, "--values", file)
	first, _, _ := strings.Cut(string(text), "\n")
	if apis, ok := strings.CutPrefix(first, "# apis: "); ok {
		for api := range strings.FieldsSeq(apis) {
			args = append(args, "--api-versions", api)
		}
	}
	return render(t, args...)
}

// TestGolden: the diff of a golden file shows a reviewer what a change of the
// chart does to an installation. The kinds are left out: they are compared
// with config/crd below.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, set := range valueSets(t) {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			got := renderSet(t, set, "--set", "crds.install=false")
			golden := filepath.Join("testdata", set+".golden.yaml")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v: run go test with -update", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got); if this is meant, run with -update and read the diff:\n%s", golden, diff)
			}
		})
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	for _, set := range valueSets(t) {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			if out, err := helm(t, "lint", "--strict", chart, "--values", filepath.Join("testdata", set+".values.yaml")); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
