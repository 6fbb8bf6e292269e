package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/dipcast/dipcast/hack/bench/process"
)

// operator is the real program in a process of its own.
type operator struct {
	*process.Process
	metrics string // URL
}

// startOperator runs the program as the chart does, with the flags of more. Its
// own limit of requests is out of the way: it would be all that is measured.
func startOperator(ctx context.Context, dir, bin, kubeconfig string, more []string) (*operator, error) {
	metrics, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return nil, err
	}
	args := append([]string{
		"KUBECONFIG=" + kubeconfig, bin,
		"--pbx-image=registry.example/pbx:bench", "--leader-elect", "--leader-election-namespace=default",
		"--metrics-bind-address=" + metrics, "--health-probe-bind-address=0",
		"--kube-api-qps=1000", "--kube-api-burst=2000",
	}, more...)
	p, err := process.Start(dir, "operator", nil, "env", args...)
	if err != nil {
		return nil, err
	}
	o := &operator{Process: p, metrics: "http://" + metrics + "/metrics"}
	if err := p.Until(ctx, func(ctx context.Context) bool { return process.Answers(ctx, o.metrics) }); err != nil {
		p.Stop()
		return nil, err
	}
	return o, nil
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// sample is what the operator has done and taken up to a moment.
type sample struct {
	at         time.Time
	cpu        time.Duration
	rss        float64            // bytes
	heap       float64            // bytes that are in use
	goroutines float64            //
	calls      map[string]float64 // to the API server, by method; without the lease's
	tenants    float64            // reconciles of tenants
	reconciles float64            // of all kinds
	failures   float64            // reconciles that ended in an error
}

// sample reads the process and its metrics.
func (o *operator) sample(ctx context.Context) (sample, error) {
	metrics, err := scrape(ctx, o.metrics)
	if err != nil {
		return sample{}, errors.Join(err, ctx.Err())
	}
	s := sample{at: time.Now(), cpu: o.CPU(), rss: o.Memory("VmRSS"), calls: map[string]float64{}}
	for _, m := range metrics {
		value := float64(m.Value)
		switch m.Metric[model.MetricNameLabel] {
		case "rest_client_requests_total":
			s.calls[string(m.Metric["method"])] += value
		case "controller_runtime_reconcile_total":
			s.reconciles += value
			if m.Metric["controller"] == "pbxtenant" {
				s.tenants += value
			}
			if m.Metric["result"] == "error" {
				s.failures += value
			}
		case "go_memstats_heap_inuse_bytes":
			s.heap = value
		case "go_goroutines":
			s.goroutines = value
		}
	}
	// Nothing but the lease is written by PUT.
	delete(s.calls, http.MethodPut)
	return s, nil
}

func scrape(ctx context.Context, url string) (model.Vector, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(res.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	var out model.Vector
	for _, family := range families {
		samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{Timestamp: model.Now()}, family)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", url, err)
		}
		out = append(out, samples...)
	}
	return out, nil
}

// writes are the calls that changed something.
func (s sample) writes() float64 {
	return s.calls[http.MethodPost] + s.calls[http.MethodPatch] + s.calls[http.MethodDelete]
}

func (s sample) all() float64 { return s.calls[http.MethodGet] + s.writes() }

// since is what happened between two samples; memory is that of the later one.
func (s sample) since(before sample) sample {
	d := s
	d.cpu -= before.cpu
	d.tenants -= before.tenants
	d.reconciles -= before.reconciles
	d.failures -= before.failures
	d.calls = maps.Clone(s.calls)
	for method, n := range before.calls {
		d.calls[method] -= n
	}
	return d
}

// byMethod writes the calls per unit, "2.00 (GET 0.50, PATCH 1.50)".
func (s sample) byMethod(per float64) string {
	var parts []string
	for _, method := range slices.Sorted(maps.Keys(s.calls)) {
		if n := s.calls[method] / per; n >= 0.005 {
			parts = append(parts, fmt.Sprintf("%s %.2f", method, n))
		}
	}
	return fmt.Sprintf("%.2f (%s)", s.all()/per, strings.Join(parts, ", "))
}

// quietFor is how long nothing is written before the operator counts as done.
const quietFor = 3 * time.Second

// settle waits until the operator has nothing to write any more.
func (o *operator) settle(ctx context.Context) (sample, error) {
	last, err := o.sample(ctx)
	since := time.Now()
	for err == nil && time.Since(since) < quietFor {
		if err = o.Wait(ctx, 250*time.Millisecond); err != nil {
			break
		}
		var now sample
		if now, err = o.sample(ctx); err == nil && now.writes() != last.writes() {
			since = time.Now()
		}
		last = now
	}
	return last, err
}
