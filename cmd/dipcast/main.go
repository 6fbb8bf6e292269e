// Command dipcast runs a PBX from manifests without a cluster, checks
// manifests, and carries the tools to develop and test against it.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // containers have no time zones

	"github.com/dipcast/dipcast/cmd/dipcast/check"
	"github.com/dipcast/dipcast/cmd/dipcast/phonecmd"
	"github.com/dipcast/dipcast/cmd/dipcast/up"
	"github.com/dipcast/dipcast/cmd/dipcast/workssim"
)

// version is set by the linker.
var version = "unknown"

// command is one verb of the command line; run returns the exit code.
type command struct {
	name, help string
	run        func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int
}

func commands() []command {
	return []command{
		{"up", "run every tenant of the manifests in this process", noInput(up.Run)},
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

func main() {
	// Our own packages log to the logger that they were handed; what a library
	// tells the default one would stand between a command's lines.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		usage(stderr)
		return 2
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], stdin, stdout, stderr)
		}
	}
	switch args[0] {
	case "help", "-h", "--help":
		usage(stdout)
		return 0
	}
	fmt.Fprintf(stderr, "dipcast %s: no such command\n", args[0])
	usage(stderr)
	return 2
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: dipcast COMMAND [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.help)
	}
	fmt.Fprint(w, "\ndipcast COMMAND -h tells the flags of a command.\n")
}
