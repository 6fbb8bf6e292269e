package oci_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/dipcast/dipcast/hack/images/oci"
)

const certificate = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"

// spec describes an image whose program is built here: it prints what the
// system says about it.
func spec(t *testing.T) oci.Spec {
	t.Helper()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "go.mod"), "module example/probe\n\ngo 1.26\n")
	put(t, filepath.Join(dir, "main.go"), `package main

import (
	"fmt"
	"os"
	"os/user"
)

func main() {
	u, err := user.Current()
	_, certs := os.Stat("/etc/ssl/certs/ca-certificates.crt")
	_, tmp := os.CreateTemp("", "")
	fmt.Println(os.Getuid(), u.Username, err, certs, tmp)
}
`)
	binary := filepath.Join(dir, "probe")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	put(t, filepath.Join(dir, "ca.pem"), certificate)
	return oci.Spec{
		Program: "probe", Description: "Looks around", Binary: binary, Certificates: filepath.Join(dir, "ca.pem"),
		Platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Version:  "v1.2.3", Revision: "0123abc", Created: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC),
	}
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func image(t *testing.T, s oci.Spec) v1.Image {
	t.Helper()
	img, err := oci.Image(s)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestConfiguration(t *testing.T) {
	s := spec(t)
	got, err := image(t, s).ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		User: "65532:65532", Entrypoint: []string{"/probe"}, WorkingDir: "/", Env: []string{"PATH=/", "HOME=/tmp"},
		Labels: map[string]string{
			"org.opencontainers.image.title":       "dipcast/probe",
			"org.opencontainers.image.description": "Looks around",
			"org.opencontainers.image.version":     "v1.2.3",
			"org.opencontainers.image.revision":    "0123abc",
			"org.opencontainers.image.created":     "2026-11-23T09:00:00Z",
			"org.opencontainers.image.source":      oci.Source,
			"org.opencontainers.image.licenses":    "Apache-2.0",
		},
	}
	if diff := cmp.Diff(want, got.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if got.OS != "linux" || got.Architecture != runtime.GOARCH || !got.Created.Equal(s.Created) {
		t.Errorf("platform %s/%s created %s", got.OS, got.Architecture, got.Created)
	}
}

func TestFiles(t *testing.T) {
	got := make(map[string]string)
	walk(t, image(t, spec(t)), func(h *tar.Header, content []byte) {
		if h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%s belongs to %d:%d: the program must not be able to change it", h.Name, h.Uid, h.Gid)
		}
		mode := h.FileInfo().Mode().String()
		if h.Name == "etc/passwd" || h.Name == "etc/group" || h.Name == oci.Certificates {
			mode += " " + string(content)
		}
		got[h.Name] = mode
	})
	want := map[string]string{
		"etc": "drwxr-xr-x", "etc/ssl": "drwxr-xr-x", "etc/ssl/certs": "drwxr-xr-x", "tmp": "dtrwxrwxrwx",
		"etc/group":      "-rw-r--r-- root:x:0:\nnonroot:x:65532:\n",
		"etc/passwd":     "-rw-r--r-- root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n",
		oci.Certificates: "-rw-r--r-- " + certificate,
		"probe":          "-rwxr-xr-x",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func walk(t *testing.T, img v1.Image, visit func(*tar.Header, []byte)) {
	t.Helper()
	files := mutate.Extract(img)
	defer files.Close()
	for r := tar.NewReader(files); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		visit(h, content)
	}
}

// TestProgramRuns runs the program with nothing but the image around it.
func TestProgramRuns(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may change the root folder")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	walk(t, image(t, spec(t)), func(h *tar.Header, content []byte) {
		path := filepath.Join(root, h.Name)
		mode := h.FileInfo().Mode()
		if mode.IsDir() {
			if err := errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
			return
		}
		if err := os.WriteFile(path, content, mode.Perm()); err != nil {
			t.Fatal(err)
		}
	})
	cmd := exec.CommandContext(t.Context(), "/probe")
	cmd.Dir, cmd.Env = "/", []string{"HOME=/tmp"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: oci.User, Gid: oci.User}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got, want := strings.TrimSpace(string(out)), "65532 nonroot <nil> <nil> <nil>"; got != want {
		t.Errorf("the program sees %q, want %q", got, want)
	}
}

func TestSameInputSameArchive(t *testing.T) {
	s := spec(t)
	tag, err := oci.Reference("localhost/dipcast", "probe", "v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	var archives [2][]byte
	for i := range archives {
		// Another place of the same program is no other input.
		moved := s
		moved.Binary = filepath.Join(t.TempDir(), "another-name")
		program, err := os.ReadFile(s.Binary)
		if err != nil {
			t.Fatal(err)
		}
		put(t, moved.Binary, string(program))
		file := filepath.Join(t.TempDir(), "probe.tar")
		if err := oci.WriteArchive(file, tag, image(t, moved)); err != nil {
			t.Fatal(err)
		}
		if archives[i], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two builds of the same input differ")
	}
	changed := s
	changed.Version = "v1.2.4"
	if digest(t, image(t, s)) == digest(t, image(t, changed)) {
		t.Error("another version has the same digest")
	}
}

func digest(t *testing.T, img v1.Image) v1.Hash {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestReadArchive(t *testing.T) {
	s := spec(t)
	img := image(t, s)
	tag, err := oci.Reference("localhost/dipcast", "probe", "v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), oci.ArchiveName("probe", "v1.2.3", "amd64"))
	if err := oci.WriteArchive(file, tag, img); err != nil {
		t.Fatal(err)
	}
	gotTag, got, err := oci.ReadArchive(file)
	if err != nil {
		t.Fatal(err)
	}
	if gotTag.String() != "localhost/dipcast/probe:v1.2.3" || filepath.Base(file) != "probe-v1.2.3-amd64.tar" {
		t.Errorf("%s holds %s", file, gotTag)
	}
	if got, want := digest(t, got), digest(t, img); got != want {
		t.Errorf("the archive's image has the digest %s, and had %s", got, want)
	}
	program, err := oci.Program(got)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(s.Binary)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(program, want) {
		t.Error("the program in the archive is another one")
	}
}

func TestWrongInput(t *testing.T) {
	good := spec(t)
	tests := []struct {
		name   string
		change func(*oci.Spec)
		want   string
	}{
		{"no program", func(s *oci.Spec) { s.Binary += "-gone" }, "image probe: open"},
		{"no authorities", func(s *oci.Spec) { s.Certificates = s.Binary }, "holds no certificate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := good
			tt.change(&s)
			if _, err := oci.Image(s); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	if _, err := oci.Reference("Localhost", "pbx", "v1 2"); err == nil {
		t.Error("a name that no registry takes was taken")
	}
	if _, _, err := oci.ReadArchive(good.Binary); err == nil || !strings.Contains(err.Error(), "make images") {
		t.Errorf("a program was read as an archive: %v", err)
	}
}
