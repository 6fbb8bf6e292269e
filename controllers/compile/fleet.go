package compile

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Fleet is what several tenants share.
type Fleet struct {
	Classes []v1alpha1.PBXClass
	Tenants []v1alpha1.PBXTenant
	Plans   []v1alpha1.ExtensionPlan
	Trunks  []v1alpha1.SIPTrunk
	Flows   []v1alpha1.CallFlow
	Bots    []v1alpha1.NaverWorksBot
}

// ChooseClass returns the class of a tenant: the one that it names, or the
// default; nil if there is none.
func ChooseClass(classes []v1alpha1.PBXClass, t *v1alpha1.PBXTenant) *v1alpha1.PBXClass {
	i := slices.IndexFunc(classes, func(c v1alpha1.PBXClass) bool {
		if t.Spec.ClassName == "" {
			return c.Spec.Default
		}
		return c.Name == t.Spec.ClassName
	})
	if i < 0 {
		return nil
	}
	return &classes[i]
}

// CheckFleet finds what no single tenant's Compile can see: pools of classes
// that overlap, two default classes, two tenants with one domain or one bot,
// and objects that name a tenant that does not exist. Of two objects in each
// other's way the problem is the younger's; equal age goes by name.
func CheckFleet(f Fleet) []Problem {
	var out []Problem
	out = append(out, checkClasses(f.Classes)...)
	out = append(out, checkDomains(f.Tenants)...)
	out = append(out, checkBots(f.Bots)...)
	out = append(out, checkRefs(f)...)
	Sort(out)
	return out
}

func checkClasses(classes []v1alpha1.PBXClass) []Problem {
	classes = slices.Clone(classes)
	slices.SortStableFunc(classes, func(a, b v1alpha1.PBXClass) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	var out []Problem
	byDefault := ""
	for i, c := range classes {
		o := Object{Kind: v1alpha1.KindPBXClass, Name: c.Name}
		if c.Spec.Default {
			if byDefault != "" {
				out = append(out, Problem{
					Object: o, Path: "spec.default", Value: "true", Severity: Error, Reason: v1alpha1.ReasonDuplicate,
					Message: "PBXClass " + byDefault + " is the default already: set it on one class only",
				})
			}
			byDefault = cmp.Or(byDefault, c.Name)
		}
		out = append(out, checkScheduling(o, &c.Spec.Scheduling)...)
		p := c.Spec.Network.PortPool
		for _, other := range classes[:i] {
			q := other.Spec.Network.PortPool
			if p.From <= q.To && q.From <= p.To {
				out = append(out, Problem{
					Object: o, Path: "spec.network.portPool", Value: pool(p), Severity: Error, Reason: v1alpha1.ReasonConflict,
					Message: "overlaps the pool " + pool(q) + " of PBXClass " + other.Name + ", so two tenants could get one port: give each class its own range",
				})
			}
		}
	}
	return out
}

func pool(p v1alpha1.PortPool) string {
	return strconv.Itoa(int(p.From)) + "-" + strconv.Itoa(int(p.To))
}

// checkDomains finds tenants that want a domain which is another one's. Who has
// it in force keeps it, however young: otherwise an old tenant could take any
// domain by writing it into its spec.
func checkDomains(tenants []v1alpha1.PBXTenant) []Problem {
	users := map[string][]*v1alpha1.PBXTenant{}
	for i := range tenants {
		for _, name := range Hosts(tenants[i].Spec.Domain, tenants[i].Status.Domain) {
			users[name] = append(users[name], &tenants[i])
		}
	}
	var out []Problem
	for i := range tenants {
		t := &tenants[i]
		if !slices.ContainsFunc(Hosts(t.Spec.Domain), func(name string) bool {
			return slices.ContainsFunc(users[name], func(other *v1alpha1.PBXTenant) bool { return other != t && precedes(other, t, name) })
		}) {
			continue
		}
		// The other tenant's name would tell one customer of another.
		out = append(out, Problem{
			Object: Object{v1alpha1.KindPBXTenant, t.Namespace, t.Name},
			Path:   "spec.domain", Value: t.Spec.Domain, Severity: Error, Reason: v1alpha1.ReasonDuplicate,
			Message: "is the domain of another tenant already, or the host of its phones (sip.DOMAIN): choose another one",
		})
	}
	return out
}

// precedes reports whether a has the better right to a host that both want.
func precedes(a, b *v1alpha1.PBXTenant, host string) bool {
	holds, also := slices.Contains(Hosts(a.Status.Domain), host), slices.Contains(Hosts(b.Status.Domain), host)
	if holds != also {
		return holds
	}
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name)) < 0
}

// Hosts are the names in the DNS that tenants with these domains use, each once.
func Hosts(domains ...string) []string {
	var out []string
	for _, d := range domains {
		if d != "" && !slices.Contains(out, d) {
			out = append(out, d)
		}
		if host := "sip." + d; d != "" && !slices.Contains(out, host) {
			out = append(out, host)
		}
	}
	return out
}

// checkBots finds bots of two tenants. Whose credentials NAVER WORKS takes comes
// first: its number alone, which is no secret, keeps a bot from nobody.
func checkBots(bots []v1alpha1.NaverWorksBot) []Problem {
	bots = slices.Clone(bots)
	unproven := func(b v1alpha1.NaverWorksBot) int {
		if meta.IsStatusConditionTrue(b.Status.Conditions, v1alpha1.ConditionCredentialsValid) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(bots, func(a, b v1alpha1.NaverWorksBot) int {
		return cmp.Or(unproven(a)-unproven(b), a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	type identity struct {
		api string
		bot int64
	}
	type tenant struct{ namespace, name string }
	var out []Problem
	owner := map[identity]tenant{}
	for _, b := range bots {
		id := identity{strings.TrimSuffix(cmp.Or(b.Spec.Endpoints.API, defaultAPI), "/"), b.Spec.BotID}
		t := tenant{b.Namespace, b.Spec.TenantRef.Name}
		if first, taken := owner[id]; taken && first != t {
			out = append(out, Problem{
				Object: Object{v1alpha1.KindNaverWorksBot, b.Namespace, b.Name}, Path: "spec.botID",
				Value: strconv.FormatInt(b.Spec.BotID, 10), Severity: Error, Reason: v1alpha1.ReasonDuplicate,
				Message: "is the bot of another tenant already, and a bot has one callback URL: register a bot of its own in the Developer Console",
			})
			continue
		}
		owner[id] = t
	}
	return out
}

func checkRefs(f Fleet) []Problem {
	type key struct{ namespace, name string }
	known := map[key]bool{}
	for _, t := range f.Tenants {
		known[key{t.Namespace, t.Name}] = true
	}
	var out []Problem
	check := func(kind, namespace, name, ref string) {
		if known[key{namespace, ref}] {
			return
		}
		out = append(out, Problem{
			Object: Object{kind, namespace, name}, Path: "spec.tenantRef.name", Value: ref,
			Severity: Error, Reason: v1alpha1.ReasonNotFound,
			Message: "there is no such PBXTenant in namespace " + namespace + ": create it or name another one",
		})
	}
	for _, x := range f.Plans {
		check(v1alpha1.KindExtensionPlan, x.Namespace, x.Name, x.Spec.TenantRef.Name)
	}
	for _, x := range f.Trunks {
		check(v1alpha1.KindSIPTrunk, x.Namespace, x.Name, x.Spec.TenantRef.Name)
	}
	for _, x := range f.Flows {
		check(v1alpha1.KindCallFlow, x.Namespace, x.Name, x.Spec.TenantRef.Name)
	}
	for _, x := range f.Bots {
		check(v1alpha1.KindNaverWorksBot, x.Namespace, x.Name, x.Spec.TenantRef.Name)
	}
	return out
}
