package compile

import (
	"cmp"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

// Compile makes the document of one tenant and lists everything that is wrong
// or not served. The document is nil if and only if a problem is an Error.
func Compile(in Input) (*conf.Document, []Problem) {
	if in.Tenant == nil {
		return nil, []Problem{{
			Message: "no PBXTenant was given: write one", Severity: Error, Reason: v1alpha1.ReasonNotFound,
		}}
	}
	c := newCompiler(in)
	c.tenant()
	c.network()
	c.trunks()
	c.plans()
	c.flows()
	c.bot()
	c.unusedNumbers()
	c.loops()
	c.settle()
	if HasErrors(c.problems) {
		Sort(c.problems)
		return nil, c.problems
	}
	if err := c.doc.Validate(); err != nil {
		c.errorf(c.tenantObject(), "", "", v1alpha1.ReasonInvalid, "the document made of it is wrong: %v", err)
		Sort(c.problems)
		return nil, c.problems
	}
	Sort(c.problems)
	return c.doc, c.problems
}

// compiler is the state of one Compile.
type compiler struct {
	in       Input
	doc      *conf.Document
	problems []Problem

	internal map[string]place  // internal numbers
	dids     map[string]place  // trunk numbers, national digits
	answered map[string]place  // which extension or flow a DID leads to
	users    map[string]place  // NAVER WORKS users, lower case
	edges    map[string][]edge // where unanswered and routed calls go on
}

// kind says what an internal number is.
type kind string

const (
	isExtension  kind = "extension"
	isGroup      kind = "group"
	isConference kind = "conference"
	isPage       kind = "page"
	isFlow       kind = "flow"
)

// place is where something was written.
type place struct {
	object Object
	path   string
	kind   kind
}

func (p place) String() string { return p.object.String() + " " + p.path }

func newCompiler(in Input) *compiler {
	in.Plans = slices.Clone(in.Plans)
	in.Trunks = slices.Clone(in.Trunks)
	in.Flows = slices.Clone(in.Flows)
	in.Bots = slices.Clone(in.Bots)
	// Of two that want the same number, the younger is at fault.
	slices.SortFunc(in.Plans, func(a, b v1alpha1.ExtensionPlan) int { return byAge(&a, &b) })
	slices.SortFunc(in.Trunks, func(a, b v1alpha1.SIPTrunk) int { return byAge(&a, &b) })
	slices.SortFunc(in.Flows, func(a, b v1alpha1.CallFlow) int { return byAge(&a, &b) })
	slices.SortFunc(in.Bots, func(a, b v1alpha1.NaverWorksBot) int { return byAge(&a, &b) })
	return &compiler{
		in: in,
		doc: &conf.Document{
			Version: conf.Version, Generation: in.Generation,
			Extensions: []conf.Extension{}, Groups: []conf.Group{}, Trunks: []conf.Trunk{}, Flows: []conf.Flow{},
		},
		internal: map[string]place{}, dids: map[string]place{}, answered: map[string]place{},
		users: map[string]place{}, edges: map[string][]edge{},
	}
}

// byAge orders objects from the oldest on; those of one age, or without one as
// manifests of no cluster are, by name.
func byAge(a, b metav1.Object) int {
	made, other := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	return cmp.Or(made.Compare(other.Time), cmp.Compare(a.GetName(), b.GetName()))
}

// settle puts the document into its one order.
func (c *compiler) settle() {
	slices.SortFunc(c.doc.Trunks, func(a, b conf.Trunk) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(c.doc.Flows, func(a, b conf.Flow) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(c.doc.Extensions, func(a, b conf.Extension) int { return cmp.Compare(a.Number, b.Number) })
	slices.SortFunc(c.doc.Groups, func(a, b conf.Group) int { return cmp.Compare(a.Number, b.Number) })
}

func (c *compiler) tenantObject() Object {
	return Object{v1alpha1.KindPBXTenant, c.in.Tenant.Namespace, c.in.Tenant.Name}
}

func (c *compiler) errorf(o Object, path, value, reason, format string, args ...any) {
	c.problems = append(c.problems, Problem{
		Object: o, Path: path, Value: value, Message: fmt.Sprintf(format, args...), Severity: Error, Reason: reason,
	})
}

func (c *compiler) warn(o Object, path, value, reason, message string) {
	c.problems = append(c.problems, Problem{
		Object: o, Path: path, Value: value, Message: message, Severity: Warning, Reason: reason,
	})
}

// claim makes an internal number belong to one place; false if it is taken.
func (c *compiler) claim(number string, p place) bool {
	if first, taken := c.internal[number]; taken {
		c.errorf(p.object, p.path, number, v1alpha1.ReasonDuplicate,
			"this number is already the %s of %s: choose another number or remove one of the two", first.kind, first)
		return false
	}
	c.internal[number] = p
	return true
}
