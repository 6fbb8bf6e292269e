package compile

import (
	"regexp"
	"slices"
	"time"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

var (
	reFrom = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	reTo   = regexp.MustCompile(`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`)
)

// weekday returns the day of the week that the API's word means.
func weekday(d v1alpha1.Day) (time.Weekday, bool) {
	i := slices.Index([]v1alpha1.Day{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}, d)
	return time.Weekday(i), i >= 0
}

func flowObject(f *v1alpha1.CallFlow) Object {
	return Object{v1alpha1.KindCallFlow, f.Namespace, f.Name}
}

// isInternal reports whether a flow's number is an internal one: plain digits
// that no trunk brings.
func (c *compiler) isInternal(number string) bool {
	_, did := c.dids[number]
	return onlyDigits(number) && !did
}

// claimFlow claims the internal numbers of a flow.
func (c *compiler) claimFlow(f *v1alpha1.CallFlow) {
	o := flowObject(f)
	for i, n := range f.Spec.Numbers {
		if !c.isInternal(n) {
			continue
		}
		p := place{o, index("spec.numbers", i), isFlow}
		if c.dialable(n, p) {
			c.claim(n, p)
		}
	}
}

func (c *compiler) flows() {
	for i := range c.in.Flows {
		c.flow(&c.in.Flows[i])
	}
}

func (c *compiler) flow(f *v1alpha1.CallFlow) {
	o := flowObject(f)
	out := conf.Flow{Name: f.Name}
	if len(f.Spec.Numbers) == 0 {
		c.errorf(o, "spec.numbers", "", v1alpha1.ReasonInvalid, "must hold at least one number")
	}
	for i, n := range f.Spec.Numbers {
		path := index("spec.numbers", i)
		if c.isInternal(n) {
			if c.mine(n, o, path) {
				out.Numbers = append(out.Numbers, n)
			}
			continue
		}
		if digits, ok := c.leadDID(o, path, n); ok {
			out.Numbers = append(out.Numbers, digits)
		}
	}
	out.Open = c.action(o, "spec.whenOpen", out.Numbers, f.Spec.WhenOpen)
	if f.Spec.WhenClosed != nil {
		out.Closed = c.action(o, "spec.whenClosed", out.Numbers, *f.Spec.WhenClosed)
		if f.Spec.Hours == nil {
			c.errorf(o, "spec.whenClosed", "", v1alpha1.ReasonConflict,
				"needs spec.hours: without hours a flow is always open; add hours or remove whenClosed")
		}
	}
	if f.Spec.Hours != nil {
		out.Hours = c.hours(o, f.Spec.Hours)
	}
	c.doc.Flows = append(c.doc.Flows, out)
}

func (c *compiler) hours(o Object, h *v1alpha1.Hours) *conf.Hours {
	out := &conf.Hours{}
	for i, open := range h.Open {
		path := index("spec.hours.open", i)
		if !reFrom.MatchString(open.From) {
			c.errorf(o, path+".from", open.From, v1alpha1.ReasonInvalid, "must be a time of day such as 10:00")
		}
		if !reTo.MatchString(open.To) {
			c.errorf(o, path+".to", open.To, v1alpha1.ReasonInvalid, "must be a time of day such as 18:00, at most 24:00")
		}
		if open.From >= open.To {
			c.errorf(o, path, open.From+"-"+open.To, v1alpha1.ReasonInvalid,
				"from must be earlier than to: split hours over midnight into two entries, until 24:00 and from 00:00")
		}
		days := conf.OpenHours{From: open.From, To: open.To}
		for j, d := range open.Days {
			day, ok := weekday(d)
			if !ok {
				c.errorf(o, index(path+".days", j), string(d), v1alpha1.ReasonInvalid, "must be Mon, Tue, Wed, Thu, Fri, Sat or Sun")
				continue
			}
			days.Days = append(days.Days, day)
		}
		out.Open = append(out.Open, days)
	}
	if h.Holidays == nil {
		return out
	}
	if h.Holidays.Calendar != "" {
		c.warn(o, "spec.hours.holidays.calendar", h.Holidays.Calendar, v1alpha1.ReasonNotServed,
			"calendars of public holidays are not served yet: on them the flow keeps its weekday hours; list the days in holidays.dates")
	}
	for i, d := range h.Holidays.Dates {
		if _, err := time.Parse(time.DateOnly, d); err != nil {
			c.errorf(o, index("spec.hours.holidays.dates", i), d, v1alpha1.ReasonInvalid, "is no day of the calendar: write one such as 2026-05-01")
			continue
		}
		out.Holidays = append(out.Holidays, d)
	}
	slices.Sort(out.Holidays)
	return out
}

// action compiles what a flow does. An action that is not served would leave
// callers with nothing, so it is an error.
func (c *compiler) action(o Object, path string, numbers []string, a v1alpha1.Action) conf.Action {
	for _, other := range []struct {
		name string
		set  bool
	}{
		{"menu", a.Menu != nil},
		{"announce", a.Announce != nil},
		{voicemail, a.Voicemail != ""},
		{"queue", a.Queue != nil},
	} {
		if other.set {
			c.errorf(o, path+"."+other.name, "", v1alpha1.ReasonNotServed,
				"this action is not served yet and callers would hear nothing: use dial")
			return conf.Action{}
		}
	}
	path += ".dial"
	p, ok := c.internal[a.Dial]
	switch {
	case a.Dial == "":
		c.errorf(o, path, "", v1alpha1.ReasonInvalid, "must name an extension or a group")
	case !ok:
		c.errorf(o, path, a.Dial, v1alpha1.ReasonNotFound,
			"there is no such extension or group: add it to a plan or dial another one")
	case p.kind == isFlow:
		c.errorf(o, path, a.Dial, v1alpha1.ReasonNotServed,
			"is a flow (%s), and a flow that leads to a flow is not served yet: dial an extension or a group", p)
	case p.kind == isConference || p.kind == isPage:
		c.errorf(o, path, a.Dial, v1alpha1.ReasonNotServed,
			"is a %s (%s), which is not served yet: dial an extension or a group", p.kind, p)
	default:
		for _, n := range numbers {
			c.edges[n] = append(c.edges[n], edge{a.Dial, o, path})
		}
		return conf.Action{Dial: a.Dial}
	}
	return conf.Action{}
}
