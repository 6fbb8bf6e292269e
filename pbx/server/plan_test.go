package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dipcast/dipcast/pbx/conf"
)

// sample is a whole, valid document.
func sample() *conf.Document {
	return &conf.Document{
		Version: conf.Version, Generation: "1",
		Tenant: conf.Tenant{
			Namespace: "acme", Name: "acme", DisplayName: "에이크미", Domain: "acme.pbx.example",
			Locale: "ko-KR", TimeZone: "Asia/Seoul",
		},
		Limits:    conf.Limits{Extensions: 50, RegistrationsOperating: 50, RegistrationsMaximum: 100, ConcurrentCalls: 25},
		Network:   conf.Network{Advertise: map[string][]string{"": {"127.0.0.1"}}, Bind: []string{"127.0.0.1"}},
		Numbering: conf.Numbering{Country: "KR", AreaCode: "02", OutsidePrefix: "9", Emergency: []string{"112", "119"}},
		Media:     conf.Media{Codecs: []string{"PCMA", "PCMU"}, SRTP: "Disabled"},
		Recording: conf.Recording{Mode: "Off"},
		Outbound:  conf.Outbound{Policy: "Domestic"},
		Web:       conf.Web{BaseURL: "https://acme.pbx.example"},
		Extensions: []conf.Extension{
			{Number: "101", DisplayName: "김하늘", WorksUser: "haneul@acme.example", MaxContacts: 3, Password: "correct-horse-101"},
			{Number: "102", DisplayName: "이바다", MaxContacts: 3, Password: "correct-horse-102"},
		},
	}
}

func clone(t *testing.T, d *conf.Document) *conf.Document {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var c conf.Document
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

func TestPlan(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*conf.Document)
		want   string
	}{
		"nothing":        {func(*conf.Document) {}, "nothing"},
		"the generation": {func(d *conf.Document) { d.Generation = "2" }, "nothing"},
		"an extension":   {func(d *conf.Document) { d.Extensions[1].DisplayName = "박솔" }, "routing: update, bot: update"},
		"a password":     {func(d *conf.Document) { d.Extensions[1].Password = "another-horse-102" }, "routing: update, bot: update"},
		"a group": {func(d *conf.Document) {
			d.Groups = []conf.Group{{Number: "600", Strategy: conf.RingAll, Members: []string{"101"}, Timeout: conf.Duration(25e9)}}
		}, "routing: update"},
		"the limits":    {func(d *conf.Document) { d.Limits.ConcurrentCalls = 50 }, "routing: update"},
		"the console's": {func(d *conf.Document) { d.Web.Administrators = []string{"haneul@acme.example"} }, "web: update"},
		"its address":   {func(d *conf.Document) { d.Web.BaseURL = "https://pbx.example" }, "bot: update, web: update"},
		"the ports":     {func(d *conf.Document) { d.Network.Ports.SIP = 20014 }, "listeners: restart"},
		"the database":  {func(d *conf.Document) { d.Database.PostgresDSN = "postgres://db.example/acme" }, "database: restart"},
		"another node's address": {func(d *conf.Document) {
			d.Network.Advertise["n2"] = []string{"192.0.2.2"}
			delete(d.Network.Advertise, "n3")
		}, "nothing"},
		"a proxy":                      {func(d *conf.Document) { d.Web.TrustedProxies = []string{"10.244.0.0/16"} }, "web: update"},
		"an entry for this node alone": {func(d *conf.Document) { d.Network.Advertise["n1"] = d.Network.Advertise[""] }, "nothing"},
		"an address of its own":        {func(d *conf.Document) { d.Network.Advertise["n1"] = []string{"127.0.0.2"} }, "listeners: restart"},
		"this node is gone":            {func(d *conf.Document) { d.Network.Advertise = map[string][]string{"n2": {"192.0.2.2"}} }, "listeners: restart"},
		"the node's address":           {func(d *conf.Document) { d.Network.Advertise[""] = []string{"127.0.0.2"} }, "listeners: restart"},
	} {
		running, wanted := clone(t, sample()), clone(t, sample())
		running.Network.Advertise["n3"] = []string{"192.0.2.3"}
		wanted.Network.Advertise["n3"] = []string{"192.0.2.3"}
		tc.change(wanted)
		plan, err := PlanFor(running, wanted, "n1")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tc.want, plan.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPlanNamesWhatWaitsForARestart(t *testing.T) {
	wanted := clone(t, sample())
	wanted.Network.Ports.SIP = 20014
	wanted.Database.PostgresDSN = "postgres://db.example/acme"
	plan, err := PlanFor(sample(), wanted, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Part{PartListeners, PartDatabase}, plan.Restarts()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestADocumentThatMustNotBeApplied(t *testing.T) {
	other := clone(t, sample())
	other.Tenant.Name = "beta"
	if _, err := PlanFor(sample(), other, ""); err == nil || !strings.Contains(err.Error(), "acme/beta") {
		t.Errorf("another tenant's document: error %v", err)
	}
	broken := clone(t, sample())
	broken.Extensions[0].Number = "1x1"
	if _, err := PlanFor(sample(), broken, ""); err == nil || !strings.Contains(err.Error(), "1x1") {
		t.Errorf("a broken document: error %v", err)
	}
}
