package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/dipcast/dipcast/controllers/desired"
)

func podOn(port int32) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Ports: []corev1.ContainerPort{{Name: desired.PortSIPUDP, ContainerPort: port}},
	}}}}
}

func TestPlaceKeepsEqualPortsApart(t *testing.T) {
	f := fleet{placed: []map[int32]bool{{}, {}}}
	var got []int
	for _, port := range []int32{5060, 5062, 5060, 5062} {
		n, err := f.place(podOn(port))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	if want := []int{0, 1, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("nodes %v, want %v", got, want)
	}
	if _, err := f.place(podOn(5060)); err == nil {
		t.Error("a third pod with one port found a place on two nodes")
	}
}

func TestSampleSince(t *testing.T) {
	before := sample{cpu: time.Second, tenants: 10, calls: map[string]float64{"GET": 5, "PATCH": 2}}
	after := sample{cpu: 3 * time.Second, tenants: 14, rss: 7, calls: map[string]float64{"GET": 9, "PATCH": 2, "POST": 1}}
	d := after.since(before)
	if d.cpu != 2*time.Second || d.tenants != 4 || d.rss != 7 || d.all() != 5 || d.writes() != 1 {
		t.Errorf("%+v", d)
	}
	if got, want := d.byMethod(2), "2.50 (GET 2.00, POST 0.50)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if after.calls["GET"] != 9 {
		t.Error("the sample itself was changed")
	}
}

func TestGrowth(t *testing.T) {
	for _, c := range []struct {
		total       bool
		first, last float64
		want        string
	}{{true, 2, 10, "× 5.00 of 10"}, {false, 2, 3, "× 1.50"}, {false, 0, 3, ""}} {
		if got := (figure{total: c.total}).growth(c.first, c.last, 10); got != c.want {
			t.Errorf("%v to %v: %q, want %q", c.first, c.last, got, c.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	var sorted []time.Duration
	for n := range 200 {
		sorted = append(sorted, time.Duration(n))
	}
	if p50, p99 := quantile(sorted, 0.5), quantile(sorted, 0.99); p50 != 100 || p99 != 198 {
		t.Errorf("p50 %d, p99 %d", p50, p99)
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}

func TestSizesMustRise(t *testing.T) {
	p := quick()
	if err := p.parse("5,20"); err != nil || !slices.Equal(p.sizes, []int{5, 20}) {
		t.Errorf("%v, %v", p.sizes, err)
	}
	for _, wrong := range []string{"20,5", "0", "many", "5,5"} {
		if err := p.parse(wrong); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("-sizes %s: %v", wrong, err)
		}
	}
}

func TestEachTellsTheFirstErrorAlone(t *testing.T) {
	var mu sync.Mutex
	done := map[int]bool{}
	err := each(t.Context(), 3, 40, func(_ context.Context, n int) error {
		mu.Lock()
		defer mu.Unlock()
		done[n] = true
		return nil
	})
	if err != nil || len(done) != 37 || done[2] || done[40] {
		t.Errorf("%v, %d done", err, len(done))
	}
	no := errors.New("no")
	err = each(t.Context(), 0, 1000, func(ctx context.Context, n int) error {
		if n == 5 {
			return no
		}
		return ctx.Err()
	})
	if !errors.Is(err, no) || errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
