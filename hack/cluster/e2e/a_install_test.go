//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/hack/demo/stage"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/pbxtest/peer"
	"github.com/dipcast/dipcast/pbx/phone"
)

// soon is within which a tenant is to be ready after the chart; only a loaded
// machine may take longer.
const soon = time.Minute

// The chart is installed, the sample company applied: it is ready in less than
// a minute, phones call through it, a press moves a call, and kubectl shows it
// at a glance.
func TestFromTheChartToAMovedCall(t *testing.T) {
	the.installed(t)
	c := &company{t: t, name: "acme"}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(the.told(c.name))
		}
		c.remove()
		if _, err := run(context.WithoutCancel(t.Context()), "", "kubectl", "delete", "pbxclass", "dipcast-100", "--ignore-not-found"); err != nil {
			t.Error(err)
		}
	})
	began := time.Now()
	kubectl(t, "apply", "-f", samples)
	kubectl(t, "label", "namespace", "acme", mark+"=yes")
	condition(t, c.tenant(), v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	took := the.took + time.Since(began)
	t.Logf("from helm install to the sample tenant Ready: %.1f s (chart %.1f s)", took.Seconds(), the.took.Seconds())
	if took > 3*soon {
		t.Errorf("the sample tenant was ready after %s: wanted are less than %s", took, soon)
	}
	condition(t, c.tenant(), v1alpha1.ConditionConfigApplied, metav1.ConditionTrue, "")
	bot := &v1alpha1.NaverWorksBot{ObjectMeta: metav1.ObjectMeta{Namespace: c.name, Name: "acme-bot"}}
	condition(t, bot, v1alpha1.ConditionReady, metav1.ConditionTrue, "")

	c.baresipCalls()
	scene, err := stage.New(within(t), stage.Place{
		SIP: c.sip(), Console: "https://acme.pbx.example.com", Works: worksURL, Phones: phonesAt + ":0", Carrier: carrierAt + ":5070", Client: the.web,
		Token: func() (string, error) { return c.token(), nil },
	}, stage.Teller{Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	defer scene.Close()
	condition(t, c.tenant(), v1alpha1.ConditionTrunksUp, metav1.ConditionTrue, "")
	until(t, patience, "two phones in the status", func(context.Context) string {
		if n := get(t, c.tenant(), c.name, c.name).Status.Registrations; n != 2 {
			return fmt.Sprintf("there are %d", n)
		}
		return ""
	})
	c.glance()
	if err := scene.Play(within(t)); err != nil {
		t.Fatal(err)
	}
}

// baresipCalls lets a real baresip talk to a desk phone.
func (c *company) baresipCalls() {
	c.t.Helper()
	const baresipTone = 880
	desk := newPhone(c.t, phone.Config{
		User: "102", Password: "demo-bada-4Tz8kWn1", Domain: "acme.pbx.example.com", Server: c.sip(), Listen: phonesAt + ":0",
	})
	if err := desk.Register(within(c.t), time.Minute); err != nil {
		c.t.Fatal(err)
	}
	b := peer.StartBaresip(within(c.t), c.t, peer.Baresip{
		User: "103", Password: "demo-sol-9Rb5yHd3", Domain: "acme.pbx.example.com", Server: c.sip(), Address: firstAt,
		Tone: pbxtest.WriteTone(c.t, baresipTone, 30*time.Second),
	})
	if err := b.WaitRegistered(within(c.t)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := b.Command(within(c.t), "dial", "sip:102@acme.pbx.example.com"); err != nil {
		c.t.Fatal(err)
	}
	call, err := desk.WaitIncoming(within(c.t))
	if err != nil {
		c.t.Fatal(err)
	}
	if err := call.Answer(within(c.t)); err != nil {
		c.t.Fatal(err)
	}
	heard := call.Play(tone.Sine(insideTone, volume))
	if err := call.WaitTone(within(c.t), baresipTone); err != nil {
		c.t.Fatalf("the desk phone does not hear baresip: %v", err)
	}
	// As long again, so that baresip's recording holds a stretch of the tone.
	until(c.t, patience, "two seconds of talk", func(context.Context) string {
		if s := call.Stats(); s.Sent < 100 || s.Received < 100 {
			return fmt.Sprintf("sent %d, received %d packets", s.Sent, s.Received)
		}
		return ""
	})
	if err := call.Hangup(within(c.t)); err != nil {
		c.t.Fatal(err)
	}
	<-heard
	if _, err := b.WaitEvent(within(c.t), peer.Closed); err != nil {
		c.t.Fatal(err)
	}
	b.Stop()
	recordings, err := b.Heard()
	if err != nil || len(recordings) == 0 {
		c.t.Fatalf("baresip recorded nothing: %v", err)
	}
	if share := pbxtest.BestShare(c.t, recordings[len(recordings)-1], insideTone, time.Second/2); share < 0.8 {
		c.t.Errorf("baresip heard the desk phone's tone with a share of %.2f", share)
	}
	if err := desk.Unregister(within(c.t)); err != nil {
		c.t.Fatal(err)
	}
}

// glance reads what kubectl shows of all tenants.
func (c *company) glance() {
	c.t.Helper()
	out := kubectl(c.t, "get", "pbxtenants", "-A", "-o", "wide")
	c.t.Logf("kubectl get pbxtenants -A -o wide\n%s", out)
	head, row, _ := strings.Cut(strings.TrimSpace(out), "\n")
	for _, column := range []string{"NAMESPACE", "NAME", "READY", "REASON", "TRUNKS", "APPLIED", "PHONES", "CALLS", "ADDRESS", "CLASS", "NODE", "AGE"} {
		if !strings.Contains(head, column) {
			c.t.Errorf("kubectl get pbxtenants has no column %s", column)
		}
	}
	line := `^acme +acme +True +Ready +True +True +2 +0 +sip:acme\.pbx\.example\.com:[0-9]+ +dipcast-100 +n[12] `
	if !regexp.MustCompile(line).MatchString(row) {
		c.t.Errorf("the row of acme is\n%s\nwanted is %s", row, line)
	}
}
