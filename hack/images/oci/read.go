package oci

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ReadArchive reads the one image of an archive, and the name that it has
// there.
func ReadArchive(file string) (name.Tag, v1.Image, error) {
	open := func() (io.ReadCloser, error) { return os.Open(file) }
	manifest, err := tarball.LoadManifest(open)
	if err != nil {
		return name.Tag{}, nil, fmt.Errorf("%s: %w: is it an archive of `make images`?", file, err)
	}
	if len(manifest) != 1 || len(manifest[0].RepoTags) != 1 {
		return name.Tag{}, nil, fmt.Errorf("%s: holds %d images: an archive of `make images` holds one, with one name", file, len(manifest))
	}
	tag, err := name.NewTag(manifest[0].RepoTags[0])
	if err != nil {
		return name.Tag{}, nil, fmt.Errorf("%s: %w", file, err)
	}
	img, err := tarball.Image(open, nil)
	if err != nil {
		return name.Tag{}, nil, fmt.Errorf("%s: %w", file, err)
	}
	if img, err = original(img); err != nil {
		return name.Tag{}, nil, fmt.Errorf("%s: %w", file, err)
	}
	return tag, img, nil
}

// original gives an image out of an archive the form that it had before, and
// with it its digest: archives know Docker's form only.
func original(archived v1.Image) (v1.Image, error) {
	layers, err := archived.Layers()
	if err != nil {
		return nil, err
	}
	for i, l := range layers {
		if layers[i], err = tarball.LayerFromOpener(l.Compressed, tarball.WithMediaType(types.OCILayer)); err != nil {
			return nil, err
		}
	}
	img, err := mutate.AppendLayers(base(), layers...)
	if err != nil {
		return nil, err
	}
	config, err := archived.ConfigFile()
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, config)
}

// Program reads the program out of an image: the file that its entrypoint
// names.
func Program(img v1.Image) ([]byte, error) {
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	if len(config.Config.Entrypoint) == 0 {
		return nil, errors.New("the image has no entrypoint")
	}
	return File(img, config.Config.Entrypoint[0])
}

// File reads one file of an image's file system.
func File(img v1.Image, file string) ([]byte, error) {
	files := mutate.Extract(img)
	defer func() { _ = files.Close() }() // it was only read
	for r := tar.NewReader(files); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("the image has no file %s", file)
		}
		if err != nil {
			return nil, err
		}
		if path.Clean("/"+h.Name) == file {
			return io.ReadAll(r)
		}
	}
}
