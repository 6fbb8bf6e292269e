package fleet

import "github.com/dipcast/dipcast/api/v1alpha1"

// Figures are what the fleet looks like from far away.
type Figures struct {
	// Conditions counts tenants by the status of each condition.
	Conditions map[State]int
	// Waiting and Started count changes that take a new process.
	Waiting, Started int
}

// State is a condition and its status.
type State struct{ Type, Status string }

// Figures counts all tenants.
func (f *Fleet) Figures() Figures {
	out := Figures{Conditions: map[State]int{}}
	f.mu.Lock()
	defer f.mu.Unlock()
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
