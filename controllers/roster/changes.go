package roster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// changes lead from the extensions in force to those that are wanted; each list
// is sorted by number.
type changes struct {
	keep, add, change, remove []v1alpha1.DirectoryExtension
}

func (d *decider) changes(wanted map[string]v1alpha1.DirectoryExtension) changes {
	var c changes
	for _, e := range sorted(wanted) {
		before, there := d.current[e.Number]
		switch {
		case !there:
			c.add = append(c.add, e)
		case before != e:
			c.change = append(c.change, e)
		default:
			c.keep = append(c.keep, e)
		}
	}
	for _, e := range sorted(d.current) {
		if _, stays := wanted[e.Number]; !stays && !d.claimed(e) {
			c.remove = append(c.remove, e)
		}
	}
	return c
}

// claimed reports whether a manifest gives this person an extension: what the
// directory gave leaves then without being asked about.
func (d *decider) claimed(e v1alpha1.DirectoryExtension) bool {
	person, there := d.people[e.WorksUser]
	if !there {
		person.ID = e.WorksUser
	}
	_, has := d.in.Claims.user(person)
	return has
}

// The limit of removals, where the plan names none, and the number of people
// below which nobody is asked.
const (
	maxRemoval = 20 // percent
	fewPeople  = 3
)

// tooMany reports whether more would vanish at once than the plan allows: more
// than so many percent, if that are three or more, or all of several.
func (d *decider) tooMany(c changes) bool {
	percent := maxRemoval
	if p := d.in.Directory.MaxRemoval; p != nil {
		percent = int(*p)
	}
	gone, had := len(c.remove), len(d.current)
	if percent >= 100 {
		return false
	}
	return gone >= fewPeople && gone*100 > percent*had || gone > 1 && gone == had
}

// hash names a removal: these numbers of these people.
func (c changes) hash() string {
	h := sha256.New()
	for _, e := range c.remove {
		_, _ = fmt.Fprintf(h, "%s %s\n", e.Number, e.WorksUser) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// pending shows the changes; nil if there are none.
func (c changes) pending(hash string) *v1alpha1.DirectoryPending {
	if len(c.add)+len(c.change)+len(c.remove) == 0 {
		return nil
	}
	out := &v1alpha1.DirectoryPending{
		Add: int32(len(c.add)), Change: int32(len(c.change)), Remove: int32(len(c.remove)), Hash: hash,
	}
	examples := func(kind string, list []v1alpha1.DirectoryExtension) {
		for _, e := range list {
			out.Examples = append(out.Examples, v1alpha1.DirectoryChange{Number: e.Number, Change: kind, DisplayName: e.DisplayName})
		}
	}
	examples(v1alpha1.ChangeAdd, c.add)
	examples(v1alpha1.ChangeChange, c.change)
	examples(v1alpha1.ChangeRemove, c.remove)
	slices.SortStableFunc(out.Examples, func(a, b v1alpha1.DirectoryChange) int { return byNumber(a.Number, b.Number) })
	out.Examples = slices.Clone(out.Examples[:min(len(out.Examples), maxExamples)])
	return out
}
