package dialplan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

// open reports whether the hours are open at the local time, and the reason.
// A span whose To is not after its From runs over midnight and belongs, with
// its holidays, to the day on which it began. Hours are read off the wall
// clock, so that 10:00 is 10:00 on the days when clocks change, too.
func open(h *conf.Hours, local time.Time) (bool, string) {
	if h == nil {
		return true, "always open"
	}
	minute := local.Hour()*60 + local.Minute()
	yesterday := local.AddDate(0, 0, -1)
	for _, span := range h.Open {
		from, okFrom := minuteOf(span.From)
		to, okTo := minuteOf(span.To)
		if !okFrom || !okTo || from == to {
			continue
		}
		overnight := to < from
		if minute >= from && (overnight || minute < to) && opens(h, span, local) {
			return true, fmt.Sprintf("open: %s %s-%s", local.Weekday(), span.From, span.To)
		}
		if overnight && minute < to && opens(h, span, yesterday) {
			return true, fmt.Sprintf("open: %s %s-%s", yesterday.Weekday(), span.From, span.To)
		}
	}
	if slices.Contains(h.Holidays, local.Format(time.DateOnly)) {
		return false, "closed: " + local.Format(time.DateOnly) + " is a holiday"
	}
	return false, fmt.Sprintf("closed: %s %s", local.Weekday(), local.Format("15:04"))
}

// opens reports whether the span begins on that day.
func opens(h *conf.Hours, span conf.OpenHours, day time.Time) bool {
	return slices.Contains(span.Days, day.Weekday()) &&
		!slices.Contains(h.Holidays, day.Format(time.DateOnly))
}

// minuteOf reads "15:04" as minutes since midnight; "24:00" is allowed.
func minuteOf(s string) (int, bool) {
	hour, minute, ok := strings.Cut(s, ":")
	if !ok || len(minute) != 2 {
		return 0, false
	}
	h, errH := strconv.Atoi(hour)
	m, errM := strconv.Atoi(minute)
	if errH != nil || errM != nil || h < 0 || m < 0 || m > 59 || h*60+m > 24*60 {
		return 0, false
	}
	return h*60 + m, true
}
