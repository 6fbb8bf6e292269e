// Command dipcast runs a PBX from manifests without a cluster, checks
// manifests, looks after the tenants in a cluster, and carries the tools to
// develop and test against it. Installed as kubectl-dipcast it is `kubectl
// dipcast`.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	_ "time/tzdata" // containers have no time zones

	"github.com/dipcast/dipcast/cmd/dipcast/check"
	"github.com/dipcast/dipcast/cmd/dipcast/kubecmd"
	"github.com/dipcast/dipcast/cmd/dipcast/phonecmd"
	"github.com/dipcast/dipcast/cmd/dipcast/up"
	"github.com/dipcast/dipcast/cmd/dipcast/workssim"
	"github.com/dipcast/dipcast/pbx/keeper"
	"github.com/dipcast/dipcast/pbx/server"
)

// version is set by the linker.
var version = "unknown"

// command is one verb of the command line; run returns the exit code.
type command struct {
	name, help string
	run        func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int
}

func commands(program string, k *keeper.Child) []command {
	return []command{
		{"status", "the tenants of a cluster, or one with all conditions and the next thing to do", inCluster(program, kubecmd.Status)},
		{"calls", "the calls of a tenant that are up, or its call records", inCluster(program, kubecmd.Calls)},
		{"drain", "let a tenant, or all of a node, take no new calls", inCluster(program, kubecmd.Drain)},
		{"doctor", "what is wrong in the cluster and with a tenant, and the cure", inCluster(program, kubecmd.Doctor)},
		{"logs", "the log of a tenant's PBX", inCluster(program, kubecmd.Logs)},
		{"up", "run every tenant of the manifests in this process", func(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
			return up.Run(ctx, k, args, stdout, stderr)
		}},
		{"check", "validate manifests as an API server and the compiler do", noInput(check.Run)},
		{"works-sim", "a NAVER WORKS to develop and test against, with a chat page", noInput(workssim.Run)},
		{"phone", "a SIP phone for the terminal and for scripts", phonecmd.Run},
		{"version", "print the version", func(_ context.Context, _ []string, _ io.Reader, stdout, _ io.Writer) int {
			fmt.Fprintln(stdout, version)
			return 0
		}},
	}
}

func noInput(f func(context.Context, []string, io.Writer, io.Writer) int) func(context.Context, []string, io.Reader, io.Writer, io.Writer) int {
	return func(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
		return f(ctx, args, stdout, stderr)
	}
}

func inCluster(program string, f func(context.Context, *kubecmd.Env, []string) int) func(context.Context, []string, io.Reader, io.Writer, io.Writer) int {
	return func(ctx context.Context, args []string, _ io.Reader, stdout, stderr io.Writer) int {
		return f(ctx, kubecmd.NewEnv(program, version, stdout, stderr), args)
	}
}

// programName is how the user calls this program: kubectl runs its plugins
// under the name kubectl-dipcast.
func programName(argv0 string) string {
	if strings.TrimSuffix(filepath.Base(argv0), ".exe") == "kubectl-dipcast" {
		return "kubectl dipcast"
	}
	return "dipcast"
}

func main() {
	// Our own packages log to the logger that they were handed; what a library
	// tells the default one would stand between a command's lines.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	if len(os.Args) > 1 && os.Args[1] == "up" {
		os.Exit(keeper.Main(os.Stderr, process))
	}
	os.Exit(process(keeper.Alone()))
}

// process is the program itself; one that serves has a parent that holds its
// sockets.
func process(k *keeper.Child) int {
	ctx, stop := keeper.Context(context.Background(), server.ErrHandOver, server.ErrRestart)
	defer stop()
	return run(ctx, k, programName(os.Args[0]), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

func run(ctx context.Context, k *keeper.Child, program string, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	list := commands(program, k)
	if len(args) == 0 {
		usage(stderr, program, list)
		return 2
	}
	for _, c := range list {
		if c.name == args[0] {
			return c.run(ctx, args[1:], stdin, stdout, stderr)
		}
	}
	switch args[0] {
	case "help", "-h", "--help":
		usage(stdout, program, list)
		return 0
	}
	fmt.Fprintf(stderr, "%s %s: no such command\n", program, args[0])
	usage(stderr, program, list)
	return 2
}

func usage(w io.Writer, program string, list []command) {
	fmt.Fprintf(w, "usage: %s COMMAND [flags]\n\n", program)
	for _, c := range list {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.help)
	}
	fmt.Fprintf(w, "\n%s COMMAND -h tells the flags of a command.\n", program)
}
