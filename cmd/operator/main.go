// Command operator runs tenants' PBXs on Kubernetes: it turns PBXTenants and
// what belongs to them into pods, and reports back what they do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/receiver"
)

// version is set when the program is built.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1)
	}
}

// run ends with the context, when everything that was begun has ended.
func run(ctx context.Context, args []string) error {
	f, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: f.level}))
	log.SetLogger(logr.FromSlogHandler(logger.Handler()))
	klog.SetSlogLogger(logger)
	config, err := f.rest()
	if err != nil {
		return err
	}
	if err := await(ctx, config, f.health, logger); err != nil {
		return err
	}
	mgr, err := newManager(config, f)
	if err != nil {
		return err
	}
	f.operator.Log = logger
	if err := controllers.Setup(mgr, f.operator); err != nil {
		return err
	}
	wait, err := receive(mgr, f)
	if err != nil {
		return err
	}
	logger.Info("the operator starts", "version", version, "image", f.operator.PBXImage, "namespaces", f.operator.Namespaces)
	err = mgr.Start(ctx)
	wait() // who loses the lead ends at once, but not what is held
	return err
}

// receive has the process take callbacks; wait returns when none is held any
// longer, after the manager's end.
func receive(mgr manager.Manager, f flags) (wait func(), err error) {
	if f.callbacks == "" || f.callbacks == "0" {
		return func() {}, nil
	}
	r, err := receiver.Setup(mgr, receiver.Config{
		Address: f.callbacks, TrustedCAsFile: f.operator.TrustedCAsFile, Registry: metrics.Registry, Log: f.operator.Log,
	})
	if err != nil {
		return nil, err
	}
	return r.Wait, nil
}

func newManager(config *rest.Config, f flags) (manager.Manager, error) {
	options, err := f.manager()
	if err != nil {
		return nil, err
	}
	mgr, err := manager.New(config, options)
	if err != nil {
		return nil, fmt.Errorf("%w: are the CustomResourceDefinitions of pbx.dipcast.io installed?", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, err
	}
	return mgr, mgr.AddReadyzCheck("ping", healthz.Ping)
}
