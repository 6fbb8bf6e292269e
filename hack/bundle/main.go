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
	"strings"
	"syscall"

	"github.com/dipcast/dipcast/hack/images/repeat"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

type options struct {
	source, images, out, version, prefix string
	architectures                        []string
	chartOnly                            bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bundle", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.source, "source", ".", "folder of the source")
	flags.StringVar(&o.images, "images", "dist/images", "folder with the archives of hack/images")
	flags.StringVar(&o.out, "out", "dist", "folder for what is made")
	flags.StringVar(&o.version, "version", "", "version of the product")
	flags.StringVar(&o.prefix, "prefix", "localhost/dipcast", "prefix of the images' names, written into the chart")
	flags.BoolVar(&o.chartOnly, "chart", false, "package the chart, nothing else")
	arch := flags.String("arch", "amd64", "architectures of images and command line, by comma")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if o.version == "" {
		return options{}, errors.New("-version is missing: say what is bundled, e.g. -version $(git describe --always)")
	}
	o.architectures = strings.FieldsFunc(*arch, func(r rune) bool { return r == ',' || r == ' ' })
	if len(o.architectures) == 0 {
		return options{}, errors.New("-arch is empty: say amd64, arm64 or both")
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	from, err := repeat.Read(ctx, o.source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	chart, err := packChart(filepath.Join(o.source, "charts/dipcast"), o.version, o.prefix, from.Created)
	if err != nil {
		return err
	}
	if o.chartOnly {
		return o.write(filepath.Base(chart.Name), chart.Content, stdout)
	}
	entries, err := o.collect(ctx, from, chart)
	if err != nil {
		return err
	}
	top := "dipcast-" + o.version
	archive, err := repeat.TarGz(from.Created, layout(top, entries))
	if err != nil {
		return err
	}
	return o.write(top+".tar.gz", archive, stdout)
}

func (o options) write(name string, content []byte, stdout io.Writer) error {
	file := filepath.Join(o.out, name)
	if err := os.WriteFile(file, content, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s  %d bytes\n", file, len(content))
	return nil
}
