package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dipcast/dipcast/hack/images/oci"
	"github.com/dipcast/dipcast/hack/images/repeat"
)

const version = "v1.2.3"

// product is the source of this repository but with programs that are built
// in a moment, and their images.
func product(t *testing.T) (source, images string) {
	t.Helper()
	dir := t.TempDir()
	for _, part := range []string{"charts", "config", "LICENSE"} {
		if out, err := exec.CommandContext(t.Context(), "cp", "-r", "../../"+part, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	put(t, dir, "go.mod", "module example/product\n\ngo 1.26\n\nrequire example/library v1.5.0\n\nreplace example/library => ./library\n")
	put(t, dir, "library/go.mod", "module example/library\n\ngo 1.26\n")
	put(t, dir, "library/library.go", "package library\n\nfunc Word() string { return \"word\" }\n")
	put(t, dir, "ca.pem", "-----BEGIN CERTIFICATE-----\n")
	images = filepath.Join(dir, "images")
	if err := os.Mkdir(images, 0o755); err != nil {
		t.Fatal(err)
	}
	from, err := repeat.Read(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"operator", "pbx", "dipcast"} {
		put(t, dir, "cmd/"+program+"/main.go", `package main

import "example/library"

var version string

func main() { println("`+program+`", version, library.Word()) }
`)
		if program == "dipcast" {
			continue
		}
		binary := filepath.Join(t.TempDir(), program)
		if err := repeat.Compile(t.Context(), dir, program, "amd64", version, binary); err != nil {
			t.Fatal(err)
		}
		img, err := oci.Image(oci.Spec{
			Program: program, Binary: binary, Certificates: filepath.Join(dir, "ca.pem"),
			Platform: v1.Platform{OS: "linux", Architecture: "amd64"}, Version: version, Created: from.Created,
		})
		if err != nil {
			t.Fatal(err)
		}
		tag, err := oci.Reference("registry.example/voip", program, version)
		if err != nil {
			t.Fatal(err)
		}
		if err := oci.WriteArchive(filepath.Join(images, oci.ArchiveName(program, version, "amd64")), tag, img); err != nil {
			t.Fatal(err)
		}
	}
	return dir, images
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func bundle(t *testing.T, source, images string) []byte {
	t.Helper()
	out := t.TempDir()
	err := run(t.Context(), []string{"-source", source, "-images", images, "-version", version, "-prefix", "registry.example/voip", "-out", out}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(out, "dipcast-"+version+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// unpack reads an archive: the content of files, the target of links.
func unpack(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	gz, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeDir {
			files[h.Name] = string(content) + h.Linkname
		}
	}
}

func TestBundle(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	t.Setenv("GOWORK", "off")
	source, images := product(t)
	first := bundle(t, source, images)
	if !bytes.Equal(first, bundle(t, source, images)) {
		t.Error("two bundles of the same source differ")
	}
	files := unpack(t, first)
	want := []string{
		"INSTALL.md", "LICENSE", "SHA256SUMS", "bin/linux-amd64/dipcast", "bin/linux-amd64/kubectl-dipcast", "chart/dipcast-1.2.3.tgz",
		"crds/pbx.dipcast.io_callflows.yaml", "crds/pbx.dipcast.io_extensionplans.yaml", "crds/pbx.dipcast.io_naverworksbots.yaml",
		"crds/pbx.dipcast.io_pbxclasses.yaml", "crds/pbx.dipcast.io_pbxtenants.yaml", "crds/pbx.dipcast.io_siptrunks.yaml",
		"images/operator-v1.2.3-amd64.tar", "images/pbx-v1.2.3-amd64.tar", "samples/acme/secrets.yaml", "samples/acme/tenant.yaml", "samples/classes.yaml",
		"sbom/dipcast-amd64.cdx.json", "sbom/operator-amd64.cdx.json", "sbom/pbx-amd64.cdx.json",
	}
	for i := range want {
		want[i] = "dipcast-v1.2.3/" + want[i]
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(files))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	checkSums(t, first)
	checkBill(t, files["dipcast-v1.2.3/sbom/pbx-amd64.cdx.json"])
	checkChart(t, files["dipcast-v1.2.3/chart/dipcast-1.2.3.tgz"])
	checkText(t, files)
}

// checkSums has the tool that INSTALL.md names check the files as they lie on
// a disk.
func checkSums(t *testing.T, archive []byte) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "bundle.tar.gz")
	if err := os.WriteFile(file, archive, 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, dir, "tar", "xzf", file)
	top := filepath.Join(dir, "dipcast-"+version)
	command(t, top, "sha256sum", "-c", "--quiet", "SHA256SUMS")
	if out := command(t, top, "bin/linux-amd64/kubectl-dipcast"); out != "dipcast v1.2.3 word\n" {
		t.Errorf("kubectl-dipcast says %q", out)
	}
	if err := os.WriteFile(filepath.Join(top, "LICENSE"), []byte("none"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sha256sum", "-c", "--quiet", "SHA256SUMS")
	cmd.Dir = top
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "LICENSE: FAILED") {
		t.Errorf("a changed file went unnoticed: %v: %s", err, out)
	}
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	if strings.Contains(name, "/") {
		name = filepath.Join(dir, name)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

func checkBill(t *testing.T, text string) {
	t.Helper()
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(strings.NewReader(text), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	c := bom.Metadata.Component
	if c.Name != "registry.example/voip/pbx:v1.2.3" || c.Type != cyclonedx.ComponentTypeContainer || !strings.HasPrefix(c.PackageURL, "pkg:oci/pbx@sha256%3A") {
		t.Errorf("the bill is about %s %s %s", c.Type, c.Name, c.PackageURL)
	}
	if !regexp.MustCompile(`^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(bom.SerialNumber) {
		t.Errorf("serial number %s", bom.SerialNumber)
	}
	var got []string
	for _, c := range *bom.Components {
		got = append(got, c.Name)
	}
	if want := []string{"std", "example/library"}; !slices.Equal(got, want) {
		t.Errorf("components %q, want %q", got, want)
	}
	if bom.Metadata.Timestamp != "2023-11-14T22:13:20Z" {
		t.Errorf("timestamp %s", bom.Metadata.Timestamp)
	}
}

// checkChart has the pinned helm render the packaged chart.
func checkChart(t *testing.T, chart string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "dipcast.tgz")
	if err := os.WriteFile(file, []byte(chart), 0o644); err != nil {
		t.Fatal(err)
	}
	path, err := exec.CommandContext(t.Context(), "../tools/helm-bin.sh").Output()
	if err != nil {
		t.Fatalf("%v: run make helm", err)
	}
	helm := strings.TrimSpace(string(path))
	out := command(t, dir, "env", helm, "template", "dipcast", file)
	for _, want := range []string{"image: registry.example/voip/operator:v1.2.3", "--pbx-image=registry.example/voip/pbx:v1.2.3", "helm.sh/chart: dipcast-1.2.3"} {
		if !strings.Contains(out, want) {
			t.Errorf("the packaged chart renders no %q", want)
		}
	}
	if out := command(t, dir, "env", helm, "lint", "--strict", file); !strings.Contains(out, "0 chart(s) failed") {
		t.Errorf("lint: %s", out)
	}
}

// checkText: every file that INSTALL.md names is in the bundle.
func checkText(t *testing.T, files map[string]string) {
	t.Helper()
	text := files["dipcast-v1.2.3/INSTALL.md"]
	found := regexp.MustCompile(`\b(?:images|chart|bin|samples)/[\w./-]*\w`).FindAllString(text, -1)
	if len(found) < 6 {
		t.Fatalf("INSTALL.md names %d files", len(found))
	}
	for _, name := range found {
		there := slices.ContainsFunc(slices.Collect(maps.Keys(files)), func(f string) bool {
			return f == "dipcast-v1.2.3/"+name || strings.HasPrefix(f, "dipcast-v1.2.3/"+name+"/")
		})
		if !there {
			t.Errorf("INSTALL.md names %s, which is not in the bundle", name)
		}
	}
	if strings.Contains(text, "{{") || strings.Contains(text, "no value") {
		t.Error("INSTALL.md has a gap")
	}
}

func TestChartOnly(t *testing.T) {
	out := t.TempDir()
	if err := run(t.Context(), []string{"-chart", "-source", "../..", "-version", "0a1b2c3-dirty", "-out", out}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(out, "dipcast-0.0.0-g0a1b2c3-dirty.tgz")); err != nil {
		t.Error(err)
	}
}

func TestChartVersion(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3": "1.2.3", "v1.2.3-4-gabcdef0": "1.2.3-4-gabcdef0", "v1.2.3-rc.1": "1.2.3-rc.1",
		"0123456": "0.0.0-g0123456", "abc1234-dirty": "0.0.0-gabc1234-dirty", "feature/x_y": "0.0.0-gfeature-x-y", "v1.2": "0.0.0-gv1-2",
	} {
		if got := chartVersion(version); got != want {
			t.Errorf("chart version of %s: %s, want %s", version, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no version", nil, "-version is missing"},
		{"no architecture", []string{"-version", "v1", "-arch", ","}, "-arch is empty"},
		{"no source", []string{"-version", "v1", "-source", t.TempDir()}, "charts/dipcast"},
		{"no images", []string{"-version", "v1", "-source", "../..", "-images", t.TempDir()}, "run make images first"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), append(tt.args, "-out", t.TempDir()), io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}
