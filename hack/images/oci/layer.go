package oci

import (
	"bytes"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/dipcast/dipcast/hack/images/repeat"
)

// Certificates is where programs look for the authorities they trust.
const Certificates = "etc/ssl/certs/ca-certificates.crt"

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
	content, err := repeat.Tar(s.Created, []repeat.Entry{
		{Name: "etc/", Mode: 0o755},
		{Name: "etc/group", Mode: 0o644, Content: fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", User)},
		{Name: "etc/passwd", Mode: 0o644, Content: fmt.Appendf(nil,
			"root:x:0:0:root:/:/sbin/nologin\nnonroot:x:%d:%d:nonroot:/tmp:/sbin/nologin\n", User, User)},
		{Name: "etc/ssl/", Mode: 0o755},
		{Name: "etc/ssl/certs/", Mode: 0o755},
		{Name: Certificates, Mode: 0o644, Content: authorities},
		{Name: s.Program, Mode: 0o755, Content: program},
		{Name: "tmp/", Mode: 0o1777},
	})
	if err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}
