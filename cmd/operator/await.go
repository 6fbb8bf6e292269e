package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

const (
	askAgain = time.Second     // how often an API server that is away is asked
	askFor   = 5 * time.Second // how long it may take to answer
)

// await returns once the API server answers. An operator that ended instead
// would be started again ever more seldom, and be late when it is back.
// Meanwhile the address of the health checks says that this process is well and
// not ready; an address of "" says nothing.
func await(ctx context.Context, config *rest.Config, health string, logger *slog.Logger) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("API server: %w", err)
	}
	err = away(ctx, client.RESTClient())
	if err == nil {
		return nil
	}
	logger.Warn("the API server does not answer: the operator waits for it", "error", err)
	stop, err := sayWell(ctx, health)
	if err != nil {
		return err
	}
	defer stop()
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("API server: %w", context.Cause(ctx))
		case <-again.C:
		}
		if away(ctx, client.RESTClient()) == nil {
			logger.Info("the API server answers")
			return nil
		}
	}
}

// away tells why the API server is; nil: it answers. What it answers is no
// matter here, unless it cannot work yet: at first it knows of nobody's rights.
func away(ctx context.Context, client rest.Interface) error {
	err := client.Get().AbsPath("/readyz").Timeout(askFor).Do(ctx).Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code < http.StatusInternalServerError {
		return nil
	}
	return err
}

// sayWell answers health checks until stop.
func sayWell(ctx context.Context, address string) (stop func(), err error) {
	if address == "" || address == "0" {
		return func() {}, nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the API server does not answer", http.StatusServiceUnavailable)
	})
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("health checks: %w", err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // ended by stop
	}()
	return func() {
		_ = server.Close()
		<-done
	}, nil
}
