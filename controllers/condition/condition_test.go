package condition_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/condition"
	"github.com/dipcast/dipcast/controllers/observer"
	"github.com/dipcast/dipcast/pbx/conf"
)

func is(kind string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: "because of " + reason}
}

func TestReady(t *testing.T) {
	const yes, no = metav1.ConditionTrue, metav1.ConditionFalse
	ports := is(v1alpha1.ConditionPortsAllocated, yes, v1alpha1.ReasonAllocated)
	pod := is(v1alpha1.ConditionPodRunning, yes, v1alpha1.ReasonRunning)
	applied := is(v1alpha1.ConditionConfigApplied, yes, v1alpha1.ReasonApplied)
	wrong := is(v1alpha1.ConditionAccepted, no, v1alpha1.ReasonDuplicate)
	answers := observer.Observation{Reachable: true, Report: &conf.Report{}}
	for _, tc := range []struct {
		name       string
		conditions []metav1.Condition
		seen       observer.Observation
		status     metav1.ConditionStatus
		reason     string
	}{
		{"all is well", []metav1.Condition{ports, pod, applied}, answers, yes, v1alpha1.ReasonReady},
		{"nothing yet", nil, observer.Observation{}, no, v1alpha1.ReasonProgressing},
		{"no ports", []metav1.Condition{is(v1alpha1.ConditionPortsAllocated, no, v1alpha1.ReasonNoPorts)}, observer.Observation{}, no, v1alpha1.ReasonNoPorts},
		{"no ports in the new class, but a PBX that answers", []metav1.Condition{is(v1alpha1.ConditionPortsAllocated, no, v1alpha1.ReasonNoPorts), pod, applied}, answers, yes, v1alpha1.ReasonReady},
		{"no pod", []metav1.Condition{ports, is(v1alpha1.ConditionPodRunning, no, v1alpha1.ReasonUnschedulable)}, observer.Observation{}, no, v1alpha1.ReasonUnschedulable},
		{"no pod, since the first manifests are wrong", []metav1.Condition{wrong, ports, is(v1alpha1.ConditionPodRunning, no, v1alpha1.ReasonWaiting)}, observer.Observation{}, no, v1alpha1.ReasonDuplicate},
		{"no answer", []metav1.Condition{ports, pod, applied}, observer.Observation{Error: "connection refused"}, no, v1alpha1.ReasonUnreachable},
		{"wrong manifests, the last document runs", []metav1.Condition{wrong, ports, pod, is(v1alpha1.ConditionConfigApplied, no, v1alpha1.ReasonDuplicate)}, answers, yes, v1alpha1.ReasonDuplicate},
		{"a document on its way", []metav1.Condition{ports, pod, is(v1alpha1.ConditionConfigApplied, no, v1alpha1.ReasonProgressing)}, answers, yes, v1alpha1.ReasonProgressing},
		{"it drains", []metav1.Condition{ports, pod, applied}, observer.Observation{Reachable: true, Report: &conf.Report{Draining: true}}, yes, v1alpha1.ReasonDraining},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if c := condition.Ready(tc.conditions, tc.seen); c.Type != v1alpha1.ConditionReady || c.Status != tc.status || c.Reason != tc.reason || c.Message == "" {
				t.Errorf("%s %s: %s; want %s %s", c.Status, c.Reason, c.Message, tc.status, tc.reason)
			}
		})
	}
}

func TestConfigApplied(t *testing.T) {
	broken := []compile.Problem{{Severity: compile.Error, Reason: v1alpha1.ReasonLoop}}
	report := func(r conf.Report) observer.Observation { return observer.Observation{Reachable: true, Report: &r} }
	for _, tc := range []struct {
		name     string
		wanted   string
		problems []compile.Problem
		seen     observer.Observation
		status   metav1.ConditionStatus
		reason   string
	}{
		{"no document", "", nil, observer.Observation{}, metav1.ConditionFalse, v1alpha1.ReasonWaiting},
		{"errors", "g1", broken, report(conf.Report{Generation: "g1"}), metav1.ConditionFalse, v1alpha1.ReasonLoop},
		{"not known", "g1", nil, observer.Observation{}, metav1.ConditionUnknown, v1alpha1.ReasonUnreachable},
		{"in force", "g1", nil, report(conf.Report{Generation: "g1"}), metav1.ConditionTrue, v1alpha1.ReasonApplied},
		{"a part waits", "g1", nil, report(conf.Report{Generation: "g1", Restart: []string{"network.ports"}}), metav1.ConditionFalse, v1alpha1.ReasonRestartPending},
		{"on its way", "g2", nil, report(conf.Report{Generation: "g1"}), metav1.ConditionFalse, v1alpha1.ReasonProgressing},
		{"refused", "g2", nil, report(conf.Report{Generation: "g1", Refused: "no", RefusedGeneration: "g2"}), metav1.ConditionFalse, v1alpha1.ReasonRefused},
		{"another one was refused", "g3", nil, report(conf.Report{Generation: "g1", Refused: "no", RefusedGeneration: "g2"}), metav1.ConditionFalse, v1alpha1.ReasonProgressing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if c := condition.ConfigApplied(tc.wanted, tc.problems, tc.seen); c.Status != tc.status || c.Reason != tc.reason {
				t.Errorf("%s %s: %s; want %s %s", c.Status, c.Reason, c.Message, tc.status, tc.reason)
			}
		})
	}
}

func TestOverloaded(t *testing.T) {
	class := &v1alpha1.PBXClass{ObjectMeta: metav1.ObjectMeta{Name: "dipcast-100"}}
	refuses := func(s conf.Scarce) observer.Observation {
		return observer.Observation{Reachable: true, Report: &conf.Report{Overload: "new calls of phones are refused: so it is", Scarce: s}}
	}
	const told = "new calls of phones are refused: so it is: "
	for _, tc := range []struct {
		name   string
		seen   observer.Observation
		class  *v1alpha1.PBXClass
		status metav1.ConditionStatus
		reason string
		want   string // the message begins so
	}{
		{"room", observer.Observation{Reachable: true, Report: &conf.Report{}}, class, metav1.ConditionFalse, v1alpha1.ReasonWithinLimits, "the PBX has room"},
		{"no answer", observer.Observation{Report: &conf.Report{Overload: "long ago"}}, class, metav1.ConditionUnknown, v1alpha1.ReasonUnreachable, "the PBX has not told"},
		{"not asked", observer.Observation{Reachable: true}, class, metav1.ConditionUnknown, v1alpha1.ReasonUnreachable, "the PBX has not told"},
		{"processor", refuses(conf.ScarceProcessor), class, metav1.ConditionTrue, v1alpha1.ReasonProcessorShort, told + "raise resources.limits.cpu of PBXClass dipcast-100"},
		{"memory", refuses(conf.ScarceMemory), class, metav1.ConditionTrue, v1alpha1.ReasonMemoryShort, told + "raise resources.limits.memory of PBXClass dipcast-100"},
		{"media", refuses(conf.ScarceMedia), class, metav1.ConditionTrue, v1alpha1.ReasonMediaLate, told + "other programs take the node's processors"},
		{"transactions", refuses(conf.ScarceTransactions), class, metav1.ConditionTrue, v1alpha1.ReasonTransactionsFull, told + "somebody sends more"},
		{"without a class", refuses(conf.ScarceProcessor), nil, metav1.ConditionTrue, v1alpha1.ReasonProcessorShort, told + "raise resources.limits.cpu of its class"},
		{"of an older PBX", refuses(""), class, metav1.ConditionTrue, v1alpha1.ReasonLoad, told + "the log of the PBX"},
		{"of a newer PBX", refuses("Disk"), class, metav1.ConditionTrue, v1alpha1.ReasonLoad, told + "the log of the PBX"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := condition.Overloaded(tc.class, tc.seen)
			if c.Type != v1alpha1.ConditionOverloaded || c.Status != tc.status || c.Reason != tc.reason || !strings.HasPrefix(c.Message, tc.want) {
				t.Errorf("%s %s: %s; want %s %s: %s", c.Status, c.Reason, c.Message, tc.status, tc.reason, tc.want)
			}
		})
	}
}

func TestAcceptedTellsTheTenantOfItsOwnAndOfErrorsElsewhere(t *testing.T) {
	self := compile.Object{Kind: v1alpha1.KindPBXTenant, Namespace: "acme", Name: "acme"}
	trunk := compile.Object{Kind: v1alpha1.KindSIPTrunk, Namespace: "acme", Name: "kt"}
	c := condition.Accepted([]compile.Problem{
		{Object: self, Path: "spec.sipTLS", Message: "is not served", Severity: compile.Warning, Reason: v1alpha1.ReasonNotServed},
		{Object: trunk, Message: "a warning of a trunk", Severity: compile.Warning, Reason: v1alpha1.ReasonNotServed},
		{Object: trunk, Path: "spec.hosts[0].port", Value: "0", Message: "must be more", Severity: compile.Error, Reason: v1alpha1.ReasonInvalid},
	}, self)
	want := "SIPTrunk acme/kt: spec.hosts[0].port 0: must be more; spec.sipTLS: is not served"
	if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonInvalid || c.Message != want {
		t.Errorf("%s %s: %s\nwant %s", c.Status, c.Reason, c.Message, want)
	}
	many := make([]compile.Problem, 50)
	for i := range many {
		many[i] = compile.Problem{Object: trunk, Message: strings.Repeat("x", 90), Severity: compile.Error, Reason: v1alpha1.ReasonInvalid}
	}
	if c := condition.Accepted(many, self); len(c.Message) > 640 || !strings.HasSuffix(c.Message, " more") {
		t.Errorf("%d characters: ...%s", len(c.Message), c.Message[len(c.Message)-40:])
	}
}
