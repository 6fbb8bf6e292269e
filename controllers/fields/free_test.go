package fields

import (
	"strconv"
	"testing"
)

// free are the fields that cannot be wrong beyond their type and their length,
// each with the reason.
func free() map[string]map[string]string {
	const choice = "yes and no both work"
	out := map[string]map[string]string{
		"ExtensionPlan": {"spec.extensions[].autoAnswer": choice},
		"PBXTenant":     {"spec.suspend": choice},
		"NaverWorksBot": {"spec.manageBot": choice},
		"CallFlow":      {},
	}
	for _, card := range []string{"external", "internal", "fax", "missed", "voicemail"} {
		out["NaverWorksBot"]["spec.cards."+card] = choice
	}
	for _, action := range []string{"spec.whenOpen", "spec.whenClosed"} {
		for _, target := range []string{
			".announce.then.dial", ".announce.then.queue.group", ".announce.then.voicemail", ".menu.fallback.dial", ".menu.fallback.voicemail",
			".menu.keys{}.queue.group", ".menu.keys{}.voicemail",
		} {
			out["CallFlow"][action+target] = "the action around it is not served: the whole of it is told to be wrong"
		}
	}
	return out
}

// TestEveryFieldIsLookedAt fails for a new field that has no rule, stands in no
// table of wrong values, and is not among those that cannot be wrong.
func TestEveryFieldIsLookedAt(t *testing.T) {
	t.Parallel()
	for _, k := range kinds(t) {
		looked := map[string]bool{}
		for _, l := range lies() {
			if l.kind != k.name {
				continue
			}
			for _, about := range l.about {
				looked[about] = true
			}
			for path, value := range l.set {
				leaves(k, path, value, looked)
			}
		}
		for _, b := range rulesBroken() {
			if b.kind == k.name {
				for path, value := range b.set {
					leaves(k, path, value, looked)
				}
			}
		}
		unused := map[string]string{}
		for path, why := range free()[k.name] {
			unused[path] = why
		}
		for _, n := range k.nodes {
			if !n.leaf() {
				continue
			}
			has := ruled(n) || looked[n.path]
			why, isFree := unused[n.path]
			delete(unused, n.path)
			switch {
			case !has && !isFree:
				t.Errorf("%s %s: give it a rule, a line in lies_test.go, or say in free why it cannot be wrong", k.name, n.path)
			case has && isFree:
				t.Errorf("%s %s is told to be free (%s), and there are wrong values for it", k.name, n.path, why)
			}
		}
		for path := range unused {
			t.Errorf("%s has no field %s: remove it from free", k.name, path)
		}
	}
}

// ruled reports whether the schema knows wrong values beside those of another
// type and those that are too long.
func ruled(n node) bool {
	s := n.schema
	return len(s.Enum) > 0 || s.Minimum != nil || s.Maximum != nil || len(s.XValidations) > 0
}

// leaves adds the places of the schema that a value fills.
func leaves(k kind, path string, value any, to map[string]bool) {
	switch x := value.(type) {
	case map[string]any:
		for key, below := range x {
			leaves(k, path+"."+key, below, to)
		}
	case []any:
		for i, below := range x {
			leaves(k, path+"["+strconv.Itoa(i)+"]", below, to)
		}
	default:
		to[placeOf(k.root, path)] = true
	}
}
