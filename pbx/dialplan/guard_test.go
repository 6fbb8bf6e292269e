package dialplan

import (
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/pbxtest/memjournal"
)

func TestGuard(t *testing.T) {
	now := time.Date(2026, 3, 4, 15, 30, 0, 0, time.UTC) // half past midnight in Seoul
	g := NewGuard(func() time.Time { return now }, nil)
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

// A tap that is closed stays closed for the next process, and what ended legs
// have talked today counts there.
func TestARestartOpensNoTap(t *testing.T) {
	now := time.Date(2026, 3, 4, 3, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	store := &memjournal.Journal{}
	g := NewGuard(clock, store)
	doc := &conf.Document{Tenant: conf.Tenant{TimeZone: "Asia/Seoul"}, Outbound: conf.Outbound{DailyMinutes: 60, MaxCallsPerMinute: 3}}
	again := func(want bool, what string) {
		t.Helper()
		if admits := NewGuard(clock, store.Copy()).Admit(doc) == nil; admits != want {
			t.Errorf("%s: the next process admits a call: %t", what, admits)
		}
	}
	for range 3 {
		if g.Admit(doc) != nil {
			t.Fatal("the first three calls are admitted")
		}
	}
	again(false, "three calls in this minute")
	now = now.Add(time.Minute)
	again(true, "a minute later")

	g.Talking(doc, "a", time.Time{})
	now = now.Add(59 * time.Minute)
	g.Over(doc, "a")
	again(true, "59 minutes were talked")
	g.Talking(doc, "b", time.Time{})
	now = now.Add(2 * time.Minute)
	g.Over(doc, "b")
	again(false, "61 minutes were talked")
	now = now.Add(24 * time.Hour)
	again(true, "the next day")
	if store.Len() != 1 {
		t.Errorf("%d records, want one", store.Len())
	}
}

// Attempts far from the limit are written now and then, not each.
func TestAttemptsAreWrittenTogether(t *testing.T) {
	now := time.Date(2026, 3, 4, 3, 0, 0, 0, time.UTC)
	store := &memjournal.Journal{}
	g := NewGuard(func() time.Time { return now }, store)
	doc := &conf.Document{Outbound: conf.Outbound{MaxCallsPerMinute: 100}}
	for range 50 {
		g.Admit(doc)
	}
	if n := store.Writes(); n != 1 {
		t.Errorf("%d writes for fifty attempts at once, want one", n)
	}
	now = now.Add(countEvery)
	if g.Admit(doc); store.Writes() != 2 {
		t.Errorf("%d writes a second later, want two", store.Writes())
	}
}
