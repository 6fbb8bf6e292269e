package manifest

import (
	"cmp"
	"slices"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/hostport"
	"github.com/dipcast/dipcast/pbx/conf"
)

// Set is what was read: every object that is right by itself.
type Set struct {
	Fleet   compile.Fleet
	secrets map[string]map[string]map[string][]byte // namespace, name, key
	sources map[compile.Object]*document
	refused map[compile.Object]bool // objects that are not in the set
}

func newSet() *Set {
	return &Set{secrets: map[string]map[string]map[string][]byte{}, sources: map[compile.Object]*document{}, refused: map[compile.Object]bool{}}
}

// claim remembers where an object stands; false with a problem if it stands
// somewhere else already.
func (s *Set) claim(d *document, o compile.Object) (compile.Problem, bool) {
	if first, taken := s.sources[o]; taken {
		return d.problem(o, "metadata.name", "the same object stands in "+first.at("")+" already: remove one of the two",
			v1alpha1.ReasonDuplicate), false
	}
	s.sources[o] = d
	return compile.Problem{}, true
}

func (s *Set) addSecret(namespace, name string, data map[string][]byte) {
	if s.secrets[namespace] == nil {
		s.secrets[namespace] = map[string]map[string][]byte{}
	}
	s.secrets[namespace][name] = data
}

// sort makes the order independent of file names.
func (s *Set) sort() {
	slices.SortStableFunc(s.Fleet.Tenants, func(a, b v1alpha1.PBXTenant) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	slices.SortStableFunc(s.Fleet.Classes, func(a, b v1alpha1.PBXClass) int { return cmp.Compare(a.Name, b.Name) })
}

// Locate fills in the file and line of each problem whose object was read.
func (s *Set) Locate(problems []compile.Problem) {
	for i, p := range problems {
		if d, ok := s.sources[p.Object]; ok && p.File == "" {
			problems[i].File = d.at(p.Path)
		}
	}
}

// withoutEchoes drops problems that only repeat that a refused object is
// missing: a wrong plan would else be told once more for each of its numbers.
func (s *Set) withoutEchoes(problems []compile.Problem) []compile.Problem {
	return slices.DeleteFunc(problems, func(p compile.Problem) bool {
		if p.Reason != v1alpha1.ReasonNotFound && p.Reason != v1alpha1.ReasonSecretMissing {
			return false
		}
		for o := range s.refused {
			if o.Namespace == p.Object.Namespace || o.Namespace == "" {
				return true
			}
		}
		return false
	})
}

// Tenants returns the compiler's input of every tenant by namespace and name,
// with the Secrets of its namespace. Ports, Advertise, Generation and the
// generated Secrets (compile.MissingSecrets) are the caller's to fill in; each
// Secrets map is the caller's own.
func (s *Set) Tenants() []compile.Input {
	var out []compile.Input
	for i := range s.Fleet.Tenants {
		t := &s.Fleet.Tenants[i]
		in := compile.Input{
			Class: compile.ChooseClass(s.Fleet.Classes, t), Tenant: t,
			Secrets: map[string]map[string][]byte{},
		}
		for name, data := range s.secrets[t.Namespace] {
			in.Secrets[name] = data
		}
		for _, x := range s.Fleet.Plans {
			if x.Namespace == t.Namespace && x.Spec.TenantRef.Name == t.Name {
				in.Plans = append(in.Plans, x)
			}
		}
		for _, x := range s.Fleet.Trunks {
			if x.Namespace == t.Namespace && x.Spec.TenantRef.Name == t.Name {
				in.Trunks = append(in.Trunks, x)
			}
		}
		for _, x := range s.Fleet.Flows {
			if x.Namespace == t.Namespace && x.Spec.TenantRef.Name == t.Name {
				in.Flows = append(in.Flows, x)
			}
		}
		for _, x := range s.Fleet.Bots {
			if x.Namespace == t.Namespace && x.Spec.TenantRef.Name == t.Name {
				in.Bots = append(in.Bots, x)
			}
		}
		out = append(out, in)
	}
	return out
}

// AssignPorts gives each tenant the lowest free slot of its class, in order.
// Tenants that have ports already keep them; slots that these touch are passed
// over. A tenant without a class gets none: Compile tells why.
func AssignPorts(tenants []compile.Input) []compile.Problem {
	var problems []compile.Problem
	taken := map[string]map[int]bool{}
	for i := range tenants {
		in := &tenants[i]
		if in.Class == nil || in.Ports != (conf.Ports{}) {
			continue
		}
		class := compile.Object{Kind: v1alpha1.KindPBXClass, Name: in.Class.Name}
		p := in.Class.Spec.Network.PortPool
		layout, err := hostport.New(hostport.Pool{From: int(p.From), To: int(p.To)}, int(in.Class.Spec.Limits.ConcurrentCalls))
		if err != nil {
			problem := compile.Problem{
				Object: class, Path: "spec.network.portPool", Message: err.Error(), Severity: compile.Error, Reason: v1alpha1.ReasonNoPorts,
			}
			if !slices.Contains(problems, problem) {
				problems = append(problems, problem)
			}
			continue
		}
		if taken[class.Name] == nil {
			taken[class.Name] = used(layout, tenants)
		}
		slot, ok := layout.LowestFree(func(n int) bool { return taken[class.Name][n] })
		if !ok {
			problems = append(problems, compile.Problem{
				Object: compile.Object{Kind: v1alpha1.KindPBXTenant, Namespace: in.Tenant.Namespace, Name: in.Tenant.Name},
				Path:   "spec.className", Value: in.Class.Name, Severity: compile.Error, Reason: v1alpha1.ReasonNoPorts,
				Message: "the port pool of this class has no slot left: widen spec.network.portPool of the class or choose another class",
			})
			continue
		}
		taken[class.Name][slot] = true
		if ports, err := layout.Ports(slot); err == nil {
			in.Ports = conf.Ports(ports)
		}
	}
	return problems
}

// used returns the slots that ports given from outside touch.
func used(l hostport.Layout, tenants []compile.Input) map[int]bool {
	out := map[int]bool{}
	for _, in := range tenants {
		p := in.Ports
		for _, port := range []int{p.SIP, p.SIPS, p.WSS, p.HTTP, p.Admin} {
			if slot, ok := l.Slot(port); ok {
				out[slot] = true
			}
		}
		for port := p.RTPFrom; port > 0 && port <= p.RTPTo; port++ {
			if slot, ok := l.Slot(port); ok {
				out[slot] = true
			}
		}
	}
	return out
}
