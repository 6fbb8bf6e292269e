package roster

import (
	"slices"
	"strings"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Claims are the internal numbers and people of a tenant that its manifests,
// or the directory of another plan, have.
type Claims struct {
	numbers   map[string]string // number → who has it
	ranges    []rangeClaim
	users     map[string]userClaim // login or ID, lower case
	emergency []string
	prefix    string // of outside calls
	count     int    // extensions
}

type rangeClaim struct{ from, to, who string }

type userClaim struct{ number, who string }

// NewClaims reads all manifests of a tenant for the plan of that name: of the
// other plans also what their directories gave them.
func NewClaims(t *v1alpha1.PBXTenant, plans []v1alpha1.ExtensionPlan, flows []v1alpha1.CallFlow, plan string) Claims {
	c := Claims{
		numbers: map[string]string{}, users: map[string]userClaim{},
		prefix: "9", emergency: t.Spec.Numbering.Emergency,
	}
	if p := t.Spec.Numbering.OutsidePrefix; p != nil {
		c.prefix = *p
	}
	if c.emergency == nil {
		c.emergency = []string{"112", "119"}
	}
	for i := range plans {
		c.plan(&plans[i], plans[i].Name == plan)
	}
	for _, f := range flows {
		for _, n := range f.Spec.Numbers {
			c.numbers[n] = "spec.numbers of CallFlow " + f.Name
		}
	}
	return c
}

func (c *Claims) plan(p *v1alpha1.ExtensionPlan, self bool) {
	of := " of ExtensionPlan " + p.Name
	for _, e := range p.Spec.Extensions {
		c.numbers[e.Number] = "spec.extensions" + of
		if u := key(e.WorksUser); u != "" {
			c.users[u] = userClaim{e.Number, "spec.extensions" + of}
		}
	}
	c.count += len(p.Spec.Extensions)
	for _, r := range p.Spec.Ranges {
		c.ranges = append(c.ranges, rangeClaim{r.From, r.To, "spec.ranges" + of})
		c.count += size(r)
	}
	for _, g := range p.Spec.Groups {
		c.numbers[g.Number] = "spec.groups" + of
	}
	for _, r := range p.Spec.Conferences {
		c.numbers[r.Number] = "spec.conferences" + of
	}
	for _, r := range p.Spec.Pages {
		c.numbers[r.Number] = "spec.pages" + of
	}
	if self || p.Spec.Directory == nil || p.Status.Directory == nil {
		return
	}
	for _, e := range p.Status.Directory.Extensions {
		if _, taken := c.numbers[e.Number]; !taken {
			c.numbers[e.Number] = "the directory" + of
		}
		if u := key(e.WorksUser); c.users[u] == (userClaim{}) {
			c.users[u] = userClaim{e.Number, "the directory" + of}
		}
	}
	c.count += len(p.Status.Directory.Extensions)
}

// size is how many numbers a range has; 0 if it has none.
func size(r v1alpha1.ExtensionRange) int {
	if len(r.From) != len(r.To) || r.From > r.To {
		return 0
	}
	value := func(s string) (n int) {
		for _, d := range s {
			n = n*10 + int(d-'0')
		}
		return n
	}
	return value(r.To) - value(r.From) + 1
}

// Extensions is how many extensions they are.
func (c Claims) Extensions() int { return c.count }

// number says why a number is not the directory's to give; "" if it is.
func (c Claims) number(n string) string {
	if who := c.numbers[n]; who != "" {
		return who + " has this number"
	}
	for _, r := range c.ranges {
		if len(r.from) == len(n) && r.from <= n && n <= r.to {
			return r.who + " has this number"
		}
	}
	switch {
	case slices.Contains(c.emergency, n):
		return "it is an emergency number"
	case c.prefix != "" && strings.HasPrefix(n, c.prefix):
		return "it begins with the outside prefix " + c.prefix
	case c.prefix == "" && strings.HasPrefix(n, "0"):
		return "it begins with 0 and there is no outside prefix"
	}
	return ""
}

// user returns the extension that a person has already.
func (c Claims) user(p Person) (userClaim, bool) {
	for _, name := range [...]string{p.ID, p.Email} {
		if u, ok := c.users[key(name)]; ok && name != "" {
			return u, true
		}
	}
	return userClaim{}, false
}

func key(user string) string { return strings.ToLower(strings.TrimSpace(user)) }
