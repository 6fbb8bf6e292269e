// Package check is the command `dipcast check`: it judges manifests as an API
// server and the compiler would, and prints one line per problem.
//
// It reads files, writes to the writers it was given and starts nothing.
package check

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/manifest"
)

const usage = `Usage: dipcast check -f PATH... [--strict]

Judges manifests without a cluster and without starting anything: the schema
and rules of the API server, then everything that needs several objects.
Prints one line per problem. Exit code 1 with an error, 0 otherwise.

`

// paths is a flag that may be given several times.
type paths []string

func (p *paths) String() string { return strings.Join(*p, ", ") }

func (p *paths) Set(v string) error {
	*p = append(*p, v)
	return nil
}

// Run executes the command with the arguments after its name and returns the
// exit code: 0 without an error, 1 with one, 2 if it was called wrongly.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var files paths
	flags := flag.NewFlagSet("dipcast check", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Var(&files, "f", "file or folder with manifests; may be repeated, and more `paths` may follow")
	strict := flags.Bool("strict", false, "let warnings fail, too")
	flags.Usage = func() {
		say(stderr, usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	files = append(files, flags.Args()...)
	if len(files) == 0 {
		say(stderr, "dipcast check: no path: name files or folders with -f PATH\n")
		return 2
	}
	set, problems := manifest.Check(files)
	if ctx.Err() != nil {
		return 1
	}
	return report(stdout, set, problems, *strict)
}

func report(w io.Writer, set *manifest.Set, problems []compile.Problem, strict bool) int {
	var out strings.Builder
	count := map[compile.Severity]int{}
	for _, p := range problems {
		count[p.Severity]++
		mark := ""
		if p.Severity == compile.Warning {
			mark = "warning: "
		}
		out.WriteString(mark + p.String() + "\n")
	}
	fmt.Fprintf(&out, "%s, %s, %s\n", many(len(set.Fleet.Tenants), "tenant"),
		many(count[compile.Error], "error"), many(count[compile.Warning], "warning"))
	if !say(w, out.String()) || count[compile.Error] > 0 || (strict && count[compile.Warning] > 0) {
		return 1
	}
	return 0
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// say writes text and reports whether anybody could read it.
func say(w io.Writer, text string) bool {
	_, err := io.WriteString(w, text)
	return err == nil
}
