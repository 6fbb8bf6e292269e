package dialplan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
)

// The outbound policies of conf.Outbound.
const (
	policyNone          = "None"
	policyInternal      = "Internal"
	policyDomestic      = "Domestic"
	policyInternational = "International"
)

// emergency routes an emergency call of an extension. It is asked first, so
// that no extension, policy or suspension can stand in its way.
func (r *resolver) emergency(digits string) bool {
	if r.q.From.Extension == "" {
		return false
	}
	n := digits
	if rest, ok := strings.CutPrefix(digits, r.doc.Numbering.OutsidePrefix); ok &&
		!slices.Contains(r.doc.Numbering.Emergency, digits) {
		n = rest
	}
	if !slices.Contains(r.doc.Numbering.Emergency, n) {
		return false
	}
	r.tracef("%s is an emergency number: every trunk may be used", n)
	out := &Outside{Number: n, Display: n, Emergency: true}
	for i := range r.doc.Trunks {
		t := &r.doc.Trunks[i]
		from, _ := r.presented(t)
		out.Ways = append(out.Ways, Way{Trunk: t.Name, From: from})
	}
	r.plan.Direction, r.plan.Emergency = pbx.Outbound, true
	r.aim(pbx.Party{Number: n})
	r.plan.Stages = []Stage{{Out: out, Timeout: outsideRing}}
	return true
}

// outside routes a call to an outside number under the identity of r.by.
func (r *resolver) outside(n number) *Refusal {
	display := Display(r.doc.Numbering, n.digits)
	if r.plan.To == (pbx.Party{}) && r.q.From.Trunk == "" {
		r.plan.Direction = pbx.Outbound
	}
	r.aim(pbx.Party{Number: display})
	if refusal := r.permitted(n); refusal != nil {
		return refusal
	}
	if !r.visit("outside " + n.digits) {
		return nil
	}
	out := &Outside{Number: n.digits, Display: display}
	for i := range r.doc.Trunks {
		t := &r.doc.Trunks[i]
		from, why := r.presented(t)
		if from == "" {
			r.tracef("trunk %s is passed over: it has no number that may be presented", t.Name)
			continue
		}
		r.tracef("%s by trunk %s, presenting %s (%s)", n.digits, t.Name, from, why)
		out.Ways = append(out.Ways, Way{Trunk: t.Name, From: from})
	}
	if len(out.Ways) == 0 {
		return &Refusal{Code: pbx.CodeNoTrunk, Cause: pbx.Cause{SIP: 503, Q850: 34, Text: "No trunk is configured for outside calls"}}
	}
	timeout := outsideRing
	if r.diverted != "" {
		timeout = forwardRing
	}
	r.plan.Stages = append(r.plan.Stages, Stage{Out: out, Timeout: timeout, Diverted: r.divertedOutside()})
	return nil
}

// permitted applies the outbound policy. What it does not know it refuses.
func (r *resolver) permitted(n number) *Refusal {
	policy := r.doc.Outbound.Policy
	switch {
	case r.by == "":
		return nowhere("outside callers reach numbers of the company only")
	case slices.Contains(r.doc.Numbering.Emergency, n.digits):
		return forbidden("emergency numbers are called by people, not by forwards")
	case r.doc.Tenant.Suspend:
		return forbidden("outside calls of the company are suspended")
	case n.class == premium:
		return forbidden("premium-rate numbers are blocked")
	case policy == policyInternational:
		return nil
	case policy == policyDomestic && n.class == domestic:
		return nil
	case policy == policyDomestic:
		return forbidden("the outbound policy Domestic blocks international numbers")
	case policy == policyNone, policy == policyInternal:
		return forbidden("the outbound policy " + policy + " blocks outside numbers")
	default:
		return forbidden("the outbound policy is unknown")
	}
}

// presented is the caller number that the trunk may show for r.by, and why:
// a direct number of its own if the trunk permits it, else the default.
func (r *resolver) presented(t *conf.Trunk) (from, why string) {
	if e := r.find(r.by); e != nil {
		for _, did := range e.DIDs {
			if permits(t.CallerID, did) {
				return did, "the direct number of extension " + e.Number
			}
		}
	}
	return t.CallerID.Default, "the trunk's default"
}

// permits reports whether a number may be presented by those rules.
func permits(c conf.CallerID, digits string) bool {
	return digits == c.Default || slices.ContainsFunc(c.Permitted, func(pattern string) bool {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(digits, prefix)
		}
		return pattern == digits
	})
}

// InOrder returns the outside number with its ways in the order of the trunks.
func (o *Outside) InOrder(trunks []string) *Outside {
	sorted := *o
	sorted.Ways = slices.SortedStableFunc(slices.Values(o.Ways), func(a, b Way) int {
		return cmp.Compare(slices.Index(trunks, a.Trunk), slices.Index(trunks, b.Trunk))
	})
	return &sorted
}
