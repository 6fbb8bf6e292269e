package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/web/pages"
)

// historyView is the list's frame: the filter as it was given.
func (s *Server) historyView(r *http.Request, v viewer, values url.Values) pages.History {
	h := pages.History{
		Page: s.page(r, &v), Admin: v.admin,
		Number: values.Get("number"), From: values.Get("from"), To: values.Get("to"), Extension: values.Get("extension"),
	}
	for name := range values {
		h.Filtered = h.Filtered || name != "cursor" && (name != "extension" || v.admin)
	}
	if len(v.extensions) > 1 && !v.admin {
		for _, e := range v.extensions {
			label := strings.TrimSpace(e.Number + " " + e.DisplayName)
			h.Lines = append(h.Lines, pages.Option{Value: e.Number, Label: label, Selected: e.Number == h.Extension})
		}
	}
	all := h.T("filter.any")
	h.Directions, h.Outcomes = []pages.Option{{Label: all}}, []pages.Option{{Label: all}}
	for _, d := range directions() {
		h.Directions = append(h.Directions, pages.Option{
			Value: string(d), Label: h.T("direction." + string(d)), Selected: values.Get("direction") == string(d),
		})
	}
	for _, d := range dispositions() {
		h.Outcomes = append(h.Outcomes, pages.Option{
			Value: string(d), Label: h.T("outcome." + string(d)), Selected: values.Get("disposition") == string(d),
		})
	}
	return h
}

// problem is the sentence about the first wrong filter.
func problem(p pages.Page, e fieldError) string {
	key := e.key
	if key == "" {
		key = "filter.bad-choice"
	}
	return p.T(key, "“"+e.Value+"”")
}

// withoutEmpty drops the fields that a form sends empty.
func withoutEmpty(v url.Values) url.Values {
	out := url.Values{}
	for name, all := range v {
		if len(all) > 0 && strings.TrimSpace(all[0]) != "" {
			out[name] = all
		}
	}
	return out
}

// pathWith is the list's path with one field changed; an empty value takes it
// away.
func pathWith(v url.Values, name, value string) string {
	out := url.Values{}
	for k, all := range v {
		out[k] = all
	}
	out.Del(name)
	if value != "" {
		out.Set(name, value)
	}
	if len(out) == 0 {
		return "/"
	}
	return "/?" + out.Encode()
}

// drawer turns records into what pages show, in the page's language and the
// tenant's time zone.
type drawer struct {
	page  pages.Page
	zone  *time.Location
	now   time.Time
	names map[string]Extension
}

// row is one call of a list; outcome is its disposition or, live, its state.
func (d drawer) row(c *pbx.CDR, outcome string) pages.Row {
	r := pages.Row{
		Href: "/calls/" + url.PathEscape(string(c.ID)), When: d.when(c.Started), Machine: c.Started.UTC().Format(time.RFC3339),
		Direction: string(c.Direction), From: d.party(c.From), To: d.party(c.To), Outcome: outcome,
	}
	if !c.Answered.IsZero() {
		r.Talk = length(d.end(c).Sub(c.Answered))
	}
	if c.PulledBy != "" && c.PulledTo != "" {
		r.Pulled = d.page.T("pulled."+string(c.PulledTo), d.label(c.PulledBy))
	}
	return r
}

// end is when the call ended, now if it has not.
func (d drawer) end(c *pbx.CDR) time.Time {
	if c.Ended.IsZero() {
		return d.now
	}
	return c.Ended
}

// when is short for today and this year.
func (d drawer) when(t time.Time) string {
	t, now := t.In(d.zone), d.now.In(d.zone)
	switch {
	case t.Format(time.DateOnly) == now.Format(time.DateOnly):
		return t.Format("15:04")
	case t.Year() == now.Year():
		return t.Format("01-02 15:04")
	default:
		return t.Format("2006-01-02 15:04")
	}
}

func (d drawer) exact(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(d.zone).Format("2006-01-02 15:04:05")
}

func (d drawer) party(p pbx.Party) pages.Party {
	v := pages.Party{Number: clip(p.Number, 32), Name: clip(p.Name, 60)}
	if p.Extension != "" {
		if v.Number == "" {
			v.Number = p.Extension
		}
		if v.Name == "" {
			v.Name = d.names[p.Extension].DisplayName
		}
	}
	if v.Number == "" && v.Name == "" {
		v.Name = d.page.T("party.withheld")
	}
	if v.Name == v.Number {
		v.Name = ""
	}
	return v
}

// label is an extension with its person.
func (d drawer) label(extension string) string {
	return strings.TrimSpace(clip(extension, 32) + " " + d.names[extension].DisplayName)
}

// clip bounds hostile text and takes out what turns the direction of writing
// or cannot be seen; the template escapes the rest.
func clip(s string, most int) string {
	n := 0
	return strings.Map(func(r rune) rune {
		if n++; n > most || r < ' ' || r == 0x7f || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2060 && r <= 0x2069 || r == 0xfeff {
			return -1
		}
		return r
	}, s)
}

// length is a duration as telephones show it.
func length(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	seconds := int(d.Round(time.Second) / time.Second)
	if seconds >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
	}
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}
