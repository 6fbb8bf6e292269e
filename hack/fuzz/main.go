// Command fuzz finds every fuzz target below a folder by itself and runs each
// for a time, some of them side by side. It fails if one finds something, and
// says where go test left the input.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

type options struct {
	root, only, except, corpus string
	each                       time.Duration
	jobs                       int
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	flags.StringVar(&o.root, "root", "pbx", "`folder` below which all targets are run")
	flags.StringVar(&o.only, "only", "", "run the targets alone whose `FOLDER.Name` contains this")
	flags.StringVar(&o.except, "except", "", "`folders` to leave out, by comma")
	flags.StringVar(&o.corpus, "corpus", "", "`folder` that keeps the inputs which reached something new; default: one for this run")
	flags.DurationVar(&o.each, "time", time.Minute, "how long each runs")
	flags.IntVar(&o.jobs, "jobs", 2, "how many run at a time, each on one processor")
	if err := flags.Parse(args); err != nil {
		return err
	}
	all, err := find(o.root, strings.Split(o.except, ","))
	if err != nil {
		return err
	}
	all = chosen(all, o.only)
	if len(all) == 0 {
		return fmt.Errorf("no fuzz target below %s has %q in its name", o.root, o.only)
	}
	dir, err := os.MkdirTemp("", "dipcast-fuzz-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder of its own: what is left is the system's to clean
	if o.corpus == "" {
		o.corpus = filepath.Join(dir, "corpus")
	}
	if o.corpus, err = filepath.Abs(o.corpus); err != nil {
		return err
	}
	binaries, err := build(ctx, all, dir)
	if err != nil {
		return err
	}
	return o.runAll(ctx, all, binaries, out)
}

func chosen(all []target, only string) (list []target) {
	for _, t := range all {
		if strings.Contains(t.String(), only) {
			list = append(list, t)
		}
	}
	return list
}

// build makes one test program for each folder, with the coverage that
// fuzzing goes by.
func build(ctx context.Context, all []target, dir string) (map[string]string, error) {
	binaries := make(map[string]string)
	for _, t := range all {
		if binaries[t.dir] != "" {
			continue
		}
		path := filepath.Join(dir, strings.ReplaceAll(t.dir, "/", "-")+".test")
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-fuzz=.", "-o", path, "./"+t.dir)
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the tests of %s: %w\n%s", t.dir, err, text)
		}
		binaries[t.dir] = path
	}
	return binaries, nil
}

// runAll runs the targets, jobs at a time, and returns what they found.
func (o *options) runAll(ctx context.Context, all []target, binaries map[string]string, out io.Writer) error {
	var mu sync.Mutex
	var found []error
	next := make(chan target)
	var wg sync.WaitGroup
	for range max(1, o.jobs) {
		wg.Go(func() {
			for t := range next {
				line, err := o.runOne(ctx, t, binaries[t.dir])
				mu.Lock()
				fmt.Fprintf(out, "%-44s %s\n", t, line)
				if err != nil {
					found = append(found, err)
				}
				mu.Unlock()
			}
		})
	}
	for _, t := range all {
		next <- t
	}
	close(next)
	wg.Wait()
	return errors.Join(found...)
}

// runOne fuzzes one target in the folder of its package, where a finding is
// written to testdata/fuzz.
func (o *options) runOne(ctx context.Context, t target, binary string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, o.each+5*time.Minute) // it ends by itself unless it hangs
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.fuzz=^"+t.name+"$", "-test.fuzztime="+o.each.String(),
		"-test.fuzzminimizetime=200x", "-test.parallel=1", "-test.fuzzcachedir="+filepath.Join(o.corpus, t.dir))
	cmd.Dir = t.dir
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Run(); err != nil && !outOfTime(text.String()) {
		return "FAILED", fmt.Errorf("%s: %w\n%s", t, err, text.Bytes())
	}
	return last(text.String()), nil
}

// outOfTime reports whether a target failed since its time was over while an
// input was tried. That is the fuzzing engine's own affair: a finding says where
// its input was written, a crash or an input that hangs says what it is.
func outOfTime(text string) bool {
	_, after, ok := strings.Cut(text, "--- FAIL: ")
	_, says, _ := strings.Cut(after, "\n")
	return ok && strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(says), "FAIL")) == "context deadline exceeded"
}

// last returns the last line with which the target tells how far it came.
func last(text string) string {
	line := ""
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "fuzz: elapsed") && strings.Contains(l, "execs") {
			_, line, _ = strings.Cut(strings.TrimSpace(l), "fuzz: ")
		}
	}
	return line
}
