package manifest

import (
	"crypto/sha256"
	"fmt"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
)

// Check loads manifests and compiles every tenant as `dipcast up` would, with
// placeholders for the Secrets that are made by themselves and a loopback
// address where the nodes' addresses are not known. It returns every problem.
func Check(paths []string) (*Set, []compile.Problem) {
	set, problems := Load(paths)
	return set, append(problems, checkTenants(set, len(problems) > 0)...)
}

// Check is the function Check with a Loader that is kept.
func (l *Loader) Check(paths []string) (*Set, []compile.Problem) {
	set, problems := l.Load(paths)
	return set, append(problems, checkTenants(set, len(problems) > 0)...)
}

// checkTenants compiles every tenant; told says that problems were found before.
func checkTenants(set *Set, told bool) []compile.Problem {
	tenants := set.Tenants()
	problems := AssignPorts(tenants)
	for _, in := range tenants {
		if in.Class == nil || in.Class.Spec.Network.Advertise.From != v1alpha1.AdvertiseStatic {
			in.Advertise = map[string][]string{"": {"127.0.0.1"}}
		}
		for _, w := range compile.MissingSecrets(in) {
			in.Secrets[w.Name] = map[string][]byte{w.Key: placeholder(w)}
		}
		_, more := compile.Compile(in)
		problems = append(problems, more...)
	}
	problems = set.withoutEchoes(problems)
	set.Locate(problems)
	if len(tenants) == 0 && !told && len(problems) == 0 {
		problems = append(problems, compile.Problem{
			Message: "the manifests hold no PBXTenant: write one, as docs/getting-started.md shows", Severity: compile.Error, Reason: v1alpha1.ReasonNotFound,
		})
	}
	return problems
}

// placeholder is a value that is the same on each run and fits the rules.
func placeholder(w compile.SecretWanted) []byte {
	return fmt.Appendf(nil, "%x", sha256.Sum256([]byte(w.Namespace+"/"+w.Name+"/"+w.Key)))
}
