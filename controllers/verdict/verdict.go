package verdict

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
)

// Verdict is what is known of one object.
type Verdict struct {
	// Accepted is the condition without its times and generation.
	Accepted metav1.Condition
	// Ready is the condition of a trunk, as the PBX reports it; its Type is
	// empty where there is none.
	Ready metav1.Condition
}

// Store holds the verdicts. Make it with New.
type Store struct {
	wake func(compile.Object)

	mu  sync.Mutex
	all map[compile.Object]Verdict
	// of are the objects of each tenant, so that one that has left is forgotten.
	of map[compile.Object][]compile.Object
}

// New returns an empty store. Wake is called, without a lock held, with each
// object whose verdict changed.
func New(wake func(compile.Object)) *Store {
	return &Store{wake: wake, all: map[compile.Object]Verdict{}, of: map[compile.Object][]compile.Object{}}
}

// Set replaces all verdicts of one tenant's objects.
func (s *Store) Set(tenant compile.Object, verdicts map[compile.Object]Verdict) {
	var woken []compile.Object
	s.mu.Lock()
	for _, o := range s.of[tenant] {
		if _, still := verdicts[o]; !still {
			delete(s.all, o)
			woken = append(woken, o)
		}
	}
	objects := make([]compile.Object, 0, len(verdicts))
	for o, v := range verdicts {
		objects = append(objects, o)
		if before, known := s.all[o]; !known || before != v {
			s.all[o] = v
			woken = append(woken, o)
		}
	}
	s.of[tenant] = objects
	if len(objects) == 0 {
		delete(s.of, tenant)
	}
	s.mu.Unlock()
	for _, o := range woken {
		s.wake(o)
	}
}

// Get returns the verdict on an object; false: its tenant was not compiled yet.
func (s *Store) Get(o compile.Object) (Verdict, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.all[o]
	return v, ok
}

// Accepted turns the problems of one object into its condition.
func Accepted(problems []compile.Problem) metav1.Condition {
	c := metav1.Condition{
		Type: v1alpha1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAccepted,
		Message: "everything in it is in force",
	}
	if len(problems) == 0 {
		return c
	}
	c.Reason = problems[0].Reason
	if i := slices.IndexFunc(problems, func(p compile.Problem) bool { return p.Severity == compile.Error }); i >= 0 {
		c.Status, c.Reason = metav1.ConditionFalse, problems[i].Reason
	}
	c.Message = Lines(problems, compile.Object{})
	return c
}

// most is how long a condition's message gets.
const most = 600

// Lines writes problems into one message, errors first, without the name of
// the object that the message stands on, and says how many did not fit.
func Lines(problems []compile.Problem, on compile.Object) string {
	problems = slices.Clone(problems)
	slices.SortStableFunc(problems, func(a, b compile.Problem) int { return int(b.Severity) - int(a.Severity) })
	var b strings.Builder
	for i, p := range problems {
		if on == (compile.Object{}) || p.Object == on {
			p.Object = compile.Object{}
		}
		line := p.String()
		if i > 0 && b.Len()+len(line) > most {
			b.WriteString("; and " + count(len(problems)-i))
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(Short(line, most))
	}
	return b.String()
}

func count(n int) string {
	if n == 1 {
		return "one more"
	}
	return strconv.Itoa(n) + " more"
}

// Short cuts a text to at most n bytes, at the end of a character.
func Short(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n-3], "") + "..."
}
