package up

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/dipcast/dipcast/controllers/manifest"
	"github.com/dipcast/dipcast/pbx/call"
	"github.com/dipcast/dipcast/pbx/filewatch"
	"github.com/dipcast/dipcast/pbx/keeper"
	"github.com/dipcast/dipcast/pbx/load"
)

const usage = `Usage: dipcast up -f PATH... [flags]

Runs every tenant of the manifests in this process, without a cluster. A
manifest that changes is applied while calls go on; a broken one is told and
the last good state goes on. Ctrl-C (SIGINT) refuses new calls, waits for those
that are up, and ends. SIGTERM ends at once, and the next start goes on with the
calls. SIGUSR2 starts the program anew, of another version perhaps, while its
sockets stay open.

`

// options is what the flags say.
type options struct {
	paths     []string
	data      string
	advertise string
	sipPort   int
	httpPort  int
	drain     time.Duration
	confirm   time.Duration
	verbose   bool
}

// Run executes the command with the arguments after its name and returns the
// exit code: 0 after an orderly end, 1 when nothing could be started, 2 if it
// was called wrongly.
func Run(ctx context.Context, k *keeper.Child, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	if err := run(ctx, k, o, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "dipcast up:", err)
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("dipcast up", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Func("f", "manifests: `PATH` of a file or folder; may be repeated", func(v string) error {
		o.paths = append(o.paths, v)
		return nil
	})
	flags.StringVar(&o.data, "data", "dipcast-data", "`FOLDER` for databases, generated passwords and keys")
	flags.StringVar(&o.advertise, "advertise", "", "IP `ADDRESS` that phones and trunks reach this machine at (default: the class's static address, else the machine's own)")
	flags.IntVar(&o.sipPort, "sip-port", 5060, "SIP port of the first tenant, UDP and TCP; further tenants get slots of their class's pool")
	flags.IntVar(&o.httpPort, "http-port", 8080, "HTTP port of the first tenant: console, REST and bot callbacks")
	flags.DurationVar(&o.drain, "drain", time.Minute, "how long calls may go on after Ctrl-C")
	flags.DurationVar(&o.confirm, "confirm", 0, "how long a mobile has to press 1 (default 10s)")
	flags.BoolVar(&o.verbose, "v", false, "log more")
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.paths = append(o.paths, flags.Args()...)
	if len(o.paths) == 0 {
		fmt.Fprintln(stderr, "dipcast up: no manifests: name files or folders with -f PATH")
		return o, errors.New("no manifests")
	}
	if err := o.check(); err != nil {
		fmt.Fprintln(stderr, "dipcast up:", err)
		return o, err
	}
	return o, nil
}

func (o *options) check() error {
	if _, err := netip.ParseAddr(o.advertise); err != nil && o.advertise != "" {
		return fmt.Errorf("--advertise %q: must be an IP address", o.advertise)
	}
	for _, p := range []struct {
		flag string
		port int
	}{{"--sip-port", o.sipPort}, {"--http-port", o.httpPort}} {
		if p.port < 1 || p.port > 65535 {
			return fmt.Errorf("%s %d: must be 1 to 65535", p.flag, p.port)
		}
	}
	if o.httpPort == o.sipPort {
		return fmt.Errorf("--http-port %d: must differ from --sip-port: both listen on TCP", o.httpPort)
	}
	return nil
}

func run(ctx context.Context, k *keeper.Child, o options, stdout, stderr io.Writer) error {
	level := slog.LevelInfo
	if o.verbose {
		level = slog.LevelDebug
	}
	stdout = &lockedWriter{w: stdout}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	loader, err := manifest.NewLoader()
	if err != nil {
		return err
	}
	src := &source{loader: loader, opts: o, own: ownAddress(ctx)}
	fleet := newFleet(fleetConfig{
		data: o.data, drain: o.drain, timing: call.Timing{Confirm: o.confirm}, child: k, out: stdout, log: log,
	})
	seen := filewatch.Look(o.paths)
	wanted, problems := src.read(fleet.ports())
	switch {
	case tell(stdout, problems) > 0:
		return errors.New("nothing is started: correct the errors that are told")
	case len(wanted) == 0:
		return fmt.Errorf("nothing is started: no PBXTenant in %s: write one", strings.Join(o.paths, ", "))
	}
	if err := fleet.converge(ctx, wanted); err != nil {
		fleet.stop(nil)
		return err
	}
	fleet.ready()
	giveBack()
	var tended sync.WaitGroup
	defer tended.Wait()
	tending, stop := context.WithCancel(ctx)
	defer stop()
	tended.Go(func() { load.TendGarbage(tending) })
	err = filewatch.Since(ctx, seen, o.paths, func() {
		wanted, problems := src.read(fleet.ports())
		bad := tell(stdout, problems)
		if bad == 0 && len(wanted) == 0 {
			fmt.Fprintln(stdout, "error: the manifests hold no PBXTenant any more; Ctrl-C ends the last one")
			bad++
		}
		if bad > 0 {
			fmt.Fprintln(stdout, "the last good state goes on")
			return
		}
		if err := fleet.converge(ctx, wanted); err != nil {
			fmt.Fprintln(stdout, "not applied:", err)
		}
		giveBack()
	})
	fleet.stop(context.Cause(ctx))
	return err
}

// giveBack returns memory to the machine: what manifests and migrations leave
// behind is more than a tenant holds, and an idle process collects it late.
func giveBack() {
	runtime.GC() // pools keep their buffers over one collection
	debug.FreeOSMemory()
}

// ownAddress is the address of the machine's default route, loopback if it
// has none. Nothing is sent.
func ownAddress(ctx context.Context) string {
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", "192.0.2.1:9")
	if err != nil {
		return "127.0.0.1"
	}
	defer func() { _ = c.Close() }()
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return a.IP.String()
	}
	return "127.0.0.1"
}

// lockedWriter lets several goroutines write whole lines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
