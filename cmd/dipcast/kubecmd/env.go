package kubecmd

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
	"github.com/dipcast/dipcast/cmd/dipcast/doctor"
)

// probeWithin is the time of each question that doctor asks the network.
const probeWithin = 5 * time.Second

// Env is what the commands take from the outside.
type Env struct {
	Program        string // as the user calls it: "dipcast" or "kubectl dipcast"
	Version        string
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	// Width of the terminal that Stdout is; 0: it is none.
	Width   int
	Now     func() time.Time
	Zone    *time.Location // of shown times
	After   func(time.Duration) <-chan time.Time
	Connect func(cluster.Options) (*cluster.Cluster, error)
	Prober  *doctor.Prober
}

// NewEnv is the world outside.
func NewEnv(program, version string, stdout, stderr io.Writer) *Env {
	dialer := &net.Dialer{}
	return &Env{
		Program: program, Version: version, Stdout: stdout, Stderr: stderr,
		Getenv: os.Getenv, Width: terminalWidth(stdout), Now: time.Now, Zone: time.Local, After: time.After, Connect: cluster.Connect,
		Prober: &doctor.Prober{
			Resolver: net.DefaultResolver, Dial: dialer.DialContext, Now: time.Now, Token: rand.Text, Timeout: probeWithin,
		},
	}
}

// A command is one verb. It returns errWrong if it was called wrongly.
type command func(ctx context.Context, env *Env, args []string) error

var (
	// errWrong: the usage was shown.
	errWrong = errors.New("wrong usage")
	// errShown: the output tells what failed.
	errShown = errors.New("failed")
)

// Status shows the tenants of a cluster. Like all commands it takes the
// arguments after its name and returns the exit code: 0, 1 after a failure, 2
// if it was called wrongly.
func Status(ctx context.Context, env *Env, args []string) int { return env.run(ctx, status, args) }

// Calls shows the calls of a tenant; see Status.
func Calls(ctx context.Context, env *Env, args []string) int { return env.run(ctx, calls, args) }

// Drain makes PBXs take no new calls; see Status.
func Drain(ctx context.Context, env *Env, args []string) int { return env.run(ctx, drain, args) }

// Doctor says what is wrong and the cure; see Status.
func Doctor(ctx context.Context, env *Env, args []string) int { return env.run(ctx, examine, args) }

// Logs shows the log of a tenant's PBX; see Status.
func Logs(ctx context.Context, env *Env, args []string) int { return env.run(ctx, logs, args) }

func (e *Env) run(ctx context.Context, c command, args []string) int {
	err := c(ctx, e, args)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errWrong):
		return 2
	case errors.Is(err, errShown):
		return 1
	case ctx.Err() != nil:
		return 130 // as a shell tells of an interrupted program
	}
	fmt.Fprintf(e.Stderr, "error: %v\n", err)
	return 1
}

// columns is how wide text for people may be.
func (e *Env) columns() int {
	if e.Width > 0 {
		return e.Width
	}
	return 80
}
