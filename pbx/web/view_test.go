package web

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/text"
	"github.com/dipcast/dipcast/pbx/web/pages"
)

func TestCauseInWords(t *testing.T) {
	for _, tt := range []struct {
		cause pbx.Cause
		key   string
	}{
		{pbx.Cause{}, "none"},
		{pbx.Cause{Q850: 16}, "normal"},
		{pbx.Cause{SIP: 200, Q850: 16}, "normal"},
		{pbx.Cause{SIP: 487, Q850: 16}, "cancelled"},
		{pbx.Cause{SIP: 487, Elsewhere: true}, "elsewhere"},
		{pbx.Cause{SIP: 486}, "busy"},
		{pbx.Cause{SIP: 486, Q850: 17}, "busy"},
		{pbx.Cause{SIP: 480, Q850: 19}, "no-answer"},
		{pbx.Cause{SIP: 480}, "unavailable"},
		{pbx.Cause{SIP: 603}, "rejected"},
		{pbx.Cause{SIP: 404, Q850: 1}, "no-number"},
		{pbx.Cause{SIP: 503, Q850: 34}, "limit"},
		{pbx.Cause{SIP: 503}, "network"},
		{pbx.Cause{Q850: 99}, "other"},
		{pbx.Cause{Text: "something"}, "other"},
	} {
		if got := causeKey(tt.cause); got != tt.key {
			t.Errorf("%+v is %q, want %q", tt.cause, got, tt.key)
		}
		for _, lang := range text.Pages() {
			if !text.Has(lang, "page.cause."+tt.key) {
				t.Errorf("%s has no words for %q", lang, tt.key)
			}
		}
	}
}

func TestWordsOfViews(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0:00", 65 * time.Second: "1:05", time.Hour + time.Second: "1:00:01", -time.Second: "0:00", 1500 * time.Millisecond: "0:02",
	} {
		if got := length(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
	if got := clip("a\u202eb\x00c\u200bdef", 7); got != "abcd" {
		t.Errorf("clipped to %q", got)
	}
	for _, tt := range []struct {
		loss   float64
		jitter time.Duration
		want   string
	}{{0, 0, "good"}, {0.02, 0, "fair"}, {0, 40 * time.Millisecond, "fair"}, {0.04, 0, "poor"}, {0, 61 * time.Millisecond, "poor"}} {
		if got := grade(tt.loss, tt.jitter); got != tt.want {
			t.Errorf("loss %v and jitter %s are %q, want %q", tt.loss, tt.jitter, got, tt.want)
		}
	}
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	d := drawer{page: pages.Page{Lang: text.Korean}, zone: time.FixedZone("KST", 9*3600), now: now}
	for at, want := range map[time.Time]string{
		now: "12:00", now.Add(-13 * time.Hour): "11-22 23:00", now.AddDate(-1, 0, 0): "2025-11-23 12:00",
	} {
		if got := d.when(at); got != want {
			t.Errorf("%s is %q, want %q", at, got, want)
		}
	}
	if got := d.party(pbx.Party{Trunk: "kt"}); got.Name != "발신번호 표시제한" {
		t.Errorf("a withheld number is %+v", got)
	}
}

// TestDetailOfOddCalls: records that make no sense are drawn all the same,
// with bars inside the picture.
func TestDetailOfOddCalls(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	d := drawer{page: pages.Page{Lang: text.English}, zone: time.UTC, now: now}
	for name, c := range map[string]pbx.CDR{
		"empty":          {},
		"ends before it": {Started: now, Ended: now.Add(-time.Hour), Answered: now.Add(time.Hour), Legs: []pbx.Leg{{Created: now.Add(-time.Hour), Answered: now.Add(time.Hour)}}},
		"no length":      {Started: now, Ended: now, Legs: []pbx.Leg{{Created: now, Ended: now, State: pbx.LegEnded, Role: "new-role"}}},
	} {
		v := d.detail(&c, "")
		for _, l := range v.Legs {
			if l.X < 0 || l.TalkX < 0 || l.X > 1000 || l.TalkX > 1000 {
				t.Errorf("%s: bars at %d and %d", name, l.X, l.TalkX)
			}
		}
		var b strings.Builder
		if err := pages.Render(&b, v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := pages.Render(&strings.Builder{}, "no view"); err == nil {
		t.Error("a page without a template was drawn")
	}
}

// TestLimiterIsBounded: a million sources fill no memory.
func TestLimiterIsBounded(t *testing.T) {
	now := time.Now()
	l := newLimiter(3, time.Minute, func() time.Time { return now })
	for i := range 3 * maxSources {
		l.take(strings.Repeat("x", i%7) + string(rune(i)))
	}
	if len(l.buckets) > maxSources {
		t.Errorf("%d sources are remembered", len(l.buckets))
	}
	now = now.Add(time.Hour)
	l.take("one more")
	if len(l.buckets) > 1 && len(l.buckets) >= maxSources {
		t.Errorf("%d sources are remembered after an hour", len(l.buckets))
	}
}

// TestReplayFilterIsBounded: so many callbacks cannot come within the window,
// but if they do the oldest is forgotten.
func TestReplayFilterIsBounded(t *testing.T) {
	f := newReplayFilter(4, time.Minute)
	now := time.Now()
	for i := range 20 {
		if !f.first([32]byte{byte(i)}, now) {
			t.Errorf("%d is taken for a duplicate", i)
		}
	}
	if len(f.until) > 4 || len(f.order) > 4 {
		t.Errorf("%d hashes are remembered", len(f.until))
	}
	if f.first([32]byte{19}, now) {
		t.Error("the newest was forgotten")
	}
}

// FuzzQuery: whatever a query holds, what comes out of it is a query that a
// store accepts, or a named field.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "from=2026-11-23&to=2026-11-24", "limit=1000&direction=inbound&disposition=missed", "number=010-1234-5678&extension=101&cursor=abc",
		"limit=-1", "from=%ff", "number=%00", "page=1&page=2", "to=9999-12-31", "from=0000-00-00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		q, errs := parseQuery(v, time.UTC)
		if q.Limit < 0 || q.Limit > maxLimit || strings.Trim(q.Number+q.Extension, "0123456789") != "" || len(q.Cursor) > maxField {
			t.Errorf("%q became %+v", raw, q)
		}
		for _, e := range errs {
			if e.Message == "" || len(e.Value) > maxField {
				t.Errorf("%q is refused with %+v", raw, e)
			}
		}
	})
}
