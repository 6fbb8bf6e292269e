// Command pbx runs one tenant's PBX from a conf.Document in a file, which it
// watches: the pod's program. A document that is wrong changes nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // containers have no time zones

	"golang.org/x/sync/errgroup"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/filewatch"
	"github.com/dipcast/dipcast/pbx/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pbx:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("pbx", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("document", "/etc/dipcast/document.json", "file with the tenant's document")
	data := flags.String("data", "/var/lib/dipcast", "folder for the database and generated keys")
	node := flags.String("node", os.Getenv("NODE_NAME"), "name of the node whose address is advertised")
	drain := flags.Duration("drain", 2*time.Hour, "how long calls may go on after SIGTERM")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	seen := filewatch.Look([]string{*path})
	d, err := read(*path)
	if err != nil {
		return err
	}
	s, err := server.New(ctx, server.Options{Document: d, DataDir: *data, Node: *node, DrainFor: *drain, Log: log})
	if err != nil {
		return err
	}
	// The watch ends with the signal, the server when it has drained.
	g, watch := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error {
		return filewatch.Since(watch, seen, []string{*path}, func() { apply(s, *path, log) })
	})
	return g.Wait()
}

func read(path string) (*conf.Document, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d, err := conf.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// apply puts a changed document in force; with a wrong one the last good one
// goes on.
func apply(s *server.Server, path string, log *slog.Logger) {
	d, err := read(path)
	if err == nil {
		_, err = s.Apply(d)
	}
	if err != nil {
		log.Error("the new document is refused; the last good one goes on", "error", err)
	}
}
