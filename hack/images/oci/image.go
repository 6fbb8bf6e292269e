package oci

import (
	"fmt"
	"path"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// User is the numeric user and group of every image: nobody's, on any system.
const User = 65532

// Source is where the code of the images comes from.
const Source = "https://github.com/dipcast/dipcast"

// Spec says what goes into one image.
type Spec struct {
	Program      string      // name of the program: /Program in the image, and its entrypoint
	Description  string      // one line for people who look at the image
	Binary       string      // file with the static program
	Certificates string      // file with the authorities that the program trusts, PEM
	Platform     v1.Platform // what the program was built for
	Version      string      // of the product
	Revision     string      // commit of the source
	Created      time.Time   // of the commit, not of the build: a build must be repeatable
}

// Image builds the image of s.
func Image(s Spec) (v1.Image, error) {
	content, err := layer(s)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", s.Program, err)
	}
	img, err := mutate.Append(base(), mutate.Addendum{
		Layer: content,
		History: v1.History{
			Created:   v1.Time{Time: s.Created.UTC()},
			CreatedBy: "hack/images",
			Comment:   s.Program + " " + s.Version,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", s.Program, err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", s.Program, err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Variant = s.Platform.OS, s.Platform.Architecture, s.Platform.Variant
	file.Created = v1.Time{Time: s.Created.UTC()}
	file.Config = v1.Config{
		User:       fmt.Sprintf("%d:%d", User, User),
		Entrypoint: []string{"/" + s.Program},
		WorkingDir: "/",
		Env:        []string{"PATH=/", "HOME=/tmp"},
		Labels:     Labels(s),
	}
	return mutate.ConfigFile(img, file)
}

// base is an image of nothing, in the form of the OCI.
func base() v1.Image {
	return mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
}

// Labels are the annotations of the OCI image specification, as labels.
func Labels(s Spec) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       "dipcast/" + s.Program,
		"org.opencontainers.image.description": s.Description,
		"org.opencontainers.image.version":     s.Version,
		"org.opencontainers.image.revision":    s.Revision,
		"org.opencontainers.image.created":     s.Created.UTC().Format(time.RFC3339),
		"org.opencontainers.image.source":      Source,
		"org.opencontainers.image.licenses":    "Apache-2.0",
	}
}

// Reference is the name of program's image: PREFIX/PROGRAM:VERSION.
func Reference(prefix, program, version string) (name.Tag, error) {
	text := path.Join(prefix, program) + ":" + version
	tag, err := name.NewTag(text)
	if err != nil {
		return name.Tag{}, fmt.Errorf("%s is no name of an image: %w: change the prefix or the version", text, err)
	}
	return tag, nil
}

// ArchiveName is the file name of program's archive for one architecture.
func ArchiveName(program, version, arch string) string {
	return fmt.Sprintf("%s-%s-%s.tar", program, version, arch)
}

// WriteArchive writes the image into file in the form that `docker load` and
// `ctr images import` read.
func WriteArchive(file string, tag name.Tag, img v1.Image) error {
	if err := tarball.WriteToFile(file, tag, img); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
