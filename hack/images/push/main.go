// Command push writes the images of `make images` to a registry: one name for
// each program, with every architecture below it. Who may write there is what
// `docker login` left in the user's configuration.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/dipcast/dipcast/hack/images/oci"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "push:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("push", flag.ContinueOnError)
	flags.SetOutput(stderr)
	to := flags.String("to", "", "registry and path, e.g. registry.example/voip")
	plain := flags.Bool("insecure", false, "speak http to the registry")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *to == "" || flags.NArg() == 0 {
		return errors.New("usage: push -to REGISTRY/PATH ARCHIVE...: the archives are those of `make images`")
	}
	var options []name.Option
	if *plain {
		options = append(options, name.Insecure)
	}
	images, err := read(*to, flags.Args(), options...)
	if err != nil {
		return err
	}
	for _, tag := range slices.SortedFunc(maps.Keys(images), func(a, b name.Tag) int { return strings.Compare(a.String(), b.String()) }) {
		digest, err := push(ctx, tag, images[tag], remote.WithAuthFromKeychain(authn.DefaultKeychain))
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s  %s\n", tag, digest)
	}
	return nil
}

// read sorts the images of the archives by the name that they get.
func read(to string, archives []string, options ...name.Option) (map[name.Tag][]v1.Image, error) {
	images := make(map[name.Tag][]v1.Image)
	for _, file := range archives {
		from, img, err := oci.ReadArchive(file)
		if err != nil {
			return nil, err
		}
		text := path.Join(to, path.Base(from.RepositoryStr())) + ":" + from.TagStr()
		tag, err := name.NewTag(text, options...)
		if err != nil {
			return nil, fmt.Errorf("%s is no name of an image: %w: -to is a registry and a path, e.g. registry.example/voip", text, err)
		}
		images[tag] = append(images[tag], img)
	}
	return images, nil
}

// push writes the images of all platforms under one name and returns the name
// by digest.
func push(ctx context.Context, tag name.Tag, images []v1.Image, options ...remote.Option) (name.Digest, error) {
	index, err := oci.Index(images)
	if err != nil {
		return name.Digest{}, fmt.Errorf("%s: %w", tag, err)
	}
	if err := remote.WriteIndex(tag, index, append(options, remote.WithContext(ctx))...); err != nil {
		return name.Digest{}, fmt.Errorf("%s: %w: is the registry right, and are you logged in to it?", tag, err)
	}
	digest, err := index.Digest()
	if err != nil {
		return name.Digest{}, fmt.Errorf("%s: %w", tag, err)
	}
	return tag.Context().Digest(digest.String()), nil
}
