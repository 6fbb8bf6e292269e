package kubecmd

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
)

// The forms of output.
const (
	formatText = ""
	formatWide = "wide"
	formatJSON = "json"
	formatYAML = "yaml"
)

// flags are those of one command, with the ones that all commands share.
type flags struct {
	set     *flag.FlagSet
	env     *Env
	name    string
	usage   string
	lines   []string // of the help
	options cluster.Options
	all     bool
	output  string
	formats []string
}

// newFlags begins the flags of a command. formats are those of -o, if any;
// everywhere adds -A.
func newFlags(env *Env, name, usage string, everywhere bool, formats ...string) *flags {
	f := &flags{set: flag.NewFlagSet(name, flag.ContinueOnError), env: env, name: name, usage: usage, formats: formats}
	f.set.SetOutput(io.Discard) // parse tells what is wrong
	f.set.Usage = func() {}     // it would be shown after each mistake, too
	f.text(&f.options.Namespace, "n", "namespace", "NAME", "namespace; default: the context's")
	if everywhere {
		f.flag(&f.all, "A", "all-namespaces", "tenants of all namespaces")
	}
	if len(formats) > 0 {
		f.text(&f.output, "o", "output", "FORMAT", "output: "+strings.Join(formats, ", "))
	}
	f.text(&f.options.Context, "", "context", "NAME", "context of the kubeconfig; default: the current one")
	f.text(&f.options.Kubeconfig, "", "kubeconfig", "FILE", "kubeconfig; default: KUBECONFIG, else ~/.kube/config")
	return f
}

func (f *flags) text(v *string, short, long, what, help string) {
	f.define(short, long, what, help, func(name string) { f.set.StringVar(v, name, *v, help) })
}

func (f *flags) flag(v *bool, short, long, help string) {
	f.define(short, long, "", help, func(name string) { f.set.BoolVar(v, name, *v, help) })
}

func (f *flags) number(v *int, long, help string) {
	f.define("", long, "N", help, func(name string) { f.set.IntVar(v, name, *v, help) })
}

func (f *flags) duration(v *time.Duration, long, help string) {
	f.define("", long, "D", help, func(name string) { f.set.DurationVar(v, name, *v, help) })
}

func (f *flags) define(short, long, what, help string, add func(name string)) {
	add(long)
	left := "    "
	if short != "" {
		add(short)
		left = "-" + short + ", "
	}
	f.lines = append(f.lines, fmt.Sprintf("  %-32s %s", left+"--"+strings.TrimSpace(long+" "+what), help))
}

// reGlued are kubectl's short flags with their value in one word: -nacme.
var reGlued = regexp.MustCompile(`^-([no])([^-=].*)$`)

// reLong is a long flag as package flag writes it.
var reLong = regexp.MustCompile(` -([a-z-]{2,})`)

// parse accepts flags before and after the one argument, as kubectl does.
func (f *flags) parse(args []string, least int) ([]string, error) {
	args = f.unglue(args)
	var rest []string
	for len(args) > 0 {
		if !strings.HasPrefix(args[0], "-") {
			rest, args = append(rest, args[0]), args[1:]
			continue
		}
		if err := f.set.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				f.help()
				return nil, err
			}
			return nil, f.wrong("%s", reLong.ReplaceAllString(err.Error(), " --$1"))
		}
		args = f.set.Args()
	}
	switch {
	case len(rest) < least:
		return nil, f.wrong("TENANT is missing")
	case len(rest) > 1:
		return nil, f.wrong("%q is one argument too many", rest[1])
	case f.output != "" && !slices.Contains(f.formats, f.output):
		return nil, f.wrong("-o %s: must be one of %s", f.output, strings.Join(f.formats, ", "))
	}
	return rest, nil
}

func (f *flags) help() {
	usage := strings.ReplaceAll(strings.TrimSpace(f.usage), "PROGRAM", f.env.Program)
	fmt.Fprintf(f.env.Stdout, "Usage: %s\n\nFlags:\n%s\n", usage, strings.Join(f.lines, "\n"))
}

// unglue parts kubectl's short flags from values in the same word.
func (f *flags) unglue(args []string) []string {
	var out []string
	for _, a := range args {
		if m := reGlued.FindStringSubmatch(a); m != nil && f.set.Lookup(strings.TrimPrefix(a, "-")) == nil {
			out = append(out, "-"+m[1], m[2])
		} else {
			out = append(out, a)
		}
	}
	return out
}

func (f *flags) wrong(format string, args ...any) error {
	fmt.Fprintf(f.env.Stderr, "error: %s\nSee %s %s -h.\n", fmt.Sprintf(format, args...), f.env.Program, f.name)
	return errWrong
}

// connect finds the cluster and the namespace; empty with -A.
func (f *flags) connect() (c *cluster.Cluster, namespace string, err error) {
	c, err = f.env.Connect(f.options)
	if err != nil {
		return nil, "", err
	}
	if f.all {
		return c, "", nil
	}
	return c, c.Namespace, nil
}

// tenantName is what TENANT names: NAME or NAMESPACE/NAME.
func tenantName(arg, namespace string) types.NamespacedName {
	if ns, name, ok := strings.Cut(arg, "/"); ok {
		return types.NamespacedName{Namespace: ns, Name: name}
	}
	return types.NamespacedName{Namespace: namespace, Name: arg}
}

// print writes v as JSON or YAML.
func (f *flags) print(v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if f.output == formatYAML {
		if raw, err = yaml.JSONToYAML(raw); err != nil {
			return err
		}
		_, err = f.env.Stdout.Write(raw)
		return err
	}
	_, err = f.env.Stdout.Write(append(raw, '\n'))
	return err
}
