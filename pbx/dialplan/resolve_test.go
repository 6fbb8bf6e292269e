package dialplan

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
)

var update = flag.Bool("update", false, "write the golden files anew")

// noon is a Wednesday, 12:00 in Seoul.
var noon = time.Date(2026, 3, 4, 3, 0, 0, 0, time.UTC)

func company() *conf.Document {
	seconds := func(n int) conf.Duration { return conf.Duration(time.Duration(n) * time.Second) }
	weekdays := []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}
	return &conf.Document{
		Tenant:    conf.Tenant{Name: "acme", TimeZone: "Asia/Seoul"},
		Numbering: conf.Numbering{Country: "KR", AreaCode: "02", OutsidePrefix: "9", Emergency: []string{"112", "119"}},
		Outbound:  conf.Outbound{Policy: "Domestic"},
		Extensions: []conf.Extension{
			{Number: "101", DisplayName: "김하늘", WorksUser: "haneul@acme.example", DIDs: []string{"025550101"}},
			{Number: "102", DisplayName: "이바다", AutoAnswer: true, DIDs: []string{"0313330102", "025550102"}, NoAnswer: conf.Forward{After: seconds(20), To: "101"}},
			{Number: "103", NoAnswer: conf.Forward{To: "104"}},
			{Number: "104", NoAnswer: conf.Forward{To: "103"}},
			{Number: "105", NoAnswer: conf.Forward{To: "9010-1234-5678"}},
			{Number: "106", NoAnswer: conf.Forward{To: "9001-1-202-555-0100"}},
			{Number: "107", NoAnswer: conf.Forward{To: "112"}},
			{Number: "108", NoAnswer: conf.Forward{To: "moon"}},
			{Number: "109", NoAnswer: conf.Forward{To: "600"}},
		},
		Groups: []conf.Group{
			{Number: "600", DisplayName: "영업", Strategy: conf.RingAll, Members: []string{"101", "102", "102", "999"}, Timeout: seconds(25), NoAnswer: "105"},
			{Number: "601", Strategy: conf.Sequential, Members: []string{"101", "102"}, Timeout: seconds(15)},
			{Number: "602", Strategy: conf.RingAll},
			{Number: "603", Strategy: conf.RingAll, NoAnswer: "9010-1234-5678"},
		},
		Trunks: []conf.Trunk{
			{Name: "alpha", Numbers: []string{"025550100", "0313330102", "600"}, CallerID: conf.CallerID{Default: "025550100", Permitted: []string{"02555*"}}},
			{Name: "beta", CallerID: conf.CallerID{Default: "0313330100", Permitted: []string{"0313330102"}}},
			{Name: "mute"},
		},
		Flows: []conf.Flow{
			{
				Name: "main", Numbers: []string{"025550100", "1"},
				Hours:  &conf.Hours{Open: []conf.OpenHours{{Days: weekdays, From: "10:00", To: "18:00"}}, Holidays: []string{"2026-03-02"}},
				Open:   conf.Action{Dial: "600"},
				Closed: conf.Action{Dial: "103"},
			},
			{Name: "shut", Numbers: []string{"025550109"}, Hours: &conf.Hours{}, Open: conf.Action{Dial: "101"}},
			{Name: "wrong", Numbers: []string{"2"}, Open: conf.Action{Dial: "77"}},
			{Name: "turn", Numbers: []string{"3"}, Open: conf.Action{Dial: "3"}},
		},
	}
}

// TestGolden resolves each query and compares the whole plan, trace included.
func TestGolden(t *testing.T) {
	from := func(x string) pbx.Party { return pbx.Party{Extension: x} }
	trunk := pbx.Party{Trunk: "alpha", Number: "01099998888"}
	for name, q := range map[string]Query{
		"extension":                     {Dialled: "101", From: from("103")},
		"extension-forwards-inside":     {Dialled: "102", From: from("103")},
		"forward-loop":                  {Dialled: "103", From: from("101")},
		"forward-outside":               {Dialled: "105", From: from("101")},
		"forward-forbidden":             {Dialled: "106", From: from("101")},
		"forward-to-emergency":          {Dialled: "107", From: from("101")},
		"forward-to-nonsense":           {Dialled: "108", From: from("101")},
		"group-ring-all":                {Dialled: "600", From: from("103")},
		"group-with-the-caller":         {Dialled: "600", From: from("101")},
		"group-sequential":              {Dialled: "601", From: from("103")},
		"group-empty":                   {Dialled: "602", From: from("103")},
		"group-empty-forwards":          {Dialled: "603", From: from("103")},
		"flow-open":                     {Dialled: "025550100", From: trunk},
		"flow-closed":                   {Dialled: "025550100", From: trunk, Now: noon.Add(8 * time.Hour)},
		"flow-holiday":                  {Dialled: "1", From: from("101"), Now: noon.AddDate(0, 0, -2)},
		"flow-does-nothing":             {Dialled: "025550109", From: trunk},
		"flow-to-nowhere":               {Dialled: "2", From: from("101")},
		"flow-to-itself":                {Dialled: "3", From: from("101")},
		"did":                           {Dialled: "025550101", From: trunk},
		"did-e164":                      {Dialled: "+82-2-555-0101", From: trunk},
		"did-without-zero":              {Dialled: "25550101", From: trunk},
		"did-without-plus":              {Dialled: "8225550101", From: trunk},
		"did-local":                     {Dialled: "5550101", From: trunk},
		"did-unknown":                   {Dialled: "025559999", From: trunk},
		"did-is-a-group":                {Dialled: "600", From: trunk},
		"trunk-to-extension":            {Dialled: "101", From: trunk},
		"trunk-to-trunk":                {Dialled: "01012345678", From: trunk},
		"trunk-to-trunk-by-prefix":      {Dialled: "901012345678", From: trunk},
		"trunk-to-emergency":            {Dialled: "112", From: trunk},
		"trunk-forwarded-outside":       {Dialled: "025550100", From: trunk},
		"outside-prefix":                {Dialled: "9010-1234-5678", From: from("101")},
		"outside-whole":                 {Dialled: "010 1234 5678", From: from("102")},
		"outside-local":                 {Dialled: "9777-1234", From: from("101")},
		"outside-short-needs-prefix":    {Dialled: "114", From: from("101")},
		"outside-short":                 {Dialled: "9114", From: from("101")},
		"outside-own-did":               {Dialled: "902-555-0101", From: from("103")},
		"outside-premium":               {Dialled: "9060-123-4567", From: from("101")},
		"outside-international":         {Dialled: "9+1-202-555-0100", From: from("101")},
		"outside-international-refused": {Dialled: "+1 202 555 0100", From: from("101")},
		"emergency":                     {Dialled: "112", From: from("101")},
		"emergency-prefix":              {Dialled: "9119", From: from("101")},
		"written-outside":               {Dialled: "010-1234-5678", From: from("101"), Written: true},
		"written-inside":                {Dialled: "102", From: from("101"), Written: true},
		"written-with-prefix":           {Dialled: "9010-1234-5678", From: from("101"), Written: true},
		"by-forwarder":                  {Dialled: "010-1234-5678", From: trunk, By: "102", Written: true},
		"by-visited":                    {Dialled: "101", From: trunk, By: "102", Visited: []string{"extension 101"}},
		"empty":                         {Dialled: "", From: from("101")},
		"letters":                       {Dialled: "101; rm", From: from("101")},
		"feature-code":                  {Dialled: "*86", From: from("101")},
	} {
		t.Run(name, func(t *testing.T) {
			if q.Now.IsZero() {
				q.Now = noon
			}
			got, err := json.MarshalIndent(Resolve(company(), q), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPolicy(t *testing.T) {
	for name, tt := range map[string]struct {
		policy   string
		suspend  bool
		dialled  string
		wantCode pbx.Code // empty: allowed
	}{
		"none":                       {"None", false, "901012345678", pbx.CodeForbidden},
		"internal":                   {"Internal", false, "901012345678", pbx.CodeForbidden},
		"internal, inside":           {"Internal", false, "102", ""},
		"domestic":                   {"Domestic", false, "901012345678", ""},
		"domestic, abroad":           {"Domestic", false, "9001-1-202-555-0100", pbx.CodeForbidden},
		"domestic, abroad by 00700":  {"Domestic", false, "900700-1-202-555-0100", pbx.CodeForbidden},
		"domestic, home by +82":      {"Domestic", false, "9+82 10-1234-5678", pbx.CodeBadNumber},
		"whole +82":                  {"Domestic", false, "+82 10-1234-5678", ""},
		"international":              {"International", false, "9001-1-202-555-0100", ""},
		"international, premium":     {"International", false, "9060-123-4567", pbx.CodeForbidden},
		"international, +979":        {"International", false, "+979 1234 56789", pbx.CodeForbidden},
		"unknown policy":             {"", false, "901012345678", pbx.CodeForbidden},
		"suspended":                  {"International", true, "901012345678", pbx.CodeForbidden},
		"suspended, inside":          {"International", true, "102", ""},
		"suspended, emergency":       {"International", true, "119", ""},
		"none, emergency":            {"None", false, "9112", ""},
		"international, unassigned":  {"International", false, "9004-1-202-555-0100", pbx.CodeBadNumber},
		"international, too short":   {"International", false, "+1234", pbx.CodeBadNumber},
		"domestic, abroad by +82 00": {"Domestic", false, "+82 00 1 247 66 789", pbx.CodeBadNumber},
		"domestic, +82 and the zero": {"Domestic", false, "+82 010-1234-5678", ""},
		"premium by +82 and a zero":  {"International", false, "+82 060-123-4567", pbx.CodeForbidden},
		"domestic, company number":   {"Domestic", false, "91588-1234", ""},
		"domestic, company from +82": {"Domestic", false, "+8215881234", ""},
	} {
		t.Run(name, func(t *testing.T) {
			doc := company()
			doc.Outbound.Policy, doc.Tenant.Suspend = tt.policy, tt.suspend
			p := Resolve(doc, Query{Dialled: tt.dialled, From: pbx.Party{Extension: "101"}, Now: noon})
			var got pbx.Code
			if p.Refusal != nil {
				got = p.Refusal.Error().Code
			}
			if got != tt.wantCode {
				t.Errorf("code %q, want %q: %v", got, tt.wantCode, p.Trace)
			}
		})
	}
}

func TestEmergencyNeedsNoCallerNumber(t *testing.T) {
	doc := company()
	doc.Trunks = doc.Trunks[2:]
	p := Resolve(doc, Query{Dialled: "112", From: pbx.Party{Extension: "101"}, Now: noon})
	if !p.Emergency || len(p.Stages[0].Out.Ways) != 1 {
		t.Errorf("plan %+v", p)
	}
	p = Resolve(doc, Query{Dialled: "901012345678", From: pbx.Party{Extension: "101"}, Now: noon})
	if p.Refusal == nil || p.Refusal.Code != pbx.CodeNoTrunk {
		t.Errorf("refusal %+v", p.Refusal)
	}
}

func TestLongForwardChainEnds(t *testing.T) {
	doc := company()
	for i := range 20 {
		doc.Extensions = append(doc.Extensions, conf.Extension{
			Number: "3" + string(rune('a'+i)), NoAnswer: conf.Forward{To: "3" + string(rune('b'+i))},
		})
	}
	for i := range doc.Extensions { // numbers must be digits to be dialled
		if n := &doc.Extensions[i]; n.Number[0] == '3' {
			n.Number = "30" + string('0'+rune(i%10)) + string('0'+rune(i/10))
			next := i + 1
			n.NoAnswer.To = "30" + string('0'+rune(next%10)) + string('0'+rune(next/10))
		}
	}
	p := Resolve(doc, Query{Dialled: doc.Extensions[9].Number, From: pbx.Party{Extension: "101"}, Now: noon})
	if len(p.Stages) != maxHops {
		t.Errorf("%d stages, want %d", len(p.Stages), maxHops)
	}
}

func TestCountriesWithoutRulesOfTheirOwn(t *testing.T) {
	doc := company()
	doc.Numbering = conf.Numbering{Country: "FR"}
	doc.Outbound.Policy = "International"
	for dialled, want := range map[string]string{
		"0123456789": "0123456789", "0012025550100": "+12025550100", "+12025550100": "+12025550100", "12": "", "00": "",
	} {
		p := Resolve(doc, Query{Dialled: dialled, From: pbx.Party{Extension: "101"}, Now: noon})
		got := ""
		if p.Refusal == nil {
			got = p.Stages[0].Out.Number
		}
		if got != want {
			t.Errorf("%s is called as %q, want %q", dialled, got, want)
		}
	}
}

func TestUnknownZoneIsUTC(t *testing.T) {
	doc := company()
	doc.Tenant.TimeZone = "Moon/Base"
	p := Resolve(doc, Query{Dialled: "1", From: pbx.Party{Extension: "101"}, Now: noon})
	if !strings.Contains(strings.Join(p.Trace, "\n"), "UTC is used") || p.To.Number != "103" {
		t.Errorf("trace %q", p.Trace)
	}
}

func TestClone(t *testing.T) {
	p := Resolve(company(), Query{Dialled: "105", From: pbx.Party{Extension: "101"}, Now: noon})
	c := p.Clone()
	if diff := cmp.Diff(p, c); diff != "" {
		t.Error(diff)
	}
	c.Stages[0].Ring[0].Extension, c.Stages[1].Out.Ways[0].Trunk, c.Trace[0] = "x", "x", "x"
	if p.Stages[0].Ring[0].Extension == "x" || p.Stages[1].Out.Ways[0].Trunk == "x" || p.Trace[0] == "x" {
		t.Error("the copy shares memory")
	}
	refused := Resolve(company(), Query{Dialled: "?"}).Clone()
	if refused.Refusal == nil {
		t.Error("the refusal is lost")
	}
}

func FuzzResolve(f *testing.F) {
	for _, s := range []string{
		"101", "9010-1234-5678", "+82", "+", "00", "0070012025550100", "112", "9112", "*#06#", "９１１", "\x00101", "9", "82",
		"+8282828282", strings.Repeat("9", 100), "1;phone-context=+1", "001", "+820", "02", "060", "1588",
	} {
		f.Add(s, true, false)
		f.Add(s, false, true)
	}
	doc := company()
	doc.Outbound.Policy = "International"
	f.Fuzz(func(t *testing.T, dialled string, fromTrunk, written bool) {
		from := pbx.Party{Extension: "101"}
		if fromTrunk {
			from = pbx.Party{Trunk: "alpha"}
		}
		p := Resolve(doc, Query{Dialled: dialled, From: from, Now: noon, Written: written})
		if (p.Refusal == nil) == (len(p.Stages) == 0) {
			t.Fatalf("%q: neither a way nor a refusal, or both: %+v", dialled, p)
		}
		for i, s := range p.Stages {
			if s.Out == nil && len(s.Ring) == 0 || s.Timeout <= 0 {
				t.Fatalf("%q: empty stage %+v", dialled, s)
			}
			if s.Out == nil {
				continue
			}
			if fromTrunk && i == 0 {
				t.Fatalf("%q from a trunk reaches a trunk", dialled)
			}
			if strings.Trim(s.Out.Number, "+0123456789") != "" || strings.HasPrefix(s.Out.Number, "060") {
				t.Fatalf("%q is called as %q", dialled, s.Out.Number)
			}
		}
		if d := Display(doc.Numbering, dialled); strings.Trim(d, "+-0123456789*#") != "" {
			t.Fatalf("%q is shown as %q", dialled, d)
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	doc := company()
	q := Query{Dialled: "025550100", From: pbx.Party{Trunk: "alpha", Number: "01099998888"}, Now: noon}
	b.ReportAllocs()
	for b.Loop() {
		Resolve(doc, q)
	}
}
