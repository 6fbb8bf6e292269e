package fields

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestWrongValuesAreRefused gives every place of every kind every wrong value
// that its schema knows, as kubectl would send it.
func TestWrongValuesAreRefused(t *testing.T) {
	t.Parallel()
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := sender{namespace: cluster.Namespace(t), hit: map[string]bool{}}
			for i, whole := range k.whole {
				if err := s.send(t, whole.DeepCopy()); err != nil {
					t.Fatalf("testdata/%s.yaml, manifest %d: %v", k.name, i+1, err)
				}
			}
			for _, n := range k.nodes {
				s.derived(t, k, n)
			}
			s.ruled(t, k)
			s.status(t, k)
			t.Logf("%s: %d fields, %d wrong values, all refused with the field and the cure", k.name, len(k.nodes), s.sent)
		})
	}
}

// sender sends manifests to the API server, which keeps none of them.
type sender struct {
	namespace string
	sent      int
	hit       map[string]bool // messages of rules
}

func (s *sender) send(t *testing.T, u *unstructured.Unstructured) error {
	t.Helper()
	if u.GetKind() != "PBXClass" {
		u.SetNamespace(s.namespace)
	}
	c := client.WithFieldValidation(client.NewDryRunClient(cluster.Client), "Strict")
	return c.Create(t.Context(), u)
}

func (s *sender) derived(t *testing.T, k kind, n node) {
	t.Helper()
	if n.schema.Pattern != "" {
		t.Errorf("%s %s: a pattern says no cure: make it a rule with a message", k.name, n.path)
	}
	whole, at := holder(k, n.path)
	if whole == nil {
		t.Errorf("testdata/%s.yaml: no manifest writes %s", k.name, n.path)
		return
	}
	for _, w := range derive(n, get(whole.Object, at)) {
		u := whole.DeepCopy()
		if err := put(u.Object, at, w.value); err != nil {
			t.Fatal(err)
		}
		err := s.send(t, u)
		s.sent++
		if !points(err, at+w.at, w.cure) {
			t.Errorf("%s %s, %s: no message says %s: %q\n%s", k.name, at, w.what, at+w.at, w.cure, told(err))
		}
	}
}

// holder is the manifest that writes a place, and where.
func holder(k kind, place string) (*unstructured.Unstructured, string) {
	for _, whole := range k.whole {
		if at := find(whole.Object, place); at != "" {
			return whole, at
		}
	}
	return nil, ""
}

// points reports whether an error names the field and says the cure.
func points(err error, at, cure string) bool {
	if err == nil {
		return false
	}
	if cure == "unknown field" {
		return strings.Contains(err.Error(), fmt.Sprintf("unknown field %q", at))
	}
	return slices.ContainsFunc(causes(err), func(c cause) bool {
		return plain(c.field) == plain(at) && strings.Contains(c.message, cure)
	})
}

type cause struct{ field, message string }

func causes(err error) []cause {
	var status *apierrors.StatusError
	if !errors.As(err, &status) || status.ErrStatus.Details == nil {
		return nil
	}
	var out []cause
	for _, c := range status.ErrStatus.Details.Causes {
		out = append(out, cause{c.Field, c.Message})
	}
	return out
}

func told(err error) string {
	if err == nil {
		return "  it is accepted"
	}
	return "  " + strings.ReplaceAll(err.Error(), "\n", "\n  ")
}

// ruled breaks every rule of the schema with the values of the table.
func (s *sender) ruled(t *testing.T, k kind) {
	t.Helper()
	for _, r := range rulesBroken() {
		if r.kind != k.name {
			continue
		}
		u := k.whole[r.whole].DeepCopy()
		for at, value := range r.set {
			if err := put(u.Object, at, value); err != nil {
				t.Fatal(err)
			}
		}
		err := s.send(t, u)
		s.sent++
		messages := rulesAt(k, r.at)
		found := ""
		for _, c := range causes(err) {
			for _, message := range messages {
				if (r.at == "" || plain(c.field) == plain(r.at)) && strings.Contains(c.message, message) {
					found = message
				}
			}
		}
		if found == "" {
			t.Errorf("%s %s with %v: no message of a rule\n%s", k.name, r.at, r.set, told(err))
		}
		s.hit[place(k, r.at)+": "+found] = true
	}
	for at, messages := range allRules(k) {
		for _, message := range messages {
			if !s.hit[at+": "+message] {
				t.Errorf("%s %s: nothing in the table breaks the rule %q", k.name, at, message)
			}
		}
	}
}

func place(k kind, at string) string {
	if at == "" {
		return ""
	}
	return placeOf(k.root, at)
}

func rulesAt(k kind, at string) []string { return allRules(k)[place(k, at)] }

// allRules are the messages of all rules, by place.
func allRules(k kind) map[string][]string {
	out := map[string][]string{}
	for _, n := range append([]node{{path: "", schema: k.root}}, k.nodes...) {
		for _, r := range n.schema.XValidations {
			if r.Message != "" {
				out[n.path] = append(out[n.path], r.Message)
			}
		}
	}
	return out
}

// status: what people write there is dropped, whatever it is.
func (s *sender) status(t *testing.T, k kind) {
	t.Helper()
	u := k.whole[0].DeepCopy()
	u.Object["status"] = map[string]any{"conditions": "nonsense"}
	if err := s.send(t, u); err != nil && !points(err, "status.conditions", "must be of type array") {
		t.Errorf("%s status: %s", k.name, told(err))
	}
}
