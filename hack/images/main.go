// Command images builds the container images of the operator and the PBX
// without a container engine and writes them as archives. It builds the
// programs itself, static, for every architecture.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/dipcast/dipcast/hack/images/oci"
	"github.com/dipcast/dipcast/hack/images/repeat"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

// program is one image that is built.
type program struct{ name, description string }

func programs() []program {
	return []program{
		{"operator", "Runs an IP-PBX for every PBXTenant of a Kubernetes cluster"},
		{"pbx", "The IP-PBX of one company, run by the operator"},
	}
}

type options struct {
	source, out, prefix   string
	version, certificates string
	architectures, only   []string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	origin, err := repeat.Read(ctx, o.source)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "dipcast-images-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // a folder of its own: what is left is the system's to clean
	for _, p := range programs() {
		if len(o.only) > 0 && !slices.Contains(o.only, p.name) {
			continue
		}
		if err := o.make(ctx, p, origin, work, stdout); err != nil {
			return err
		}
	}
	return nil
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.source, "source", ".", "folder of the source")
	flags.StringVar(&o.out, "out", "dist/images", "folder for the archives")
	flags.StringVar(&o.prefix, "prefix", "localhost/dipcast", "what stands before /operator and /pbx in the images' names")
	flags.StringVar(&o.version, "version", "", "version of the product: tag of the images")
	flags.StringVar(&o.certificates, "certificates", "/"+oci.Certificates, "file with the authorities that the programs trust, PEM")
	arch := flags.String("arch", "amd64,arm64", "architectures, by comma")
	only := flags.String("only", "", "programs to build, by comma; default: all")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if o.version == "" {
		return options{}, errors.New("-version is missing: say what the images are, e.g. -version $(git describe --always)")
	}
	o.architectures, o.only = split(*arch), split(*only)
	for _, name := range o.only {
		if !slices.Contains(names(), name) {
			return options{}, fmt.Errorf("-only %s: there is no such program: it is one of %s", name, strings.Join(names(), ", "))
		}
	}
	return o, nil
}

// make builds one program for every architecture and writes the archives.
func (o options) make(ctx context.Context, p program, from repeat.Origin, work string, stdout io.Writer) error {
	tag, err := oci.Reference(o.prefix, p.name, o.version)
	if err != nil {
		return err
	}
	for _, arch := range o.architectures {
		binary := filepath.Join(work, p.name+"-"+arch)
		if err := repeat.Compile(ctx, o.source, p.name, arch, o.version, binary); err != nil {
			return err
		}
		img, err := oci.Image(oci.Spec{
			Program: p.name, Description: p.description, Binary: binary, Certificates: o.certificates,
			Platform: v1.Platform{OS: "linux", Architecture: arch},
			Version:  o.version, Revision: from.Revision, Created: from.Created,
		})
		if err != nil {
			return err
		}
		file := filepath.Join(o.out, oci.ArchiveName(p.name, o.version, arch))
		if err := oci.WriteArchive(file, tag, img); err != nil {
			return err
		}
		digest, err := img.Digest()
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s  %s  linux/%s  %s\n", file, tag, arch, digest)
	}
	return nil
}

func names() (list []string) {
	for _, p := range programs() {
		list = append(list, p.name)
	}
	return list
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
