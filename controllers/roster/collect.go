package roster

import (
	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/works"
)

// maxPeople bounds what is kept of a directory while it is read.
const maxPeople = 4 * MaxExtensions

// Collector keeps, of members that pass by once, those that a plan takes.
type Collector struct {
	directory v1alpha1.Directory
	people    []Person
	members   int // of the plan's organisation unit, or of the company
}

// NewCollector returns one that has seen nobody.
func NewCollector(d v1alpha1.Directory) *Collector { return &Collector{directory: d} }

// Add looks at one member.
func (c *Collector) Add(u works.User) {
	if c.directory.OrgUnit == "" || belongs(u, c.directory.OrgUnit) {
		c.members++
	}
	if p, ok := FromUser(u, c.directory); ok && len(c.people) < maxPeople {
		c.people = append(c.people, p)
	}
}

// People are those whom the plan takes.
func (c *Collector) People() []Person { return c.people }

// Empty reports whether nobody at all was in the plan's part of the directory:
// rather a wrong ID than a company that everybody has left.
func (c *Collector) Empty() bool { return c.members == 0 }
