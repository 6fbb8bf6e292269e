package kubecmd

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
	"github.com/dipcast/dipcast/cmd/dipcast/doctor"
	"github.com/dipcast/dipcast/controllers/kubetest"
)

// TestAPIServer runs the commands against a real API server with the objects
// of the golden files: what it stores and selects is what they read.
func TestAPIServer(t *testing.T) {
	server, err := kubetest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	s := newStage(t)
	for _, o := range objects(t) {
		if o.GetObjectKind().GroupVersionKind().Kind == "CustomResourceDefinition" {
			continue // they are there
		}
		create(t, server.Client, o)
	}
	s.env.Connect = func(o cluster.Options) (*cluster.Cluster, error) {
		c, err := cluster.ForConfig(server.Config, "acme")
		if o.Namespace != "" && err == nil {
			c.Namespace = o.Namespace
		}
		return c, err
	}
	if code := s.run("status -A -o json"); code != 0 {
		t.Fatal(s.errs.String())
	}
	var all struct {
		Tenants []tenantRow `json:"tenants"`
	}
	if err := json.Unmarshal(s.out.Bytes(), &all); err != nil || len(all.Tenants) != 3 || all.Tenants[0].Address != "sip:acme.pbx.example.com:10812" {
		t.Errorf("%v\n%s", err, s.out.String())
	}
	if s.run("status beta -n beta"); !strings.Contains(s.out.String(), "NoPorts PBXTenant/beta (3 times)") || strings.Contains(s.out.String(), "not of this tenant") {
		t.Errorf("%s%s", s.out.String(), s.errs.String())
	}
	if code := s.run("status x"); code != 1 || !strings.Contains(s.errs.String(), "no PBXTenant acme/x: kubectl get pbxtenants -A lists them") {
		t.Errorf("exit %d: %s", code, s.errs.String())
	}
	checkFindings(t, s)
	// Nobody can forward a port here: there is no kubelet.
	if code := s.run("calls acme"); code != 1 || !strings.Contains(s.errs.String(), "the PBX of acme/acme does not answer: port-forward to pod acme/acme-pbx-0") {
		t.Errorf("exit %d: %s", code, s.errs.String())
	}
	if code := s.run("logs acme"); code != 1 || !strings.Contains(s.errs.String(), "log of pod acme/acme-pbx-0") {
		t.Errorf("exit %d: %s", code, s.errs.String())
	}
}

// checkFindings: the definitions that the server stores are those that this
// program carries, though it has put defaults into them.
func checkFindings(t *testing.T, s *stage) {
	t.Helper()
	if code := s.run("doctor -A -o json"); code != 1 {
		t.Errorf("exit %d: %s", code, s.errs.String())
	}
	var told struct {
		Worst    doctor.Level     `json:"worst"`
		Findings []doctor.Finding `json:"findings"`
	}
	if err := json.Unmarshal(s.out.Bytes(), &told); err != nil || told.Worst != doctor.Fail {
		t.Fatalf("%v\n%s", err, s.out.String())
	}
	for _, want := range []doctor.Finding{
		{Subject: "cluster", Check: "definitions", Level: doctor.OK, Message: "6 kinds, as this program knows them"},
		{Subject: "cluster", Check: "operator", Level: doctor.OK, Message: "Deployment dipcast-system/dipcast-operator is available, version 0.3.0"},
		{Subject: "acme/acme", Check: "pod", Level: doctor.OK, Message: "pod acme-pbx-0 runs on n1 and is ready"},
		{Subject: "acme/acme", Check: "volume", Level: doctor.OK, Message: "PersistentVolumeClaim acme-data is bound, 20Gi"},
		{Subject: "acme/acme", Check: "advertise", Level: doctor.OK, Message: "203.0.113.10 (NodeExternalIP)"},
	} {
		if !slices.Contains(told.Findings, want) {
			t.Errorf("%+v is missing:\n%s", want, s.out.String())
		}
	}
}

// create makes an object with its status, in a namespace that is made if need be.
func create(t *testing.T, c client.Client, o client.Object) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	wanted, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		t.Fatalf("%T is no object", o)
	}
	o.SetGeneration(0)
	if err := c.Create(ctx, o); err != nil {
		t.Fatalf("%T %s: %v", o, client.ObjectKeyFromObject(o), err)
	}
	if tenant, ok := wanted.(*v1alpha1.PBXTenant); ok {
		tenant.Status.ObservedGeneration = o.GetGeneration()
	}
	wanted.SetResourceVersion(o.GetResourceVersion())
	wanted.SetUID(o.GetUID())
	if err := c.Status().Update(ctx, wanted); client.IgnoreNotFound(err) != nil {
		t.Fatalf("status of %T %s: %v", o, client.ObjectKeyFromObject(o), err)
	}
}
