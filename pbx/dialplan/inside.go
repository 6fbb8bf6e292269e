package dialplan

import (
	"slices"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
)

// flow follows the call flow that has the number, if there is one.
func (r *resolver) flow(digits string) bool {
	i := slices.IndexFunc(r.doc.Flows, func(f conf.Flow) bool { return slices.Contains(f.Numbers, digits) })
	if i < 0 {
		return false
	}
	f := &r.doc.Flows[i]
	if !r.visit("flow " + f.Name) {
		return true
	}
	action := f.Open
	isOpen, why := open(f.Hours, r.q.Now.In(r.zone()))
	if !isOpen {
		action = f.Closed
	}
	r.tracef("flow %s of %s is %s", f.Name, digits, why)
	if action.Dial == "" {
		r.tracef("flow %s does nothing now", f.Name)
		r.aim(pbx.Party{Number: Display(r.doc.Numbering, digits)})
		return true
	}
	r.tracef("flow %s dials %s", f.Name, action.Dial)
	if !r.inside(action.Dial) {
		r.tracef("%s is neither extension nor group", action.Dial)
		r.aim(pbx.Party{Number: Display(r.doc.Numbering, digits)})
	}
	return true
}

// zone is the tenant's time zone, UTC if it is unknown on this machine.
func (r *resolver) zone() *time.Location {
	zone, err := time.LoadLocation(r.doc.Tenant.TimeZone)
	if err != nil {
		r.tracef("time zone %q is unknown here, UTC is used", r.doc.Tenant.TimeZone)
		return time.UTC
	}
	return zone
}

// extension rings one extension, then follows its forward.
func (r *resolver) extension(e *conf.Extension) {
	p := phone(e)
	r.aim(p.Party())
	if e.Number == r.q.From.Extension {
		r.tracef("extension %s is the caller", e.Number)
		return
	}
	if !r.visit("extension " + e.Number) {
		return
	}
	timeout := ringTime(e.NoAnswer.After)
	r.tracef("extension %s rings for %s", e.Number, timeout)
	r.plan.Stages = append(r.plan.Stages, Stage{Ring: []Phone{p}, Timeout: timeout, Diverted: r.diverted})
	r.forward(e.Number, e.NoAnswer.To)
}

// group rings its members, then follows its forward.
func (r *resolver) group(g *conf.Group) {
	r.aim(pbx.Party{Number: g.Number, Name: g.DisplayName})
	if !r.visit("group " + g.Number) {
		return
	}
	members := r.members(g)
	timeout := ringTime(g.Timeout)
	switch {
	case len(members) == 0:
		r.tracef("group %s has no member to ring", g.Number)
	case g.Strategy == conf.Sequential:
		r.tracef("group %s rings %s in turn, %s each", g.Number, numbers(members), timeout)
		for _, m := range members {
			r.plan.Stages = append(r.plan.Stages, Stage{Ring: []Phone{m}, Timeout: timeout, Busy: true, Diverted: r.diverted})
		}
	default:
		r.tracef("group %s rings %s at once for %s", g.Number, numbers(members), timeout)
		r.plan.Stages = append(r.plan.Stages, Stage{Ring: members, Timeout: timeout, Busy: true, Diverted: r.diverted})
	}
	r.forward(g.Number, g.NoAnswer)
}

// members are the extensions of a group that can be rung for this caller.
func (r *resolver) members(g *conf.Group) []Phone {
	var members []Phone
	for _, number := range g.Members {
		e := r.find(number)
		switch {
		case e == nil:
			r.tracef("member %s of group %s does not exist", number, g.Number)
		case number == r.q.From.Extension:
			r.tracef("member %s of group %s is the caller", number, g.Number)
		case !slices.ContainsFunc(members, func(p Phone) bool { return p.Extension == number }):
			members = append(members, phone(e))
		}
	}
	return members
}

// forward goes on where a number that nobody answered sends its calls.
func (r *resolver) forward(by, to string) {
	if to == "" {
		return
	}
	digits, ok := clean(to)
	if !ok {
		r.tracef("%s forwards to %q, which is no number", by, to)
		return
	}
	r.tracef("without an answer %s forwards to %s", by, digits)
	r.by, r.diverted = by, by
	if refusal := r.dial(digits); refusal != nil {
		r.tracef("the forward ends: %s", refusal.Cause.Text)
	}
}

// divertedOutside is the number that stands for the forwarder outside: its
// direct number if it has one, else the one that the outside caller called.
func (r *resolver) divertedOutside() string {
	if e := r.find(r.diverted); e != nil && len(e.DIDs) > 0 {
		return e.DIDs[0]
	}
	if digits, ok := clean(r.q.Dialled); ok && r.q.From.Trunk != "" && r.q.By == "" {
		return digits
	}
	return r.diverted
}

func (r *resolver) find(number string) *conf.Extension {
	for i := range r.doc.Extensions {
		if r.doc.Extensions[i].Number == number {
			return &r.doc.Extensions[i]
		}
	}
	return nil
}

func phone(e *conf.Extension) Phone {
	return Phone{Extension: e.Number, Name: e.DisplayName, AutoAnswer: e.AutoAnswer, Person: e.WorksUser != ""}
}

func ringTime(d conf.Duration) time.Duration {
	if d <= 0 {
		return defaultRing
	}
	return d.D()
}

func numbers(phones []Phone) string {
	out := make([]string, len(phones))
	for i, p := range phones {
		out[i] = p.Extension
	}
	return strings.Join(out, ", ")
}
