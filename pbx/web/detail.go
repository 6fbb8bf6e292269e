package web

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/web/pages"
)

// detail is one call's page; state is empty when the call is over.
func (d drawer) detail(c *pbx.CDR, state pbx.CallState) pages.Detail {
	outcome := string(c.Disposition)
	if state != "" {
		outcome = string(state)
	}
	v := pages.Detail{
		Page: d.page, Row: d.row(c, outcome), Live: state != "",
		Dialled: clip(c.Dialled, 32), Started: d.exact(c.Started), Ended: d.exact(c.Ended),
		Begin: "0:00", End: length(d.end(c).Sub(c.Started)),
	}
	if c.Dialled == c.To.Number || c.Dialled == c.To.Extension {
		v.Dialled = ""
	}
	if a := d.party(c.AnsweredBy); c.AnsweredBy != (pbx.Party{}) {
		v.Answer = strings.TrimSpace(a.Number + " " + a.Name)
	}
	offered := make([]string, len(c.Offered))
	for i, e := range c.Offered {
		offered[i] = d.label(e)
	}
	v.Offered = strings.Join(offered, ", ")
	if state == "" {
		v.Cause = d.cause(c.Cause)
	}
	for _, l := range c.Legs {
		v.Legs = append(v.Legs, d.leg(c, l))
	}
	return v
}

// recording is the call's recording, nil if it has none.
func (d drawer) recording(c *pbx.CDR, state pbx.CallState) *pages.Recording {
	if c.Recording.File == "" {
		return nil
	}
	v := &pages.Recording{Live: state != ""}
	if !v.Live {
		v.Href = "/calls/" + url.PathEscape(string(c.ID)) + "/recording"
		v.Length = length(c.Recording.Duration)
	}
	if m := c.Recording.Missing; m > 0 {
		v.Missing = length(max(m, time.Second))
	}
	return v
}

// leg is one bar of the time line.
func (d drawer) leg(c *pbx.CDR, l pbx.Leg) pages.Leg {
	end := l.Ended
	if end.IsZero() {
		end = d.end(c)
	}
	answered := l.Answered
	if answered.IsZero() {
		answered = end
	}
	total := d.end(c).Sub(c.Started)
	v := pages.Leg{
		Role: string(l.Role), State: string(l.State), Party: d.party(l.Party), Started: d.exact(l.Created),
		X: permille(l.Created.Sub(c.Started), total), TalkX: permille(answered.Sub(c.Started), total),
		Length: length(end.Sub(l.Created)), Cause: d.cause(l.Cause), Quality: d.quality(l.Quality),
	}
	v.Ring, v.Talk = v.TalkX-v.X, permille(end.Sub(c.Started), total)-v.TalkX
	if v.Ring+v.Talk == 0 {
		v.Ring = 1 // too short to be seen, but it was there
	}
	return v
}

// permille is where a moment lies within the whole, 0..1000.
func permille(part, whole time.Duration) int {
	if whole <= 0 {
		return 0
	}
	return int(max(0, min(1000, int64(part)*1000/int64(whole))))
}

// cause is why something ended, in words, with the codes for who looks for
// them.
func (d drawer) cause(c pbx.Cause) string {
	words := d.page.T("cause." + causeKey(c))
	var codes []string
	if c.SIP != 0 {
		codes = append(codes, "SIP "+strconv.Itoa(c.SIP))
	}
	if c.Q850 != 0 {
		codes = append(codes, "Q.850 "+strconv.Itoa(c.Q850))
	}
	if len(codes) == 0 {
		return words
	}
	return words + " (" + strings.Join(codes, ", ") + ")"
}

// causeKey maps ITU-T Q.850 cause values, and SIP statuses where there is
// none (RFC 3398 §8.2.6), to the catalogue.
func causeKey(c pbx.Cause) string {
	if c.Elsewhere {
		return "elsewhere"
	}
	byQ850 := map[int]string{
		1: "no-number", 3: "no-number", 16: "normal", 17: "busy", 18: "no-answer", 19: "no-answer", 20: "unavailable", 21: "rejected",
		27: "unavailable", 28: "no-number", 31: "normal", 34: "limit", 38: "network", 41: "network", 42: "limit", 47: "limit",
		55: "forbidden", 57: "forbidden", 58: "format", 65: "format", 79: "format", 88: "format", 102: "no-answer", 127: "other",
	}
	bySIP := map[int]string{
		200: "normal", 401: "forbidden", 403: "forbidden", 404: "no-number", 408: "no-answer", 410: "no-number", 415: "format", 480: "unavailable",
		484: "no-number", 486: "busy", 487: "cancelled", 488: "format", 500: "network", 502: "network", 503: "network", 504: "network",
		600: "busy", 603: "rejected", 604: "no-number", 606: "format",
	}
	// A status that says more than "hung up" is the better word.
	if key, ok := bySIP[c.SIP]; ok && (c.Q850 == 0 || c.Q850 == 16 || c.Q850 == 31) {
		return key
	}
	if key, ok := byQ850[c.Q850]; ok {
		return key
	}
	if c == (pbx.Cause{}) {
		return "none"
	}
	return "other"
}

// quality is a leg's audio; nil if no packet passed.
func (d drawer) quality(q pbx.Quality) *pages.Quality {
	if q.PacketsIn == 0 && q.PacketsOut == 0 {
		return nil
	}
	in, out := share(q.LostIn, q.PacketsIn+q.LostIn), share(q.LostOut, q.PacketsOut)
	v := &pages.Quality{
		Grade: grade(max(in, out), max(q.JitterIn, q.JitterOut)), Codec: clip(q.Codec, 16),
		LossIn: fmt.Sprintf("%.1f %%", in*100), LossOut: fmt.Sprintf("%.1f %%", out*100),
		Jitter:    fmt.Sprintf("%d ms", max(q.JitterIn, q.JitterOut).Round(time.Millisecond)/time.Millisecond),
		PacketsIn: strconv.FormatUint(q.PacketsIn, 10), PacketsOut: strconv.FormatUint(q.PacketsOut, 10),
	}
	if q.MOSIn > 0 || q.MOSOut > 0 {
		v.MOS = mos(q.MOSIn) + " / " + mos(q.MOSOut)
	}
	if q.RoundTrip > 0 {
		v.Delay = fmt.Sprintf("%d ms", q.RoundTrip.Round(time.Millisecond)/time.Millisecond)
	}
	if n := q.Foreign + q.Malformed; n > 0 {
		v.Dropped = strconv.FormatUint(n, 10)
	}
	return v
}

// mos is an estimated opinion; a direction without packets has none.
func mos(v float64) string {
	if v == 0 {
		return "–"
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// grade says in a word what G.711 without concealment sounds like: under one
// per cent of loss nobody notices, over three everybody does.
func grade(loss float64, jitter time.Duration) string {
	switch {
	case loss > 0.03 || jitter > 60*time.Millisecond:
		return "poor"
	case loss > 0.01 || jitter > 30*time.Millisecond:
		return "fair"
	default:
		return "good"
	}
}
