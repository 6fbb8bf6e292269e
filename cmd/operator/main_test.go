package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	f, err := parse([]string{
		"--pbx-image=registry.example/pbx:1", "--namespaces=b,a", "--leader-election-namespace=dipcast-system",
		"--metrics-bind-address=:8080", "--health-probe-bind-address=:8081", "--monitoring-labels=release=prometheus", "--log-level=debug",
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.operator.Namespaces, []string{"a", "b"}) || len(f.operator.TrustedProxies) != 5 || f.operator.MonitoringLabels["release"] != "prometheus" {
		t.Errorf("%+v", f.operator)
	}
	o, err := f.manager()
	if err != nil {
		t.Fatal(err)
	}
	if !o.LeaderElection || !o.LeaderElectionReleaseOnCancel || o.LeaderElectionNamespace != "dipcast-system" || o.HealthProbeBindAddress != ":8081" || len(o.Cache.DefaultNamespaces) != 2 {
		t.Errorf("%+v", o)
	}
}

func TestFlagsThatCannotWork(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"", "-pbx-image"},
		{"--pbx-image=x --trusted-proxies=10.0.0.1", "-trusted-proxies 10.0.0.1: must be a network"},
		{"--pbx-image=x --log-level=loud", "-log-level loud"},
		{"--pbx-image=x --max-updates=0", "must be at least 1"},
		{"--pbx-image=x --monitoring-labels=release", "say KEY=VALUE"},
	} {
		if _, err := parse(strings.Fields(tc.args), io.Discard); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.args, err, tc.want)
		}
	}
}
