package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// An operator that starts before the API server waits for it, well and not
// ready, and goes on when it is there; an answer that refuses is an answer.
func TestTheOperatorWaitsForTheAPIServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	codes := make(chan int, 3)
	for _, code := range []int{http.StatusServiceUnavailable, http.StatusInternalServerError, http.StatusForbidden} {
		codes <- code
	}
	health := freeAddress(t)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// The operator's own answers, while it waits for this one.
		if len(codes) < 3 {
			for path, want := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
				if got := status(ctx, t, "http://"+health+path); got != want {
					t.Errorf("%s while it waits: %d, want %d", path, got, want)
				}
			}
		}
		http.Error(w, "{}", <-codes)
	}))
	defer api.Close()
	if err := await(ctx, &rest.Config{Host: api.URL}, health, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if len(codes) != 0 {
		t.Errorf("it went on after an API server that cannot work yet; %d answers are left", len(codes))
	}
	if l, err := net.Listen("tcp", health); err != nil {
		t.Errorf("the address of the health checks is not free for the manager: %v", err)
	} else {
		_ = l.Close()
	}
}

// Nobody waits for ever: the end of the process is heard.
func TestTheWaitEndsWithTheProcess(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := await(ctx, &rest.Config{Host: "http://" + freeAddress(t)}, "0", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("it says that the API server is there")
	}
}

func status(ctx context.Context, t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// freeAddress is one on loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
