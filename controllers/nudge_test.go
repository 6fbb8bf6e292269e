package controllers

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// A kubelet that does not refresh a document is asked again, ever more seldom;
// another document begins anew.
func TestNudges(t *testing.T) {
	var n nudges
	acme, beta := types.NamespacedName{Name: "acme"}, types.NamespacedName{Name: "beta"}
	start := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	for i, step := range []struct {
		name       types.NamespacedName
		generation string
		at         time.Duration
		due        bool
		again      time.Duration
	}{
		{acme, "g1", 0, false, 3 * time.Second},
		{acme, "g1", time.Second, false, 2 * time.Second},
		{beta, "g1", time.Second, false, 3 * time.Second},
		{acme, "g1", 3 * time.Second, true, 6 * time.Second},
		{acme, "g1", 4 * time.Second, false, 5 * time.Second},
		{acme, "g1", 9 * time.Second, true, 12 * time.Second},
		{acme, "g1", 21 * time.Second, true, 24 * time.Second},
		{acme, "g1", 45 * time.Second, true, 48 * time.Second},
		{acme, "g1", 93 * time.Second, true, time.Minute},
		{acme, "g1", 153 * time.Second, true, time.Minute},
		{acme, "g2", 154 * time.Second, false, 3 * time.Second},
		{acme, "g2", 157 * time.Second, true, 6 * time.Second},
	} {
		due, again := n.due(step.name, step.generation, start.Add(step.at))
		if due != step.due || again != step.again {
			t.Errorf("step %d: due %v, again in %s; want %v, %s", i, due, again, step.due, step.again)
		}
	}
	n.forget(acme)
	if due, again := n.due(acme, "g2", start.Add(time.Hour)); due || again != 3*time.Second {
		t.Errorf("after forget: due %v, again in %s", due, again)
	}
}
