// Command demo-cluster shows the product's main job on a real Kubernetes: it
// brings up the local cluster, loads the images, installs the chart, applies
// the sample company, and lets the demo's story play on the pod that the
// operator made: phones register, an outside caller rings, a card appears in
// the simulated NAVER WORKS, a press moves the call, tones prove who talks.
//
// It runs in two parts. The first builds and loads, which needs the internet.
// Then it starts itself again where the cluster's outside world is, in the
// fabric's network namespace (hack/cluster/in.sh): phones, carrier and NAVER
// WORKS stand there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/dipcast/dipcast/hack/demo/stage"
)

type options struct {
	bin, helm, version string
	once, play         bool
	began              time.Time
}

func main() {
	o := options{began: time.Now()}
	flag.StringVar(&o.bin, "bin", "bin/dipcast", "the program that plays NAVER WORKS")
	flag.StringVar(&o.helm, "helm", "helm", "helm")
	flag.StringVar(&o.version, "version", "", "tag of the images")
	flag.BoolVar(&o.once, "once", false, "end after the call instead of staying up")
	flag.BoolVar(&o.play, "play", false, "only the second part, inside the fabric")
	flag.Func("began", "Unix time in milliseconds at which the first part began", func(v string) error {
		ms, err := strconv.ParseInt(v, 10, 64)
		o.began = time.UnixMilli(ms)
		return err
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	tell := stage.Teller{Out: os.Stdout, Began: o.began}
	var err error
	if o.play {
		err = play(ctx, o, tell)
	} else {
		err = prepare(ctx, o, tell)
	}
	stop()
	if err == nil && !o.play {
		err = enter(o)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "demo-cluster:", err)
		os.Exit(1)
	}
}

// prepare brings up the cluster with the images on its nodes.
func prepare(ctx context.Context, o options, tell stage.Teller) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	if own := os.Getenv("KUBECONFIG"); own != "" && own != filepath.Join(cache, "dipcast", "cluster", "kubeconfig") {
		return fmt.Errorf("KUBECONFIG=%s is a cluster of yours, and this demo plays on the local one: unset KUBECONFIG; docs/install.md tells how to install on yours", own)
	}
	tell.Step("Starting Kubernetes: control plane and two nodes")
	if err := run(ctx, "hack/cluster/up.sh"); err != nil {
		return err
	}
	tell.Step("Building the images %s", o.version)
	if err := run(ctx, "make", "--no-print-directory", "-s", "images", "VERSION="+o.version, "ARCHITECTURES="+runtime.GOARCH); err != nil {
		return err
	}
	images, err := filepath.Glob("dist/images/*-" + o.version + "-" + runtime.GOARCH + ".tar")
	if err != nil {
		return err
	}
	tell.Step("Loading them into the nodes")
	return run(ctx, "hack/cluster/load.sh", images...)
}

// enter starts the second part in place of this process.
func enter(o options) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{
		"in.sh", self, "-play", "-bin", o.bin, "-helm", o.helm, "-version", o.version,
		"-began", strconv.FormatInt(o.began.UnixMilli(), 10), fmt.Sprintf("-once=%t", o.once),
	}
	return syscall.Exec("hack/cluster/in.sh", args, os.Environ())
}

// run runs a program of the first part; what it says matters only when it
// fails.
func run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}
