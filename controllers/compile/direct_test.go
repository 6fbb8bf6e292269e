package compile_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/manifest"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/google/go-cmp/cmp"
)

// whole returns an input without a problem, which tests then spoil in ways
// that the schema would have stopped: the compiler does not rely on it.
func whole(t *testing.T, loader *manifest.Loader) compile.Input {
	t.Helper()
	set, problems := loader.Load([]string{"testdata/good/whole.in.yaml"})
	tenants := set.Tenants()
	problems = append(problems, manifest.AssignPorts(tenants)...)
	if len(problems) > 0 || len(tenants) != 1 {
		t.Fatalf("%d tenants, %v", len(tenants), problems)
	}
	in := tenants[0]
	in.Advertise = map[string][]string{"": {"203.0.113.10"}}
	for _, w := range compile.MissingSecrets(in) {
		in.Secrets[w.Name] = map[string][]byte{w.Key: []byte(strings.Repeat("x", 64))}
	}
	return in
}

func newLoader(t *testing.T) *manifest.Loader {
	t.Helper()
	loader, err := manifest.NewLoader()
	if err != nil {
		t.Fatal(err)
	}
	return loader
}

func TestCompilerDoesNotRelyOnTheSchema(t *testing.T) {
	loader := newLoader(t)
	for _, tc := range []struct {
		name  string
		spoil func(in *compile.Input)
		want  string
	}{
		{"no tenant", func(in *compile.Input) { in.Tenant = nil }, "no PBXTenant was given: write one"},
		{"no address", func(in *compile.Input) { in.Advertise = nil }, "PBXTenant acme/acme: no address is known"},
		{"wrong address", func(in *compile.Input) { in.Advertise = map[string][]string{"n1": {"0.0.0.0"}} }, `advertise["n1"] 0.0.0.0: must be an IPv4 or IPv6 address`},
		{"port out of range", func(in *compile.Input) { in.Ports.SIP = 70000 }, "ports.sip 70000: must be 1 to 65535"},
		{"port twice", func(in *compile.Input) { in.Ports.SIPS = in.Ports.SIP }, "ports.sips 20000: is also the port of sip"},
		{"port in the RTP range", func(in *compile.Input) { in.Ports.HTTP = in.Ports.RTPFrom }, "ports.http 20006: lies in the RTP range 20006-20045"},
		{"odd RTP", func(in *compile.Input) { in.Ports.RTPFrom++ }, "ports.rtp 20007-20045: must begin with an even port"},
		{"RTP backwards", func(in *compile.Input) { in.Ports.RTPTo = 1 }, "ports.rtp 20006-1: must lie within 1 to 65535"},
		{"RTP too small", func(in *compile.Input) { in.Ports.RTPTo = in.Ports.RTPFrom + 18 }, "is too small: 5 calls need 20 ports"},
		{"RTP ephemeral", func(in *compile.Input) { in.Ports.RTPFrom, in.Ports.RTPTo = 40000, 40099 }, "reaches into the kernel's ephemeral ports"},
		{"generated Secret not made yet", func(in *compile.Input) { delete(in.Secrets, "acme-api") }, "Secret acme/acme-api with the key token was not made yet"},
		{"generated password not made yet", func(in *compile.Input) { delete(in.Secrets, "acme-ext-101") }, "Secret acme/acme-ext-101 with the key password was not made yet"},
		{"domain", func(in *compile.Input) { in.Tenant.Spec.Domain = "acme pbx" }, `spec.domain "acme pbx": must be a domain name`},
		{"number", func(in *compile.Input) { in.Plans[0].Spec.Extensions[0].Number = "1x1" }, "spec.extensions[0].number 1x1: must be 2 to 8 digits"},
		{"user with a blank", func(in *compile.Input) { in.Plans[0].Spec.Extensions[0].WorksUser = "a b" }, "must be a NAVER WORKS login e-mail or user ID without blanks"},
		{"no member", func(in *compile.Input) { in.Plans[0].Spec.Groups[0].Members = nil }, "spec.groups[0].members: must name at least one extension"},
		{"member twice", func(in *compile.Input) { in.Plans[0].Spec.Groups[0].Members = []string{"101", "101"} }, "spec.groups[0].members[1] 101: is named twice"},
		{"range", func(in *compile.Input) {
			in.Plans[0].Spec.Ranges = []v1alpha1.ExtensionRange{{From: "20", To: "1999"}}
		}, "spec.ranges[0] 20-1999: from and to must be"},
		{"long range", func(in *compile.Input) {
			in.Plans[0].Spec.Ranges = []v1alpha1.ExtensionRange{{From: "20000000", To: "30000000"}}
		}, "has 10000001 numbers: at most 10000"},
		{"range without passwords", func(in *compile.Input) {
			in.Plans[0].Spec.Ranges = []v1alpha1.ExtensionRange{{From: "200", To: "201"}}
		}, "spec.ranges[0]: Secret acme/acme-ext-200 with the key password was not made yet"},
		{"ringing", func(in *compile.Input) { in.Plans[0].Spec.Groups[0].Timeout = "soon" }, `spec.groups[0].timeout soon: must be between 5s and 3m0s`},
		{"no host", func(in *compile.Input) { in.Trunks[0].Spec.Hosts = nil }, "spec.hosts: must name at least one host"},
		{"host", func(in *compile.Input) { in.Trunks[0].Spec.Hosts[0].Host = "a b" }, `spec.hosts[0].host "a b": must be a host name`},
		{"trunk port", func(in *compile.Input) { in.Trunks[0].Spec.Hosts[0].Port = 70000 }, "SIPTrunk acme/kt: spec.hosts[0].port 70000: must be 1 to 65535"},
		{"register without Secret", func(in *compile.Input) { in.Trunks[0].Spec.Auth.Register = true }, "spec.auth.secretRef: register: true needs it"},
		{"network", func(in *compile.Input) {
			in.Trunks[0].Spec.Auth.IPAuthentication.AllowedCIDRs = []string{"10.0.0.1"}
		}, "allowedCIDRs[0] 10.0.0.1: must be a network"},
		{"caller number", func(in *compile.Input) { in.Trunks[0].Spec.CallerID.Default = "" }, "spec.callerID.default: is empty"},
		{"permits everybody", func(in *compile.Input) { in.Trunks[0].Spec.CallerID.Permitted = []string{"0*"} }, `permitted[0] 0*: would permit nearly every number`},
		{"permits abroad", func(in *compile.Input) { in.Trunks[0].Spec.CallerID.Permitted = []string{"+1202*"} }, "permitted[0] +1202*: must be a Korean number"},
		{"letters", func(in *compile.Input) { in.Trunks[0].Spec.Numbers = []string{"02-555-01OO"} }, "must hold digits, spaces and hyphens only"},
		{"flow without number", func(in *compile.Input) { in.Flows[0].Spec.Numbers = nil }, "CallFlow acme/main: spec.numbers: must hold at least one number"},
		{"flow without action", func(in *compile.Input) { in.Flows[0].Spec.WhenOpen = v1alpha1.Action{} }, "spec.whenOpen.dial: must name an extension or a group"},
		{"closed without hours", func(in *compile.Input) { in.Flows[0].Spec.WhenClosed = &v1alpha1.Action{Dial: "101"} }, "spec.whenClosed: needs spec.hours"},
		{"hours", func(in *compile.Input) {
			in.Flows[0].Spec.Hours = &v1alpha1.Hours{Open: []v1alpha1.OpenHours{{Days: []v1alpha1.Day{"Mon", "Day"}, From: "25:00", To: "7pm"}}}
		}, "days[1] Day: must be Mon, Tue"},
		{"opening time", func(in *compile.Input) {
			in.Flows[0].Spec.Hours = &v1alpha1.Hours{Open: []v1alpha1.OpenHours{{From: "18:00", To: "10:00"}}}
		}, "spec.hours.open[0] 18:00-10:00: from must be earlier than to"},
		{"bot", func(in *compile.Input) { in.Bots = []v1alpha1.NaverWorksBot{{}} }, "spec.botID 0: must be the ID"},
		{"bot domain", func(in *compile.Input) { in.Bots = []v1alpha1.NaverWorksBot{{}} }, "spec.domainID 0: must be the ID"},
		{"bot scopes", func(in *compile.Input) {
			in.Bots = []v1alpha1.NaverWorksBot{{Spec: v1alpha1.NaverWorksBotSpec{Scopes: []string{"user.read"}}}}
		}, "spec.scopes user.read: without the scope bot or bot.message"},
		{"endpoint", func(in *compile.Input) {
			in.Bots = []v1alpha1.NaverWorksBot{{Spec: v1alpha1.NaverWorksBotSpec{Endpoints: v1alpha1.BotEndpoints{API: "http://works.example"}}}}
		}, "spec.endpoints.api http://works.example: must be an https URL"},
		{"what only the document refuses", func(in *compile.Input) { in.Generation = "a\nb" }, "the document made of it is wrong: generation"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := whole(t, loader)
			tc.spoil(&in)
			doc, problems := compile.Compile(in)
			if (doc == nil) != compile.HasErrors(problems) {
				t.Errorf("document %v with %v", doc, problems)
			}
			if all := lines(problems); !strings.Contains(all, tc.want) {
				t.Errorf("no problem has %q:\n%s", tc.want, all)
			}
		})
	}
}

func lines(problems []compile.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		b.WriteString(p.String() + "\n")
	}
	return b.String()
}

func TestDefaultsHoldWithoutTheSchema(t *testing.T) {
	loader := newLoader(t)
	in := whole(t, loader)
	in.Tenant.Spec = v1alpha1.PBXTenantSpec{ClassName: "small", Domain: "acme.pbx.example.com"}
	doc, problems := compile.Compile(in)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := conf.Numbering{Country: "KR", AreaCode: "02", OutsidePrefix: "9", Emergency: []string{"112", "119"}}
	if diff := cmp.Diff(want, doc.Numbering); diff != "" {
		t.Error(diff)
	}
	if doc.Tenant.TimeZone != "Asia/Seoul" || doc.Tenant.Locale != "ko-KR" || doc.Tenant.DisplayName != "acme" ||
		doc.Outbound != (conf.Outbound{Policy: "Domestic", MaxCallsPerMinute: 30, DailyMinutes: 600}) {
		t.Errorf("%+v %+v", doc.Tenant, doc.Outbound)
	}
}

func TestNational(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"02-555-0100", "025550100"},
		{" 02 555 0100 ", "025550100"},
		{"(02) 555-0100", ""}, // a number begins with a digit or +
		{"+82-2-555-0100", "025550100"},
		{"+82 1588-1234", "15881234"},
		{"+82 (0)10 1234 5678", "01012345678"},
		{"031.555.0100", "0315550100"},
		{"0505-1234-5678", "050512345678"},
		{"1588-1234", "15881234"},
		{"080-123-4567", "0801234567"},
		{"070-1234-5678", "07012345678"},
		{"+1 202 555 0100", ""},
		{"555-0100", ""},
		{"0", ""},
		{"", ""},
		{"02-555-01OO", ""},
		{"００２", ""},
		{"0212345678901", ""},
	} {
		got, err := compile.National(tc.in)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("National(%q) = %q, %v; want %q", tc.in, got, err, tc.want)
		}
	}
}

func TestProblemString(t *testing.T) {
	for _, tc := range []struct {
		in   compile.Problem
		want string
	}{
		{
			compile.Problem{Object: compile.Object{Kind: "SIPTrunk", Namespace: "acme", Name: "kt"}, Path: "spec.hosts[0].port", Value: "70000", Message: "must be 1-65535"},
			"SIPTrunk acme/kt: spec.hosts[0].port 70000: must be 1-65535",
		},
		{compile.Problem{File: "a.yaml:3", Message: "is no YAML"}, "a.yaml:3: is no YAML"},
		{compile.Problem{Object: compile.Object{Kind: "PBXClass", Name: "small"}, Message: "m"}, "PBXClass small: m"},
		{compile.Problem{Path: "p", Value: "line\nbreak", Message: "m"}, `p "line\nbreak": m`},
		{compile.Problem{Path: "p", Value: strings.Repeat("가", 90), Message: "m"}, "p " + strings.Repeat("가", 80) + "...: m"},
	} {
		if got := tc.in.String(); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

func TestOf(t *testing.T) {
	kt := compile.Object{Kind: "SIPTrunk", Namespace: "acme", Name: "kt"}
	all := []compile.Problem{{Object: kt, Message: "1"}, {Message: "2"}, {Object: kt, Message: "3"}}
	if got := compile.Of(all, kt); len(got) != 2 || got[0].Message != "1" || got[1].Message != "3" {
		t.Errorf("%v", got)
	}
}

func TestMissingSecrets(t *testing.T) {
	loader := newLoader(t)
	in := whole(t, loader)
	if got := compile.MissingSecrets(in); len(got) != 0 {
		t.Errorf("nothing is missing: %v", got)
	}
	if got := compile.MissingSecrets(compile.Input{}); got != nil {
		t.Errorf("no tenant wants no Secret: %v", got)
	}
	in.Secrets = nil
	in.Plans[0].Spec.Extensions[0].SecretRef = &v1alpha1.LocalRef{Name: "own"}
	in.Plans[0].Spec.Ranges = []v1alpha1.ExtensionRange{{From: "102", To: "103"}, {From: "9", To: "1"}}
	in.Plans[0].Spec.Directory = &v1alpha1.Directory{}
	in.Plans[0].Status.Directory = &v1alpha1.DirectoryStatus{Extensions: []v1alpha1.DirectoryExtension{{Number: "150"}, {Number: "102"}, {Number: "x"}}}
	want := []compile.SecretWanted{
		{Namespace: "acme", Name: "acme-api", Key: "token", Bytes: 32},
		{Namespace: "acme", Name: "acme-ext-102", Key: "password", Bytes: 24},
		{Namespace: "acme", Name: "acme-ext-103", Key: "password", Bytes: 24},
		{Namespace: "acme", Name: "acme-ext-150", Key: "password", Bytes: 24},
		{Namespace: "acme", Name: "acme-session", Key: "key", Bytes: 48},
	}
	if diff := cmp.Diff(want, compile.MissingSecrets(in)); diff != "" {
		t.Error(diff)
	}
}

type brokenRandom struct{}

func (brokenRandom) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

func TestMakeNeverReturnsAWeakSecret(t *testing.T) {
	w := compile.SecretWanted{Namespace: "acme", Name: "acme-api", Key: "token", Bytes: 32}
	if data, err := w.Make(brokenRandom{}); err == nil || data != nil {
		t.Errorf("%v, %v; want an error", data, err)
	}
	if _, err := w.Make(strings.NewReader("too short")); err == nil {
		t.Error("a short read must fail")
	}
}

// Who takes a number that another plan has is told, whatever its name.
func TestTheYoungerOfTwoIsAtFault(t *testing.T) {
	in := whole(t, newLoader(t))
	old := &in.Plans[0]
	old.CreationTimestamp.Time = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	young := v1alpha1.ExtensionPlan{}
	young.Namespace, young.Name = old.Namespace, "aaa"
	young.CreationTimestamp.Time = old.CreationTimestamp.Add(time.Hour)
	young.Spec.TenantRef = old.Spec.TenantRef
	young.Spec.Extensions = []v1alpha1.Extension{old.Spec.Extensions[0]}
	in.Plans = append(in.Plans, young)
	_, problems := compile.Compile(in)
	if len(problems) == 0 {
		t.Fatal("a number that two plans have is no problem")
	}
	for _, p := range problems {
		if p.Object.Name != "aaa" {
			t.Errorf("told: %s", p)
		}
	}
}
