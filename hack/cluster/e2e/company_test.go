//go:build cluster

package e2e

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
)

// company is a tenant with its namespace of the same name and its carrier.
type company struct {
	t       *testing.T
	name    string
	carrier *phone.Phone
}

// plan is what a test says of its company.
type plan struct {
	name  string
	class string // "" = the one of the tests, which most tenants use
	bot   bool
	// recorded says that all calls are.
	recorded bool
	// deletion is the deletionPolicy; "" = Delete, so that tests leave no volumes.
	deletion string
}

// The class that most tests use.
const (
	commonClass = "e2e"
	commonPool  = "{from: 10000, to: 14999}"
)

// class makes a class that stays for other tests; more is YAML of its spec.
func class(t *testing.T, name, pool, more string) {
	t.Helper()
	apply(t, fmt.Sprintf(`
apiVersion: pbx.dipcast.io/v1alpha1
kind: PBXClass
metadata: {name: %s, labels: {%s: "yes"}}
spec:
  limits: {extensions: 300, registrations: {operating: 100, maximum: 300}, concurrentCalls: 10}
  network: {portPool: %s, advertise: {from: NodeInternalIP}}
%s`, name, mark, pool, more))
}

// ownClass makes a class that goes with the test.
func ownClass(t *testing.T, name, pool, more string) {
	t.Helper()
	class(t, name, pool, more)
	t.Cleanup(func() {
		_, err := run(context.WithoutCancel(t.Context()), "", "kubectl", "delete", "pbxclass", name, "--ignore-not-found")
		if err != nil {
			t.Error(err)
		}
	})
}

// manifest is the company. The bot's credentials are those of bots().
const manifest = `
apiVersion: v1
kind: Namespace
metadata: {name: "{{.Name}}", labels: {pod-security.kubernetes.io/enforce: privileged, ` + mark + `: "yes"}}
---
apiVersion: v1
kind: Secret
metadata: {name: ext-101, namespace: "{{.Name}}"}
stringData: {password: "{{call .Password "101"}}"}
---
apiVersion: v1
kind: Secret
metadata: {name: ext-102, namespace: "{{.Name}}"}
stringData: {password: "{{call .Password "102"}}"}
---
apiVersion: pbx.dipcast.io/v1alpha1
kind: PBXTenant
metadata: {name: "{{.Name}}", namespace: "{{.Name}}"}
spec:
  className: {{.Class}}
  domain: {{.Name}}.pbx.example.com
  media: {codecs: [PCMA, PCMU], srtp: Optional}
  storage: {size: 1Gi}
{{- if .Recorded}}
  recording: {mode: All}
{{- end}}
  deletionPolicy: {{.Deletion}}
---
apiVersion: pbx.dipcast.io/v1alpha1
kind: ExtensionPlan
metadata: {name: office, namespace: "{{.Name}}"}
spec:
  tenantRef: {name: "{{.Name}}"}
  extensions:
    - {number: "101", worksUser: "{{.Person}}", mobile: 010-1234-5678, did: ["02-555-0101"], maxContacts: 3, secretRef: {name: ext-101}}
    - {number: "102", did: ["02-555-0102"], maxContacts: 3, secretRef: {name: ext-102}}
---
apiVersion: pbx.dipcast.io/v1alpha1
kind: SIPTrunk
metadata: {name: line, namespace: "{{.Name}}"}
spec:
  tenantRef: {name: "{{.Name}}"}
  hosts: [{host: {{.CarrierHost}}, port: {{.CarrierPort}}, transport: UDP}]
  auth: {ipAuthentication: {allowedCIDRs: ["{{.CarrierHost}}/32"]}}
  numbers: ["02-555-0100", "02-555-0101", "02-555-0102"]
  callerID: {default: "02-555-0100", permitted: ["02-555-*"]}
{{- if .Bot}}
---
apiVersion: v1
kind: Secret
metadata: {name: works, namespace: "{{.Name}}"}
stringData:
  client-id: {{.Name}}-client
  client-secret: {{.Name}}-client-secret
  service-account: {{.Name}}.serviceaccount@acme.example
  bot-secret: {{.Name}}-bot-secret
  private-key: {{.Key}}
---
apiVersion: pbx.dipcast.io/v1alpha1
kind: NaverWorksBot
metadata: {name: bot, namespace: "{{.Name}}"}
spec:
  tenantRef: {name: "{{.Name}}"}
  botID: {{.Bot}}
  domainID: {{.Domain}}
  credentialsRef: {name: works}
  endpoints: {api: ` + worksURL + `/v1.0, auth: ` + worksURL + `/oauth2/v2.0, issuer: ` + worksURL + `}
{{- end}}
`

// password of an extension.
func (c *company) password(extension string) string {
	return "pw-" + c.name + "-" + extension + "-Zk4Qm9Ts"
}

// found applies a company's manifests. It goes with the test, and is told of
// before if the test has failed.
func found(t *testing.T, p plan) *company {
	t.Helper()
	the.installed(t)
	c := &company{t: t, name: p.name}
	if p.class == "" {
		p.class = commonClass
		class(t, commonClass, commonPool, "")
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(the.told(c.name))
		}
		c.remove()
	})
	// After that, so that its calls end before the company does.
	c.carrier = newPhone(t, phone.Config{User: "carrier", Listen: carrierAt + ":0"})
	apply(t, c.manifests(p))
	return c
}

func (c *company) manifests(p plan) string {
	c.t.Helper()
	credentials, err := sampleCredentials()
	if err != nil {
		c.t.Fatal(err)
	}
	if p.deletion == "" {
		p.deletion = string(v1alpha1.DeletionDelete)
	}
	data := struct {
		Name, Class, Deletion, Person, CarrierHost, Key string
		CarrierPort                                     uint16
		Recorded                                        bool
		Bot, Domain                                     int64
		Password                                        func(string) string
	}{
		Name: c.name, Class: p.class, Deletion: p.deletion, Person: person(c.name), CarrierHost: carrierAt,
		CarrierPort: c.carrier.Addr().Port(), Password: c.password, Recorded: p.recorded, Key: strconv.Quote(credentials[v1alpha1.KeyPrivateKey]),
	}
	if p.bot {
		data.Bot = bots()[c.name]
		data.Domain = data.Bot + 40_000_000
	}
	var text strings.Builder
	if err := template.Must(template.New("company").Parse(manifest)).Execute(&text, data); err != nil {
		c.t.Fatal(err)
	}
	return text.String()
}

// remove takes the company away. What is left of its namespace goes meanwhile:
// no other test uses the name.
func (c *company) remove() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), setupTime)
	defer cancel()
	if err := removeNamespace(ctx, c.name, false); err != nil {
		c.t.Error(err)
	}
}

// tenant is its PBXTenant, to be read.
func (c *company) tenant() *v1alpha1.PBXTenant {
	return &v1alpha1.PBXTenant{ObjectMeta: metav1.ObjectMeta{Namespace: c.name, Name: c.name}}
}

// ready waits until the tenant takes calls with the manifests as they are and
// every trunk is up.
func (c *company) ready() *v1alpha1.PBXTenant {
	c.t.Helper()
	tenant := c.tenant()
	condition(c.t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
	condition(c.t, tenant, v1alpha1.ConditionConfigApplied, metav1.ConditionTrue, "")
	condition(c.t, tenant, v1alpha1.ConditionTrunksUp, metav1.ConditionTrue, "")
	return tenant
}

// pod is the tenant's pod, which must exist.
func (c *company) pod() *corev1.Pod {
	c.t.Helper()
	pod, err := podOf(within(c.t), c.name, c.name)
	if err != nil || pod == nil {
		c.t.Fatalf("no pod of %s: %v", c.name, err)
	}
	return pod
}

// process names the running process: the pod and its container.
func (c *company) process() string {
	c.t.Helper()
	pod := c.pod()
	if len(pod.Status.ContainerStatuses) != 1 {
		c.t.Fatalf("pod %s/%s has %d containers", c.name, pod.Name, len(pod.Status.ContainerStatuses))
	}
	return string(pod.UID) + " " + pod.Status.ContainerStatuses[0].ContainerID
}

// at is ADDRESS:PORT of the PBX on its node.
func (c *company) at(port func(*v1alpha1.TenantPorts) int32) string {
	c.t.Helper()
	tenant := get(c.t, c.tenant(), c.name, c.name)
	if tenant.Status.Ports == nil {
		c.t.Fatalf("PBXTenant %s has no ports", c.name)
	}
	return net.JoinHostPort(c.pod().Status.HostIP, strconv.Itoa(int(port(tenant.Status.Ports))))
}

func (c *company) sip() string { return c.at(func(p *v1alpha1.TenantPorts) int32 { return p.SIP }) }

func (c *company) admin() string { return c.at(func(p *v1alpha1.TenantPorts) int32 { return p.Admin }) }

// token is the bearer token of its REST interface.
func (c *company) token() string {
	c.t.Helper()
	return string(get(c.t, &corev1.Secret{}, c.name, c.name+"-api").Data[v1alpha1.KeyToken])
}

func newPhone(t *testing.T, config phone.Config) *phone.Phone {
	t.Helper()
	p, err := phone.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// desk registers a phone of an extension. It does not refresh its
// registration: what a new PBX knows of it comes from the volume.
func (c *company) desk(extension string) *phone.Phone {
	c.t.Helper()
	p := newPhone(c.t, phone.Config{
		User: extension, Password: c.password(extension), Domain: c.name + ".pbx.example.com", Server: c.sip(), Listen: phonesAt + ":0",
		NoRefresh: true,
	})
	if err := p.Register(within(c.t), time.Hour); err != nil {
		c.t.Fatalf("extension %s of %s: %v", extension, c.name, err)
	}
	return p
}

// What each side of a conversation says, in Hz.
const (
	outsideTone = 440
	insideTone  = 660
	volume      = 0.5
)

// conversation is a call from outside that a desk phone has answered.
type conversation struct {
	t               *testing.T
	outside, inside *phone.Call
}

// talk calls a desk phone from outside; both sides say their tone.
func (c *company) talk(desk *phone.Phone, did string) *conversation {
	c.t.Helper()
	outside, err := c.carrier.Dial(within(c.t), "sip:"+did+"@"+c.sip(), phone.DialOptions{From: "01099998888"})
	if err != nil {
		c.t.Fatal(err)
	}
	inside, err := desk.WaitIncoming(within(c.t))
	if err != nil {
		c.t.Fatalf("the desk phone does not ring: %v (the caller: %s)", err, outside.State())
	}
	if err := inside.Answer(within(c.t)); err != nil {
		c.t.Fatal(err)
	}
	if err := outside.WaitAnswered(within(c.t)); err != nil {
		c.t.Fatal(err)
	}
	outside.Play(tone.Sine(outsideTone, volume))
	inside.Play(tone.Sine(insideTone, volume))
	v := &conversation{c.t, outside, inside}
	v.goesOn("after the answer")
	return v
}

// goesOn proves by tones that both sides hear each other now.
func (v *conversation) goesOn(when string) {
	v.t.Helper()
	if err := v.outside.WaitTone(within(v.t), insideTone); err != nil {
		v.t.Fatalf("%s: the caller does not hear the desk phone: %v (%s)", when, err, v.outside.State())
	}
	if err := v.inside.WaitTone(within(v.t), outsideTone); err != nil {
		v.t.Fatalf("%s: the desk phone does not hear the caller: %v (%s)", when, err, v.inside.State())
	}
}

// lossless fails if one packet of the call has been lost or late.
func (v *conversation) lossless() {
	v.t.Helper()
	for side, call := range map[string]*phone.Call{"caller": v.outside, "desk phone": v.inside} {
		if s := call.Stats(); s.Lost != 0 || s.Received == 0 {
			v.t.Errorf("the %s received %d packets, %d were lost", side, s.Received, s.Lost)
		}
	}
}

// end hangs up, outside.
func (v *conversation) end() {
	v.t.Helper()
	if err := v.outside.Hangup(within(v.t)); err != nil {
		v.t.Fatal(err)
	}
	if _, err := v.inside.WaitEnded(within(v.t)); err != nil {
		v.t.Fatal(err)
	}
}
