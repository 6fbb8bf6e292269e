package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/hack/images/oci"
)

// source is a small product: two programs that print their version.
func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"go.mod":               "module example/product\n\ngo 1.26\n",
		"ca.pem":               "-----BEGIN CERTIFICATE-----\n",
		"cmd/pbx/main.go":      "package main\n\nvar version string\n\nfunc main() { println(\"pbx\", version) }\n",
		"cmd/operator/main.go": "package main\n\nvar version string\n\nfunc main() { println(\"operator\", version) }\n",
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestArchives(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	t.Setenv("GOWORK", "off")
	dir := source(t)
	var outputs [2]string
	for i := range outputs {
		out := filepath.Join(t.TempDir(), "images")
		var stdout bytes.Buffer
		err := run(t.Context(), []string{"-source", dir, "-out", out, "-version", "v9", "-certificates", filepath.Join(dir, "ca.pem")}, &stdout, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		outputs[i] = strings.ReplaceAll(stdout.String(), out, "OUT")
		files, err := filepath.Glob(filepath.Join(out, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range files {
			files[i] = filepath.Base(files[i])
		}
		if want := []string{"operator-v9-amd64.tar", "operator-v9-arm64.tar", "pbx-v9-amd64.tar", "pbx-v9-arm64.tar"}; !slices.Equal(files, want) {
			t.Fatalf("files %q, want %q", files, want)
		}
		machine(t, filepath.Join(out, "pbx-v9-arm64.tar"), "arm64", elf.EM_AARCH64)
		machine(t, filepath.Join(out, "operator-v9-amd64.tar"), "amd64", elf.EM_X86_64)
	}
	if outputs[0] != outputs[1] {
		t.Errorf("two runs give other digests:\n%s\n%s", outputs[0], outputs[1])
	}
	if want := "OUT/pbx-v9-arm64.tar  localhost/dipcast/pbx:v9  linux/arm64  sha256:"; !strings.Contains(outputs[0], want) {
		t.Errorf("output\n%s\nwithout %q", outputs[0], want)
	}
}

// machine checks that an archive's program is static, knows its version and
// is for the architecture that the image says.
func machine(t *testing.T, file, arch string, want elf.Machine) {
	t.Helper()
	_, img, err := oci.ReadArchive(file)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Architecture != arch || config.Created.Unix() != 1700000000 {
		t.Errorf("%s: architecture %s, created %s", file, config.Architecture, config.Created)
	}
	program, err := oci.Program(img)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if binary.Machine != want {
		t.Errorf("%s: program for %s, want %s", file, binary.Machine, want)
	}
	if libraries, err := binary.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("%s: the program wants libraries %q (%v): it must be static", file, libraries, err)
	}
	if !bytes.Contains(program, []byte("v9")) {
		t.Errorf("%s: the program does not know its version", file)
	}
}

func TestWrongFlags(t *testing.T) {
	dir := source(t)
	if err := os.WriteFile(filepath.Join(dir, "cmd/pbx/main.go"), []byte("package main\n\nfunc main() { nowhere() }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	common := []string{"-source", dir, "-out", t.TempDir(), "-certificates", filepath.Join(dir, "ca.pem")}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no version", nil, "-version is missing"},
		{"an unknown program", []string{"-version", "v1", "-only", "pbx,phone"}, "it is one of operator, pbx"},
		{"a version that is no tag", []string{"-version", "v1/2 3", "-only", "operator"}, "change the prefix or the version"},
		{"code that does not build", []string{"-version", "v1", "-only", "pbx"}, "undefined: nowhere"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), append(common, tt.args...), io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if err := run(t.Context(), append(common, "-version", "v1"), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "SOURCE_DATE_EPOCH") {
		t.Errorf("a wrong date was taken: %v", err)
	}
}

// TestDockerfile: who builds with an engine gets the same configuration.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	want := []string{fmt.Sprintf("USER %d:%d", oci.User, oci.User), "ENV PATH=/ HOME=/tmp", "FROM scratch AS base"}
	for _, p := range programs() {
		want = append(want, "FROM base AS "+p.name, fmt.Sprintf("ENTRYPOINT [%q]", "/"+p.name), "COPY --from=build /out/"+p.name+" /"+p.name)
	}
	for _, line := range want {
		if !slices.Contains(lines, line) {
			t.Errorf("Dockerfile has no line %q", line)
		}
	}
}
