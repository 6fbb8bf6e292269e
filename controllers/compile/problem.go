package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity says how bad a problem is.
type Severity int

// The severities.
const (
	// Warning leaves the tenant with a document.
	Warning Severity = iota
	// Error leaves the tenant with its last good document.
	Error
)

func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// Object names a resource.
type Object struct {
	Kind      string
	Namespace string // empty for cluster-scoped kinds
	Name      string
}

func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

// Problem is one thing that is wrong with one object.
type Problem struct {
	Object   Object
	Path     string // of the field, "spec.extensions[3].number"; may be empty
	Value    string // as it is shown; empty if there is none or it is secret
	Message  string // what is wrong and the cure
	Severity Severity
	Reason   string // a Reason constant of api/v1alpha1
	File     string // "plan.yaml:12" where it is known; set by manifest
}

// String writes the problem on one line:
// SIPTrunk acme/kt: spec.hosts[0].port 70000: must be 1 to 65535.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ": ")
	}
	if p.Object != (Object{}) {
		b.WriteString(p.Object.String() + ": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path)
		if p.Value != "" {
			b.WriteString(" " + quoteValue(p.Value))
		}
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// quoteValue keeps a value on one line and at a readable length.
func quoteValue(v string) string {
	const most = 80
	if r := []rune(v); len(r) > most {
		v = string(r[:most]) + "..."
	}
	for _, r := range v {
		if r < '!' || r == '"' || r == '\\' || r == 0x7f {
			return fmt.Sprintf("%q", v)
		}
	}
	return v
}

// HasErrors reports whether any problem is an Error.
func HasErrors(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == Error })
}

// Of returns the problems of one object, in order.
func Of(problems []Problem, o Object) []Problem {
	var out []Problem
	for _, p := range problems {
		if p.Object == o {
			out = append(out, p)
		}
	}
	return out
}

// kindOrder is the order in which objects are reported: outer ones first.
func kindOrder(kind string) int {
	return slices.Index([]string{"", "PBXClass", "PBXTenant", "ExtensionPlan", "SIPTrunk", "CallFlow", "NaverWorksBot", "Secret"}, kind)
}

// Sort orders problems by kind, object, and then as they were found, so that
// fields stay in the order of the manifest.
func Sort(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(kindOrder(a.Object.Kind), kindOrder(b.Object.Kind)),
			cmp.Compare(a.Object.Namespace, b.Object.Namespace),
			cmp.Compare(a.Object.Name, b.Object.Name),
		)
	})
}
