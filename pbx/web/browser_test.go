package web_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// company fills the store with a day of two people.
func company(t *testing.T, b *bench) {
	t.Helper()
	pulled := record("call-pulled", "101", 30)
	pulled.PulledBy, pulled.PulledTo = "101", pbx.ToMobile
	pulled.Offered = []string{"101", "102"}
	pulled.To = pbx.Party{Number: "600", Name: "영업부"}
	mobile := pbx.Party{Number: "010-5555-0101", Extension: "101", Trunk: "kt"}
	pulled.AnsweredBy = mobile
	pulled.Legs[1].Answered, pulled.Legs[1].Ended = time.Time{}, pulled.Started.Add(5*time.Second)
	pulled.Legs[1].Cause, pulled.Legs[1].Quality = pbx.Cause{SIP: 487, Elsewhere: true}, pbx.Quality{}
	pulled.Legs = append(pulled.Legs, pbx.Leg{
		ID: "c", Role: pbx.RoleMobile, State: pbx.LegEnded, Party: mobile, Created: pulled.Started.Add(5 * time.Second),
		Answered: pulled.Answered, Ended: pulled.Ended, Cause: pbx.Cause{SIP: 200, Q850: 16},
		Quality: pbx.Quality{PacketsIn: 3100, PacketsOut: 3200, LostIn: 150, JitterIn: 12 * time.Millisecond, RoundTrip: 61 * time.Millisecond, Codec: "PCMA"},
	})
	hostile := missed("call-hostile", "101", 20)
	hostile.From = pbx.Party{Number: "070-0000-0000", Name: `<script>document.title="owned"</script><b>당첨</b>`}
	internal := record("call-internal", "101", 10)
	internal.Direction, internal.From = pbx.Internal, pbx.Party{Number: "102", Name: "이바다", Extension: "102"}
	outbound := record("call-outbound", "101", 5)
	outbound.Direction, outbound.From, outbound.To = pbx.Outbound, pbx.Party{Number: "101", Extension: "101"}, pbx.Party{Number: "02-555-9999", Trunk: "kt"}
	outbound.Disposition, outbound.Answered, outbound.Cause = pbx.BusyCalled, time.Time{}, pbx.Cause{SIP: 486, Q850: 17}
	other := record("call-of-102", "102", 40)
	other.From = pbx.Party{Number: "010-9999-0102", Name: "남의 전화"}
	add(t, b.store, pulled, hostile, internal, outbound, other, missed("call-missed", "101", 25))
	live := time.Now().Add(-42 * time.Second)
	b.control.live = []pbx.Call{{
		ID: "call-live", Direction: pbx.Inbound, State: pbx.CallRinging, From: pbx.Party{Number: "031-777-1234", Name: "최고객"},
		To: pbx.Party{Number: "101", Extension: "101"}, Offered: []string{"101"}, Started: live,
		Legs: []pbx.Leg{
			{ID: "a", Role: pbx.RoleCaller, State: pbx.LegRinging, Party: pbx.Party{Number: "031-777-1234", Name: "최고객"}, Created: live},
			{ID: "b", Role: pbx.RoleDesk, State: pbx.LegRinging, Party: pbx.Party{Number: "101", Extension: "101"}, Created: live.Add(time.Second)},
		},
	}}
}

// TestBrowser looks at the console as people do: Chromium signs in at the
// simulated NAVER WORKS and walks the pages. SHOTS=DIR keeps pictures.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium and some seconds")
	}
	const chromium = "/usr/bin/chromium"
	script, err := filepath.Abs("../../hack/browser/console.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for _, need := range []string{chromium, filepath.Join(filepath.Dir(script), "node_modules/playwright-core/package.json")} {
		if _, err := os.Stat(need); err != nil {
			t.Fatalf("%s is missing: make packages as root; npm ci in hack/browser (go test -short leaves the browser out)", need)
		}
	}
	b := newBench(t)
	company(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	in, err := json.Marshal(map[string]any{
		"base": b.http.URL, "chromium": chromium, "shots": os.Getenv("SHOTS"),
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "node", script, string(in))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("the browser's walk failed: %v", err)
	}
}
