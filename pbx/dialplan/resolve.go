package dialplan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
)

const (
	// maxHops bounds how many places one call may be led through.
	maxHops = 8
	// defaultRing is how long an extension or group rings if nothing is set.
	defaultRing = 30 * time.Second
	// outsideRing is how long an outside number may ring. It is longer than
	// carriers let a call ring, so that the carrier says what became of it.
	outsideRing = 3 * time.Minute
	// forwardRing is the same for a forward, where somebody waits already.
	forwardRing = time.Minute
)

// resolver builds one plan.
type resolver struct {
	doc  *conf.Document
	q    Query
	plan Plan
	// by is the extension (or group) under whose identity outside numbers are
	// called: the caller, or the last one that forwards.
	by string
	// diverted is the number of the last one that forwards, empty before.
	diverted string
}

// Resolve returns where the dialled number leads. It never fails: a number
// that leads nowhere yields a plan with a Refusal.
func Resolve(doc *conf.Document, q Query) Plan {
	r := &resolver{doc: doc, q: q, by: q.From.Extension}
	r.plan.Visited = slices.Clone(q.Visited)
	r.plan.Direction = pbx.Internal
	if q.From.Trunk != "" {
		r.plan.Direction = pbx.Inbound
	}
	if q.By != "" {
		r.by, r.diverted = q.By, q.By
	}
	if refusal := r.route(); refusal != nil {
		r.tracef("refused: %s", refusal.Cause.Text)
		r.plan.Refusal, r.plan.Stages = refusal, nil
	}
	return r.plan
}

func (r *resolver) route() *Refusal {
	digits, ok := clean(r.q.Dialled)
	if !ok {
		return nowhere("the dialled text is no number")
	}
	var refusal *Refusal
	switch {
	case r.q.From.Trunk != "" && r.q.By == "":
		refusal = r.arrive(digits)
	case r.q.By == "" && r.emergency(digits):
	default:
		refusal = r.dial(digits)
	}
	if refusal == nil && len(r.plan.Stages) == 0 {
		return &Refusal{Code: pbx.CodeNoAnswer, Cause: pbx.Cause{SIP: 480, Q850: 20, Text: "Nobody to ring"}}
	}
	return refusal
}

// arrive routes a call that came from a trunk.
func (r *resolver) arrive(digits string) *Refusal {
	forms := arriving(r.doc.Numbering, digits)
	r.tracef("%s arrives on trunk %s", digits, r.q.From.Trunk)
	for _, form := range forms {
		if r.public(form) {
			return nil
		}
	}
	i := slices.IndexFunc(r.doc.Trunks, func(t conf.Trunk) bool { return t.Name == r.q.From.Trunk })
	if i >= 0 && slices.Contains(r.doc.Trunks[i].Numbers, digits) && r.inside(digits) {
		return nil
	}
	return nowhere("no extension, group or flow has the number that was called")
}

// dial routes what an extension dials, or what a call is forwarded to.
func (r *resolver) dial(digits string) *Refusal {
	if r.inside(digits) {
		return nil
	}
	n, ok := r.outsideNumber(digits)
	if !ok {
		return nowhere("no extension, group or outside number is dialled like this")
	}
	if r.public(n.digits) {
		return nil
	}
	return r.outside(n)
}

// outsideNumber reads digits as an outside number: behind the outside prefix,
// or by themselves if they are whole (a phone's contact list knows no prefix).
func (r *resolver) outsideNumber(digits string) (number, bool) {
	prefix := r.doc.Numbering.OutsidePrefix
	var behind, whole number
	if rest, ok := strings.CutPrefix(digits, prefix); ok && prefix != "" && rest != "" {
		behind = normalise(r.doc.Numbering, rest)
	}
	whole = normalise(r.doc.Numbering, digits)
	if prefix != "" && digits[0] != '0' && digits[0] != '+' && !r.q.Written && len(digits) < 8 {
		whole = number{} // short numbers are inside numbers unless prefixed
	}
	if r.q.Written {
		behind, whole = whole, behind
	}
	if behind.class != invalid {
		return behind, true
	}
	return whole, whole.class != invalid
}

// public leads to whoever owns a number that the outside can dial.
func (r *resolver) public(digits string) bool {
	if r.flow(digits) {
		return true
	}
	for i := range r.doc.Extensions {
		if e := &r.doc.Extensions[i]; slices.Contains(e.DIDs, digits) {
			r.tracef("%s is the direct number of extension %s", digits, e.Number)
			r.extension(e)
			return true
		}
	}
	return false
}

// inside leads to a number of the company's own plan.
func (r *resolver) inside(digits string) bool {
	if r.flow(digits) {
		return true
	}
	for i := range r.doc.Extensions {
		if e := &r.doc.Extensions[i]; e.Number == digits {
			r.extension(e)
			return true
		}
	}
	for i := range r.doc.Groups {
		if g := &r.doc.Groups[i]; g.Number == digits {
			r.group(g)
			return true
		}
	}
	return false
}

// visit enters a place, or reports false if the call was there before or has
// been led through too many.
func (r *resolver) visit(place string) bool {
	if slices.Contains(r.plan.Visited, place) {
		r.tracef("%s was tried before: the loop ends here", place)
		return false
	}
	if len(r.plan.Visited) >= maxHops {
		r.tracef("%s is not tried: a call is led through at most %d places", place, maxHops)
		return false
	}
	r.plan.Visited = append(r.plan.Visited, place)
	return true
}

// aim notes the first place that the number leads to.
func (r *resolver) aim(to pbx.Party) {
	if r.plan.To == (pbx.Party{}) {
		r.plan.To = to
	}
}

func (r *resolver) tracef(format string, args ...any) {
	r.plan.Trace = append(r.plan.Trace, fmt.Sprintf(format, args...))
}

func nowhere(text string) *Refusal {
	return &Refusal{Code: pbx.CodeBadNumber, Cause: pbx.Cause{SIP: 404, Q850: 1, Text: "Unknown number: " + text}}
}

func forbidden(text string) *Refusal {
	return &Refusal{Code: pbx.CodeForbidden, Cause: pbx.Cause{SIP: 403, Q850: 21, Text: "Not permitted: " + text}}
}
