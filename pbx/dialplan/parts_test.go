package dialplan

import (
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
)

func TestDisplay(t *testing.T) {
	korea := conf.Numbering{Country: "KR", AreaCode: "02"}
	for in, want := range map[string]string{
		"01012345678": "010-1234-5678", "025550100": "02-555-0100", "0212345678": "02-1234-5678",
		"0313330102": "031-333-0102", "050412345678": "0504-1234-5678", "05051234567": "0505-123-4567", "15881234": "1588-1234",
		"+821012345678": "010-1234-5678", "+12025550100": "+12025550100", "101": "101", "*86": "*86",
		"00112025550100": "00112025550100", "012": "012", "0": "0", "": "", "anonymous": "", "１０１": "", "+": "", "1+1": "",
	} {
		if got := Display(korea, in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	if got := Display(conf.Numbering{Country: "FR"}, "01 23 45"); got != "012345" {
		t.Errorf("shown as %q", got)
	}
}

func TestOpen(t *testing.T) {
	all := []time.Weekday{0, 1, 2, 3, 4, 5, 6}
	day := []conf.OpenHours{{Days: []time.Weekday{time.Wednesday}, From: "10:00", To: "18:00"}}
	night := []conf.OpenHours{{Days: []time.Weekday{time.Wednesday}, From: "22:00", To: "06:00"}}
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 3, day, hour, minute, 30, 0, time.UTC) }
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatalf("%v: the Go tool brings time zones, so this machine's GOROOT is broken", err)
	}
	for name, tt := range map[string]struct {
		hours *conf.Hours
		local time.Time
		want  bool
	}{
		"no hours":              {nil, at(4, 3, 0), true},
		"before":                {&conf.Hours{Open: day}, at(4, 9, 59), false},
		"first minute":          {&conf.Hours{Open: day}, at(4, 10, 0), true},
		"last minute":           {&conf.Hours{Open: day}, at(4, 17, 59), true},
		"after":                 {&conf.Hours{Open: day}, at(4, 18, 0), false},
		"other day":             {&conf.Hours{Open: day}, at(5, 12, 0), false},
		"holiday":               {&conf.Hours{Open: day, Holidays: []string{"2026-03-04"}}, at(4, 12, 0), false},
		"night, evening":        {&conf.Hours{Open: night}, at(4, 23, 0), true},
		"night, morning":        {&conf.Hours{Open: night}, at(5, 5, 59), true},
		"night, over":           {&conf.Hours{Open: night}, at(5, 6, 0), false},
		"night, day before":     {&conf.Hours{Open: night}, at(4, 5, 0), false},
		"night after a holiday": {&conf.Hours{Open: night, Holidays: []string{"2026-03-04"}}, at(5, 5, 0), false},
		"until midnight":        {&conf.Hours{Open: []conf.OpenHours{{Days: all, From: "00:00", To: "24:00"}}}, at(4, 23, 59), true},
		"empty span":            {&conf.Hours{Open: []conf.OpenHours{{Days: all, From: "10:00", To: "10:00"}}}, at(4, 10, 0), false},
		"nonsense":              {&conf.Hours{Open: []conf.OpenHours{{Days: all, From: "x", To: "25:00"}}}, at(4, 10, 0), false},
		"nonsense minute":       {&conf.Hours{Open: []conf.OpenHours{{Days: all, From: "01:6x", To: "24:01"}}}, at(4, 10, 0), false},
		"clock goes forward":    {&conf.Hours{Open: []conf.OpenHours{{Days: all, From: "03:00", To: "04:00"}}}, time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC).In(berlin), true},
		"clock goes back":       {&conf.Hours{Open: []conf.OpenHours{{Days: all, From: "02:00", To: "03:00"}}}, time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC).In(berlin), true},
	} {
		if got, why := open(tt.hours, tt.local); got != tt.want {
			t.Errorf("%s: open %t (%s)", name, got, why)
		}
	}
}

func TestTapMinute(t *testing.T) {
	var tap Tap
	limits := conf.Outbound{MaxCallsPerMinute: 2}
	for i, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Second, true}, {2 * time.Second, false}, {59 * time.Second, false}, {60 * time.Second, true}, {60 * time.Second, false}, {61 * time.Second, true}} {
		refusal := tap.Admit(limits, noon.Add(tt.after))
		if (refusal == nil) != tt.want {
			t.Errorf("attempt %d after %s: %+v", i, tt.after, refusal)
		}
		if refusal != nil && refusal.Code != pbx.CodeLimit {
			t.Errorf("code %s", refusal.Code)
		}
	}
	for range 1000 {
		if tap.Admit(conf.Outbound{}, noon.Add(time.Hour)) != nil {
			t.Fatal("no limit refuses")
		}
	}
	if len(tap.begun) != 0 {
		t.Error("attempts are kept without a limit")
	}
}

func TestTapDay(t *testing.T) {
	var tap Tap
	limits := conf.Outbound{DailyMinutes: 10}
	seoul := time.FixedZone("KST", 9*3600)
	evening := time.Date(2026, 3, 4, 23, 50, 0, 0, seoul)
	minute := func(n int) time.Time { return evening.Add(time.Duration(n) * time.Minute) }
	tap.Over("never talked", minute(0))
	tap.Talking("a", minute(0), minute(0))
	tap.Talking("b", minute(0), minute(0))
	tap.Over("a", minute(4))
	if used := tap.Used(minute(5)); used != 9*time.Minute {
		t.Errorf("used %s", used)
	}
	if tap.Admit(limits, minute(5)) != nil {
		t.Error("refused before the limit")
	}
	if tap.Admit(limits, minute(6)) == nil {
		t.Error("admitted at the limit, a call that still talks does not count")
	}
	if used := tap.Used(minute(12)); used != 2*time.Minute {
		t.Errorf("used %s of the new day", used)
	}
	tap.Over("b", minute(13))
	if used := tap.Used(minute(60)); used != 3*time.Minute {
		t.Errorf("used %s at the end", used)
	}
	if tap.Admit(limits, minute(60)) != nil {
		t.Error("refused on the new day")
	}
}
