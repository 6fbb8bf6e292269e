//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dipcast/dipcast/hack/calls"
	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/phone"
)

const (
	fifty      = 50
	firstPhone = 2000
	// crowdClass takes them, and replaces a process soon.
	crowdClass = `
apiVersion: pbx.dipcast.io/v1alpha1
kind: PBXClass
metadata: {name: e2e-fifty, labels: {` + mark + `: "yes"}}
spec:
  limits: {extensions: 300, registrations: {operating: 200, maximum: 300}, concurrentCalls: 60}
  network: {portPool: {from: 17000, to: 18999}, advertise: {from: NodeInternalIP}}
  update: {idleWait: 2s}
`
)

// Fifty recorded calls between a hundred phones are carried over a pod that is
// deleted by force, one that is deleted as everybody does, and a new image. Every
// call goes on, has its one record, and its recording is whole.
func TestFiftyRecordedCallsOutliveTheirPods(t *testing.T) {
	if !the.full {
		t.Skip("a minute and a half: E2E=short leaves it out")
	}
	the.installed(t)
	apply(t, crowdClass)
	c := found(t, plan{name: "fifty", class: "e2e-fifty", recorded: true})
	apply(t, c.crowd())
	c.ready()
	list := c.conversations()
	goOn(t, list)
	t.Cleanup(func() {
		if _, err := the.chart(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	silent := make([]time.Duration, len(list))
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"the pod deleted by force", func() { c.deleted("--force", "--grace-period=0") }},
		{"the pod deleted", func() { c.deleted() }},
		{"the image upgraded", func() { c.upgraded("localhost/dipcast/pbx:" + the.next) }},
	} {
		calls.Gaps(list) // begins to count
		step.do()
		goOn(t, list)
		gaps := calls.Gaps(list)
		for i, gap := range gaps {
			silent[i] += gap
		}
		t.Logf("%s: the audio paused for %s", step.name, gaps)
	}
	hangUpAll(t, list)
	c.whole(list, silent)
}

// crowd is the manifest of a hundred phones, which share a password.
func (c *company) crowd() string {
	var list strings.Builder
	for n := range 2 * fifty {
		fmt.Fprintf(&list, "    - {number: \"%d\", secretRef: {name: ext-101}}\n", firstPhone+n)
	}
	return fmt.Sprintf(`
apiVersion: pbx.dipcast.io/v1alpha1
kind: ExtensionPlan
metadata: {name: crowd, namespace: %[1]s}
spec:
  tenantRef: {name: %[1]s}
  extensions:
%[2]s`, c.name, &list)
}

// conversations registers the phones and connects each with its neighbour.
func (c *company) conversations() []*calls.Pair {
	c.t.Helper()
	at := c.sip()
	phones := make([]*phone.Phone, 2*fifty)
	for n := range phones {
		phones[n] = newPhone(c.t, phone.Config{
			User: strconv.Itoa(firstPhone + n), Password: c.password("101"), Domain: c.name + ".pbx.example.com", Server: at,
			Listen: phonesAt + ":0", NoRefresh: true,
		})
		if err := phones[n].Register(within(c.t), time.Hour); err != nil {
			c.t.Fatalf("extension %d: %v", firstPhone+n, err)
		}
	}
	list := make([]*calls.Pair, fifty)
	for i := range list {
		var err error
		if list[i], err = calls.Connect(within(c.t), phones[2*i], phones[2*i+1], strconv.Itoa(firstPhone+2*i+1), i); err != nil {
			c.t.Fatal(err)
		}
	}
	return list
}

func goOn(t *testing.T, list []*calls.Pair) {
	t.Helper()
	if err := calls.AllGoOn(within(t), list); err != nil {
		t.Fatal(err)
	}
}

func hangUpAll(t *testing.T, list []*calls.Pair) {
	t.Helper()
	wrong := make(chan error, len(list))
	var all sync.WaitGroup
	for i, p := range list {
		all.Go(func() { wrong <- p.HangUp(within(t), i%2 == 0) })
	}
	all.Wait()
	close(wrong)
	for err := range wrong {
		if err != nil {
			t.Error(err)
		}
	}
}

// deleted deletes the pod and waits for the next one.
func (c *company) deleted(how ...string) {
	c.t.Helper()
	old := c.pod()
	kubectl(c.t, append([]string{"-n", c.name, "delete", "pod", old.Name, "--wait=false"}, how...)...)
	now := c.replaced(old)
	c.t.Logf("the pod was on %s and is on %s", old.Spec.NodeName, now.Spec.NodeName)
}

// whole checks the records of the calls, and listens to every recording.
func (c *company) whole(list []*calls.Pair, silent []time.Duration) {
	c.t.Helper()
	var page pbx.CDRPage
	until(c.t, patience, "the records of all calls", func(ctx context.Context) string {
		page = pbx.CDRPage{}
		if err := c.fetch(ctx, "/api/v1/cdrs?limit=1000", &page); err != nil {
			return err.Error()
		}
		if len(page.Records) < len(list) {
			return fmt.Sprintf("there are %d", len(page.Records))
		}
		return ""
	})
	if err := calls.Settled(page.Records, len(list)); err != nil {
		c.t.Error(err)
	}
	for i := range page.Records {
		r := &page.Records[i]
		n, err := strconv.Atoi(r.From.Extension)
		which := (n - firstPhone) / 2
		if err != nil || which < 0 || which >= len(list) {
			c.t.Errorf("call %s is of extension %q, which called nobody", r.ID, r.From.Extension)
			continue
		}
		if err := calls.Recorded(r); err != nil {
			c.t.Error(err)
		}
		// The record is written at once, the end of the recording within a second.
		until(c.t, patience, "the recording is whole", func(context.Context) string {
			code, wav := ask(c.t, http.MethodGet, c.url()+"/api/v1/cdrs/"+string(r.ID)+"/recording", c.token(), nil, nil)
			if code != http.StatusOK {
				return fmt.Sprintf("the recording of call %s: status %d", r.ID, code)
			}
			if err := list[which].Whole(r, wav, silent[which]); err != nil {
				return err.Error()
			}
			return ""
		})
	}
}
