package main

import (
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/dipcast/dipcast/hack/images/oci"
)

// archive writes an image whose program is only named after its architecture.
func archive(t *testing.T, program, arch string) string {
	t.Helper()
	dir := t.TempDir()
	for file, text := range map[string]string{"program": program + " for " + arch, "ca.pem": "-----BEGIN CERTIFICATE-----\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	img, err := oci.Image(oci.Spec{
		Program: program, Binary: filepath.Join(dir, "program"), Certificates: filepath.Join(dir, "ca.pem"),
		Platform: v1.Platform{OS: "linux", Architecture: arch}, Version: "v1", Created: time.Unix(0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	tag, err := oci.Reference("localhost/dipcast", program, "v1")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, oci.ArchiveName(program, "v1", arch))
	if err := oci.WriteArchive(file, tag, img); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	to := strings.TrimPrefix(server.URL, "http://") + "/voip"
	var out bytes.Buffer
	args := []string{"-to", to, archive(t, "operator", "amd64"), archive(t, "pbx", "amd64"), archive(t, "pbx", "arm64")}
	if err := run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ program, arch string }{{"operator", "amd64"}, {"pbx", "amd64"}, {"pbx", "arm64"}} {
		tag, err := name.NewTag(to + "/" + want.program + ":v1")
		if err != nil {
			t.Fatal(err)
		}
		img, err := remote.Image(tag, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: want.arch}))
		if err != nil {
			t.Fatalf("%s for %s: %v", tag, want.arch, err)
		}
		program, err := oci.Program(img)
		if err != nil {
			t.Fatal(err)
		}
		if string(program) != want.program+" for "+want.arch {
			t.Errorf("%s for %s holds %q", tag, want.arch, program)
		}
		if !strings.Contains(out.String(), tag.String()+"  "+tag.Context().String()+"@sha256:") {
			t.Errorf("the output does not tell the digest of %s:\n%s", tag, out.String())
		}
	}
	if _, err := remote.Image(mustTag(t, to+"/operator:v1"), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "arm64"})); err == nil {
		t.Error("an architecture that was never pushed was found")
	}
}

func mustTag(t *testing.T, text string) name.Tag {
	t.Helper()
	tag, err := name.NewTag(text)
	if err != nil {
		t.Fatal(err)
	}
	return tag
}

func TestRefused(t *testing.T) {
	server := httptest.NewServer(nil)
	defer server.Close()
	to := strings.TrimPrefix(server.URL, "http://") + "/voip"
	file := archive(t, "pbx", "amd64")
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"nothing to push", []string{"-to", to}, "usage:"},
		{"nowhere", []string{file}, "usage:"},
		{"no archive", []string{"-to", to, os.Args[0]}, "make images"},
		{"no name", []string{"-to", "REGISTRY/Path", file}, "no name of an image"},
		{"a server that is no registry", []string{"-to", to, file}, "are you logged in"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), tt.args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}
