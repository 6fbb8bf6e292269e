package dialplan

import (
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
)

// Tap guards a tenant's outside calls against toll fraud: it closes when more
// are begun in a minute, or more minutes are talked in a day, than the
// document allows. Emergency calls do not pass through it.
//
// A Tap has no clock and no lock: its owner passes the time, in the tenant's
// time zone since a day is the tenant's day, and calls it from one goroutine
// at a time. The zero value is ready.
type Tap struct {
	begun   []time.Time // attempts of the last minute, oldest first
	day     time.Time   // midnight that used counts from
	used    time.Duration
	talking map[pbx.LegID]time.Time // since when; at the earliest day
}

// Count is what a Tap has counted but for the legs that still talk.
type Count struct {
	Begun []time.Time   `json:"begun,omitempty"` // attempts of the last minute, oldest first
	Day   time.Time     `json:"day,omitzero"`    // midnight that Used counts from
	Used  time.Duration `json:"used,omitempty"`
}

// Count returns what was counted.
func (t *Tap) Count() Count { return Count{Begun: t.begun, Day: t.day, Used: t.used} }

// Tap returns a Tap that counts on.
func (c Count) Tap() Tap { return Tap{begun: c.Begun, day: c.Day, used: c.Used} }

// Admit counts an attempt, or refuses it.
func (t *Tap) Admit(limits conf.Outbound, now time.Time) *Refusal {
	t.turn(now)
	first := 0
	for first < len(t.begun) && now.Sub(t.begun[first]) >= time.Minute {
		first++
	}
	t.begun = t.begun[first:]
	if t.full(limits) {
		return closed("too many outside calls in one minute")
	}
	if limits.DailyMinutes > 0 && t.Used(now) >= time.Duration(limits.DailyMinutes)*time.Minute {
		return closed("the minutes of outside calls for today are used up")
	}
	if limits.MaxCallsPerMinute > 0 {
		t.begun = append(t.begun, now)
	}
	return nil
}

// full reports whether no more attempts are allowed in this minute.
func (t *Tap) full(limits conf.Outbound) bool {
	return limits.MaxCallsPerMinute > 0 && len(t.begun) >= limits.MaxCallsPerMinute
}

// Talking notes that an outside leg was answered at that time; what it talked
// before today does not count.
func (t *Tap) Talking(leg pbx.LegID, since, now time.Time) {
	t.turn(now)
	if since.Before(t.day) {
		since = t.day
	}
	if t.talking == nil {
		t.talking = make(map[pbx.LegID]time.Time)
	}
	t.talking[leg] = since
}

// Over notes that a leg is over and reports whether it has talked; one that never
// did costs nothing.
func (t *Tap) Over(leg pbx.LegID, now time.Time) (talked bool) {
	t.turn(now)
	since, talked := t.talking[leg]
	if talked {
		t.used += now.Sub(since)
		delete(t.talking, leg)
	}
	return talked
}

// Used returns how long outside legs have talked today, those that still talk
// included.
func (t *Tap) Used(now time.Time) time.Duration {
	t.turn(now)
	used := t.used
	for _, since := range t.talking {
		used += now.Sub(since)
	}
	return used
}

// turn begins a new day at midnight.
func (t *Tap) turn(now time.Time) {
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	if !midnight.After(t.day) {
		return
	}
	t.day, t.used = midnight, 0
	for leg, since := range t.talking {
		if since.Before(midnight) {
			t.talking[leg] = midnight
		}
	}
}

func closed(text string) *Refusal {
	return &Refusal{Code: pbx.CodeLimit, Cause: pbx.Cause{SIP: 503, Q850: 42, Text: "Outside line closed: " + text}}
}
