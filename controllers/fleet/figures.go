package fleet

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// Figures are what the fleet looks like from far away.
type Figures struct {
	// Conditions counts tenants by the status of each condition.
	Conditions map[State]int
	// Waiting and Started count changes that take a new process.
	Waiting, Started int
	// Classes are the last figures of each.
	Classes map[string]v1alpha1.PBXClassStatus
}

// State is a condition and its status.
type State struct{ Type, Status string }

// Figures counts all tenants.
func (f *Fleet) Figures() Figures {
	out := Figures{Conditions: map[State]int{}}
	f.mu.Lock()
	defer f.mu.Unlock()
	out.Classes = maps.Clone(f.classes)
	for name := range f.members {
		m := f.members[name]
		for _, s := range m.states {
			out.Conditions[s]++
		}
		if m.updating {
			out.Started++
		} else if m.waits {
			out.Waiting++
		}
	}
	return out
}

func statesOf(t *v1alpha1.PBXTenant) []State {
	out := make([]State, 0, len(t.Status.Conditions))
	for _, c := range t.Status.Conditions {
		out = append(out, State{c.Type, string(c.Status)})
	}
	return out
}

// countsEvery is how often the figures of one tenant are written at most.
const countsEvery = 10 * time.Second

// CountsWait returns how long new figures of a tenant have to wait to be
// written; 0: they may be written now.
func (f *Fleet) CountsWait(name types.NamespacedName, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if last, ok := f.counted[name]; ok && now.Sub(last) < countsEvery {
		return countsEvery - now.Sub(last)
	}
	f.counted[name] = now
	return 0
}
