// Command pbx runs one tenant's PBX from a conf.Document in a file, which it
// watches: the pod's program. A document that is wrong changes nothing. As
// `pbx node-guard` it is the helper of a node instead (package nodeguard).
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"time"
	_ "time/tzdata" // containers have no time zones

	"golang.org/x/sync/errgroup"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/filewatch"
	"github.com/dipcast/dipcast/pbx/keeper"
	"github.com/dipcast/dipcast/pbx/load"
	"github.com/dipcast/dipcast/pbx/nodeguard/kernel"
	"github.com/dipcast/dipcast/pbx/server"
)

// version is set by the linker.
var version = "unknown"

func main() {
	if len(os.Args) > 1 && os.Args[1] == nodeGuard {
		os.Exit(child(keeper.Alone()))
	}
	os.Exit(keeper.Main(os.Stderr, child))
}

// nodeGuard is the command that is no PBX and has no sockets to hold.
const nodeGuard = "node-guard"

// child is the program itself; its parent only holds its sockets.
func child(k *keeper.Child) int {
	ctx, stop := keeper.Context(context.Background(), server.ErrHandOver, server.ErrRestart)
	defer stop()
	if err := run(ctx, k, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "pbx:", err)
		return 1
	}
	return 0
}

func run(ctx context.Context, k *keeper.Child, args []string, stderr io.Writer) error {
	if len(args) > 0 && args[0] == nodeGuard {
		return kernel.Run(ctx, args[1:], stderr)
	}
	flags := flag.NewFlagSet("pbx", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("document", "/etc/dipcast/document.json", "file with the tenant's document")
	data := flags.String("data", "/var/lib/dipcast", "folder for the database and generated keys")
	node := flags.String("node", os.Getenv("NODE_NAME"), "name of the node whose address is advertised")
	internal := flags.String("internal-address", os.Getenv("NODE_IP"), "node's own `address` that HTTP and the admin listener bind to, never all of them; empty: as the document says")
	check := flags.Bool("check", false, "read the document, print this program's version, and end")
	drain := flags.Duration("drain", 2*time.Hour, "how long calls may go on after SIGINT, and after SIGTERM if no process takes this one's place")
	linger := flags.Duration("linger", lingerOn(os.Getenv("NODE_NAME")), "how long after SIGTERM calls go on until another process takes over; 0: not at all. Ten seconds in a pod")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *check {
		return try(*path, stderr)
	}
	load.LimitMemory(os.DirFS("/"))
	o := server.Options{DataDir: *data, Node: *node, Program: version, DrainFor: *drain, Linger: *linger, Keeper: k, Restarts: k.Restarts()}
	o.Serving = func() { k.Ready(); giveBack() }
	if *internal != "" {
		var err error
		if o.Internal, err = netip.ParseAddr(*internal); err != nil || o.Internal.IsUnspecified() {
			return fmt.Errorf("--internal-address %q: must be an IP address of this node, such as its InternalIP", *internal)
		}
	}
	return serve(ctx, *path, o, slog.New(slog.NewTextHandler(stderr, nil)))
}

// lingerOn is how long a pod's process waits for its successor, which the kubelet
// of the node may start before it ends. Without a node nobody does.
func lingerOn(node string) time.Duration {
	if node == "" {
		return 0
	}
	return 10 * time.Second
}

// giveBack returns what the start has used and an idle PBX does not: most of the
// heap, on a machine that hundreds of them share.
func giveBack() {
	runtime.GC() // pools keep their buffers over one collection
	debug.FreeOSMemory()
}

// try reads the document as a start would, and touches nothing.
func try(path string, out io.Writer) error {
	if _, _, err := read(path); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, version); err != nil {
		return err
	}
	return leaveWord(lastWords, conf.Check{Program: version, Journal: conf.JournalVersion})
}

// lastWords is the file that Kubernetes puts into a container for what it has to
// say at its end.
const lastWords = "/dev/termination-log"

// leaveWord writes what the program is into a file that is there; elsewhere than
// in a container nobody has made one.
func leaveWord(path string, c conf.Check) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// serve runs the PBX of the document in the file until ctx ends.
func serve(ctx context.Context, path string, o server.Options, log *slog.Logger) error {
	seen := filewatch.Look([]string{path})
	d, _, err := read(path)
	if err != nil {
		return err
	}
	o.Document, o.Log = d, log
	s, err := server.New(ctx, o)
	if err != nil {
		return err
	}
	// The watch ends with the signal, the server when it has drained.
	g, watch := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Run(ctx) })
	g.Go(func() error { load.TendGarbage(watch); return nil })
	g.Go(func() error {
		return filewatch.Since(watch, seen, []string{path}, func() { apply(s, path, log) })
	})
	return g.Wait()
}
