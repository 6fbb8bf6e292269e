package dialog

import (
	"strconv"
	"strings"
	"time"
)

// SessionExpires is the Session-Expires header with Min-SE, as they came.
type SessionExpires struct {
	Interval  time.Duration // 0 = no header
	Refresher string        // "uac", "uas" or empty
	MinSE     time.Duration // 0 = no header
	Supported bool          // the sender supports the timer option
}

// ParseSessionExpires reads the values of Session-Expires and Min-SE; wrong
// ones count as absent.
func ParseSessionExpires(expires, minSE string, supported bool) SessionExpires {
	s := SessionExpires{Supported: supported}
	parts := strings.Split(expires, ";")
	s.Interval = seconds(parts[0])
	for _, p := range parts[1:] {
		k, v, _ := strings.Cut(p, "=")
		v = strings.ToLower(strings.TrimSpace(v))
		if strings.EqualFold(strings.TrimSpace(k), "refresher") && (v == "uac" || v == "uas") {
			s.Refresher = v
		}
	}
	value, _, _ := strings.Cut(minSE, ";")
	s.MinSE = seconds(value)
	return s
}

func seconds(v string) time.Duration {
	n, err := strconv.ParseUint(strings.TrimSpace(v), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// Timer is the session timer of a dialog (RFC 4028). Interval 0 means that
// the session has none.
type Timer struct {
	Interval time.Duration `json:"interval,omitempty"`
	Refresh  bool          `json:"refresh,omitempty"` // we refresh, else the peer does
	// Want is the interval that we ask for and Min the shortest that we, or
	// any 422 that we got, accept.
	Want time.Duration `json:"want,omitempty"`
	Min  time.Duration `json:"min,omitempty"`
}

// judge refuses intervals that are too short (§9).
func (t *Timer) judge(s SessionExpires) Verdict {
	if s.Interval > 0 && s.Interval < t.Min && s.Supported {
		return Verdict{Status: 422, MinSE: t.Min}
	}
	return Verdict{}
}

// Judge is what a request that makes a dialog gets: 422 or OK.
func (t *Timer) Judge(s SessionExpires) Verdict { return t.judge(s) }

// Ask returns the values of Session-Expires and Min-SE of a request of ours.
// In a running session the roles stay as they are (§7.4).
func (t *Timer) Ask() (expires, minSE string) {
	want, role := max(t.Want, t.Min), ""
	if t.Interval > 0 {
		want, role = max(t.Interval, t.Min), ";refresher=uas"
		if t.Refresh {
			role = ";refresher=uac"
		}
	}
	if want == 0 {
		return "", ""
	}
	return text(want) + role, text(t.Min)
}

// TooSmall takes the Min-SE of a 422 and reports whether it makes sense to ask
// again (§7.3).
func (t *Timer) TooSmall(minSE time.Duration) bool {
	if minSE <= t.Min || minSE > 24*time.Hour {
		return false
	}
	t.Min = minSE
	if t.Interval > 0 {
		t.Interval = max(t.Interval, minSE)
	}
	return true
}

// Answer settles the timer from a request of the peer and returns the
// Session-Expires of our 2xx, empty for a session without a timer (§9). If the
// peer does not know timers, we refresh.
func (t *Timer) Answer(s SessionExpires) string {
	switch {
	case s.Interval == 0 && !s.Supported:
		if t.Want == 0 {
			t.Interval = 0
			return ""
		}
		t.Interval, t.Refresh = max(t.Want, s.MinSE), true
	case s.Interval == 0:
		if t.Want == 0 {
			t.Interval = 0
			return ""
		}
		t.Interval, t.Refresh = max(t.Want, s.MinSE), false
	default:
		t.Interval = max(s.Interval, t.Min)
		if t.Want > 0 && t.Want < t.Interval {
			t.Interval = max(t.Want, s.MinSE, t.Min)
		}
		t.Refresh = s.Refresher == "uas" || !s.Supported
	}
	if t.Refresh {
		return text(t.Interval) + ";refresher=uas"
	}
	return text(t.Interval) + ";refresher=uac"
}

// Accept settles the timer from the 2xx to a request of ours (§7.2). Without a
// Session-Expires the peer knows no timers; we refresh all the same, so that a
// dead peer is found.
func (t *Timer) Accept(s SessionExpires) {
	if s.Interval == 0 {
		t.Interval, t.Refresh = max(t.Want, t.Min), true
		return
	}
	// An interval below the shortest would have us refresh without a pause.
	t.Interval, t.Refresh = max(s.Interval, t.Min), s.Refresher != "uas"
}

// Due returns after which time something must happen: we refresh at half of
// the interval, or give the session up a third of the interval, at most 32 s,
// before it expires (§10). 0 = never.
func (t *Timer) Due() (refresh, expire time.Duration) {
	if t.Interval <= 0 {
		return 0, 0
	}
	expire = t.Interval - min(32*time.Second, t.Interval/3)
	if t.Refresh {
		refresh = t.Interval / 2
	}
	return refresh, expire
}

func text(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
