package oci

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Certificates is where programs look for the authorities they trust.
const Certificates = "etc/ssl/certs/ca-certificates.crt"

// entry is one file or folder of the layer; a folder's name ends with a slash.
type entry struct {
	name    string
	mode    int64
	content []byte
}

func layer(s Spec) (v1.Layer, error) {
	program, err := os.ReadFile(s.Binary)
	if err != nil {
		return nil, err
	}
	authorities, err := os.ReadFile(s.Certificates)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(authorities, []byte("BEGIN CERTIFICATE")) {
		return nil, fmt.Errorf("%s holds no certificate: name the bundle of a system, PEM", s.Certificates)
	}
	content, err := archive(s.Created, []entry{
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, content: fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", User)},
		{name: "etc/passwd", mode: 0o644, content: fmt.Appendf(nil,
			"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:%d:%d:nonroot:/tmp:/sbin/nologin\n", User, User)},
		{name: "etc/ssl/", mode: 0o755},
		{name: "etc/ssl/certs/", mode: 0o755},
		{name: Certificates, mode: 0o644, content: authorities},
		{name: s.Program, mode: 0o755, content: program},
		{name: "tmp/", mode: 0o1777},
	})
	if err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

// archive writes a tar whose every byte follows from its arguments.
func archive(when time.Time, entries []entry) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	var errs []error
	for _, e := range entries {
		kind := byte(tar.TypeReg)
		if e.name[len(e.name)-1] == '/' {
			kind = tar.TypeDir
		}
		errs = append(errs, w.WriteHeader(&tar.Header{
			Typeflag: kind, Name: e.name, Mode: e.mode, Size: int64(len(e.content)),
			ModTime: when.UTC().Truncate(time.Second), Format: tar.FormatUSTAR,
		}))
		_, err := w.Write(e.content)
		errs = append(errs, err)
	}
	errs = append(errs, w.Close())
	return b.Bytes(), errors.Join(errs...)
}
