package web

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// fieldError is what is wrong with one field of a request.
type fieldError struct {
	Field   string `json:"field"`
	Value   string `json:"value"`
	Message string `json:"message"` // English, one sentence with the cure
	key     string // of the console's catalogue
}

const (
	maxField  = 256
	maxLimit  = 1000
	maxDigits = 32
)

// The values of the choices, in the order in which the console shows them.
func directions() []pbx.Direction {
	return []pbx.Direction{pbx.Inbound, pbx.Outbound, pbx.Internal}
}

func dispositions() []pbx.Disposition {
	return []pbx.Disposition{pbx.Answered, pbx.Missed, pbx.BusyCalled, pbx.Refused, pbx.FailedCall}
}

// parseQuery reads a query of call records and reports everything that is
// wrong with it at once. Days are those of the zone; the console's "to" day is
// included as a whole.
func parseQuery(v url.Values, zone *time.Location) (pbx.CDRQuery, []fieldError) {
	p := &queryParser{values: v, zone: zone}
	q := pbx.CDRQuery{
		From: p.time("from", 0), To: p.time("to", 1),
		Number: p.digits("number"), Extension: p.digits("extension"),
		Direction:   choice(p, "direction", directions()),
		Disposition: choice(p, "disposition", dispositions()),
		Limit:       p.limit(),
		Cursor:      p.text("cursor"),
	}
	for name := range v {
		if !slices.Contains([]string{"from", "to", "number", "extension", "direction", "disposition", "limit", "cursor"}, name) {
			p.bad(name, v.Get(name), "", "is not a filter: use from, to, number, extension, direction, disposition, limit, cursor")
		}
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		p.bad("to", v.Get("to"), "filter.bad-date", "must be later than from")
	}
	slices.SortFunc(p.errs, func(a, b fieldError) int { return strings.Compare(a.Field, b.Field) })
	return q, p.errs
}

type queryParser struct {
	values url.Values
	zone   *time.Location
	errs   []fieldError
}

func (p *queryParser) bad(field, value, key, format string, args ...any) {
	if len(value) > maxField {
		value = strings.ToValidUTF8(value[:maxField], "")
	}
	p.errs = append(p.errs, fieldError{Field: field, Value: value, Message: fmt.Sprintf(format, args...), key: key})
}

// text returns a field that is given at most once.
func (p *queryParser) text(field string) string {
	all := p.values[field]
	switch {
	case len(all) == 0:
		return ""
	case len(all) > 1:
		p.bad(field, all[1], "filter.bad-choice", "is given more than once")
	case len(all[0]) > maxField:
		p.bad(field, all[0], "filter.bad-choice", "must have at most %d bytes", maxField)
		return ""
	}
	return strings.TrimSpace(all[0])
}

// time reads an instant or a day; a day that ends a span is taken whole.
func (p *queryParser) time(field string, days int) time.Time {
	s := p.text(field)
	if s == "" {
		return time.Time{}
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC()
	}
	t, err := time.ParseInLocation(time.DateOnly, s, p.zone)
	if err != nil {
		p.bad(field, s, "filter.bad-date", "must be a time like 2026-01-31T09:00:00Z or a day like 2026-01-31")
		return time.Time{}
	}
	return t.AddDate(0, 0, days).UTC()
}

// digits reads a number as people write it and keeps its digits.
func (p *queryParser) digits(field string) string {
	s := p.text(field)
	digits := strings.NewReplacer("-", "", " ", "", "(", "", ")", "", "+", "", ".", "").Replace(s)
	if strings.Trim(digits, "0123456789") != "" || len(digits) > maxDigits || s != "" && digits == "" {
		p.bad(field, s, "filter.bad-number", "must be a number of at most %d digits, hyphens are ignored", maxDigits)
		return ""
	}
	return digits
}

func (p *queryParser) limit() int {
	s := p.text("limit")
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxLimit {
		p.bad("limit", s, "", "must be a number from 1 to %d", maxLimit)
		return 0
	}
	return n
}

func choice[T ~string](p *queryParser, field string, values []T) T {
	s := T(p.text(field))
	if s == "" || slices.Contains(values, s) {
		return s
	}
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = string(v)
	}
	p.bad(field, string(s), "filter.bad-choice", "must be one of %s", strings.Join(names, ", "))
	return ""
}
