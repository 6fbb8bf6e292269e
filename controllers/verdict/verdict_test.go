package verdict_test

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/verdict"
)

func TestOnlyChangesWake(t *testing.T) {
	var woken []string
	s := verdict.New(func(o compile.Object) { woken = append(woken, o.Name) })
	tenant := compile.Object{Kind: v1alpha1.KindPBXTenant, Namespace: "ns", Name: "acme"}
	plan := compile.Object{Kind: v1alpha1.KindExtensionPlan, Namespace: "ns", Name: "seoul"}
	good := verdict.Verdict{Accepted: verdict.Accepted(nil)}
	bad := verdict.Verdict{Accepted: verdict.Accepted([]compile.Problem{{Message: "no", Severity: compile.Error, Reason: v1alpha1.ReasonLoop}})}
	for _, step := range []struct {
		name string
		set  map[compile.Object]verdict.Verdict
		want []string
	}{
		{"the first", map[compile.Object]verdict.Verdict{plan: good}, []string{"seoul"}},
		{"the same", map[compile.Object]verdict.Verdict{plan: good}, nil},
		{"another", map[compile.Object]verdict.Verdict{plan: bad}, []string{"seoul"}},
		{"none any more", nil, []string{"seoul"}},
		{"still none", nil, nil},
	} {
		woken = nil
		s.Set(tenant, step.set)
		if !slices.Equal(woken, step.want) {
			t.Errorf("%s: woken %v, want %v", step.name, woken, step.want)
		}
	}
	if _, known := s.Get(plan); known {
		t.Error("a verdict outlived its tenant")
	}
}

func TestAccepted(t *testing.T) {
	warning := compile.Problem{Path: "spec.fax", Message: "is not served", Severity: compile.Warning, Reason: v1alpha1.ReasonNotServed}
	failure := compile.Problem{Path: "spec.hosts", Message: "is empty", Severity: compile.Error, Reason: v1alpha1.ReasonInvalid}
	for _, tc := range []struct {
		name     string
		problems []compile.Problem
		status   metav1.ConditionStatus
		reason   string
		message  string
	}{
		{"nothing", nil, metav1.ConditionTrue, v1alpha1.ReasonAccepted, "everything in it is in force"},
		{"a warning", []compile.Problem{warning}, metav1.ConditionTrue, v1alpha1.ReasonNotServed, "spec.fax: is not served"},
		{"both, the error first", []compile.Problem{warning, failure}, metav1.ConditionFalse, v1alpha1.ReasonInvalid, "spec.hosts: is empty; spec.fax: is not served"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := verdict.Accepted(tc.problems)
			if c.Status != tc.status || c.Reason != tc.reason || c.Message != tc.message {
				t.Errorf("%s %s: %s", c.Status, c.Reason, c.Message)
			}
		})
	}
}

func TestShortEndsAtACharacter(t *testing.T) {
	if got := verdict.Short("전화전화전화", 10); got != "전화..." {
		t.Errorf("%q", got)
	}
}
