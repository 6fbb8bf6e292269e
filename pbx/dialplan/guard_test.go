package dialplan

import (
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

func TestGuard(t *testing.T) {
	now := time.Date(2026, 3, 4, 15, 30, 0, 0, time.UTC) // half past midnight in Seoul
	g := NewGuard(func() time.Time { return now })
	doc := &conf.Document{Tenant: conf.Tenant{TimeZone: "Asia/Seoul"}, Outbound: conf.Outbound{DailyMinutes: 60}}
	g.Talking(doc, "a", now.Add(-2*time.Hour)) // of which half an hour is today's
	if g.Admit(doc) != nil {
		t.Error("what was talked yesterday counts")
	}
	now = now.Add(time.Minute)
	g.Talking(doc, "b", time.Time{})
	now = now.Add(20 * time.Minute)
	if g.Admit(doc) == nil {
		t.Error("31, 20 and 20 minutes are below an hour")
	}
	g.Over(doc, "a")
	g.Over(doc, "b")
	doc.Tenant.TimeZone = "Moon/Base"
	if zone := g.local(doc).Location(); zone != time.UTC {
		t.Errorf("an unknown zone is %s", zone)
	}
}
