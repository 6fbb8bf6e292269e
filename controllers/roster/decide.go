package roster

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// The limits of one plan.
const (
	// MaxExtensions of one plan's directory.
	MaxExtensions = 5000
	// MaxNotes that are shown; one more tells how many there are beside them.
	MaxNotes = 20
	// maxExamples of pending changes.
	maxExamples = 20
)

// Input is everything that is decided upon.
type Input struct {
	Directory v1alpha1.Directory
	// People are the members whom FromUser took, in any order.
	People []Person
	// Current are the extensions in force.
	Current []v1alpha1.DirectoryExtension
	Claims  Claims
	// Room is how many extensions the plan's directory may have, by the class
	// and what the manifests hold.
	Room int
	// Approved is the hash of a removal that was approved, or empty.
	Approved string
}

// Outcome is what was decided.
type Outcome struct {
	// Extensions to be in force, by number.
	Extensions []v1alpha1.DirectoryExtension
	// Pending is what is not put in force; nil: nothing.
	Pending *v1alpha1.DirectoryPending
	// Held tells that a removal waits to be approved.
	Held bool
	// PassedOn are numbers that go from one person to another one: the former
	// one's password must not be the latter's.
	PassedOn []string
	// Notes are for people, most important first.
	Notes []string
}

// Decide says which extensions the directory gives the plan.
func Decide(in Input) Outcome {
	d := &decider{in: in, current: map[string]v1alpha1.DirectoryExtension{}, people: map[string]Person{}}
	for _, p := range in.People {
		d.people[p.ID] = p
	}
	for _, e := range in.Current {
		// What a manifest has taken over leaves without being asked about.
		if d.in.Claims.number(e.Number) == "" {
			d.current[e.Number] = e
		}
	}
	out := d.apply(d.changes(d.wanted()))
	out.Notes = d.notes.list()
	return out
}

// decider is the state of one Decide.
type decider struct {
	in      Input
	current map[string]v1alpha1.DirectoryExtension // by number
	people  map[string]Person                      // by ID
	notes   notes
}

// wanted is what the directory gives when nothing is held back, by number.
func (d *decider) wanted() map[string]v1alpha1.DirectoryExtension {
	people := slices.SortedFunc(maps.Values(d.people), func(a, b Person) int { return cmp.Compare(a.ID, b.ID) })
	byNumber := map[string][]Person{}
	for _, p := range people {
		if number := d.number(p); number != "" {
			byNumber[number] = append(byNumber[number], p)
		}
	}
	out := map[string]v1alpha1.DirectoryExtension{}
	for number, those := range byNumber {
		if p, ok := d.owner(number, those); ok {
			out[number] = d.extension(number, p)
		}
	}
	return out
}

// number is the extension that the directory gives a person; "" for none, with
// a note that says why.
func (d *decider) number(p Person) string {
	field := cmp.Or(d.in.Directory.NumberField, v1alpha1.FieldTelephone)
	read := Read(p.Number, field == v1alpha1.FieldTelephone).Internal
	if len(read) == 0 {
		d.notes.add(unreadable, "%s: %s %q names no extension: write it there as 2 to 8 digits, or as \"내선 101\" behind another number", p.who(), field, shown(p.Number))
		return ""
	}
	number := read[0]
	if u, has := d.in.Claims.user(p); has {
		if u.number != number {
			d.notes.add(manifest, "%s: has the extension %s by %s, not %s: the manifest wins, remove it there or correct the directory", p.who(), u.number, u.who, number)
		}
		return ""
	}
	if why := d.in.Claims.number(number); why != "" {
		d.notes.add(manifest, "%s: is not given %s: %s; choose another number in the directory", p.who(), number, why)
		return ""
	}
	if len(read) > 1 {
		d.notes.add(several, "%s: %s names several extensions, %s is taken: leave only one there", p.who(), field, number)
	}
	return number
}

// owner chooses who gets a number: the only one who has it in the directory, or
// who has it already.
func (d *decider) owner(number string, people []Person) (Person, bool) {
	if len(people) == 1 {
		return people[0], true
	}
	names := make([]string, len(people))
	for i, p := range people {
		names[i] = p.who()
	}
	slices.Sort(names)
	const most = 5
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("%d more", len(people)-most))
	}
	all := strings.Join(names, ", ")
	for _, p := range people {
		if d.current[number].WorksUser == p.ID {
			d.notes.add(twice, "%s: is the number of %s in the directory: %s keeps it, correct the others", number, all, p.who())
			return p, true
		}
	}
	d.notes.add(twice, "%s: is the number of %s in the directory: nobody gets it, correct all but one", number, all)
	return Person{}, false
}

func (d *decider) extension(number string, p Person) v1alpha1.DirectoryExtension {
	e := v1alpha1.DirectoryExtension{Number: number, DisplayName: p.Name, WorksUser: p.ID, Mobile: mobile(p.Mobile)}
	if e.Mobile == "" && p.Mobile != "" {
		d.notes.add(noMobile, "%s: cellPhone %q is no Korean mobile number and is left out: write one such as 010-1234-5678", p.who(), shown(p.Mobile))
	}
	return e
}

// shown keeps a quoted text of the directory short.
func shown(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}

// apply puts in force what may be.
func (d *decider) apply(c changes) Outcome {
	if d.in.Directory.Apply == v1alpha1.DirectoryDryRun {
		return Outcome{Extensions: sorted(d.current), Pending: c.pending("")}
	}
	out := Outcome{}
	inForce := map[string]v1alpha1.DirectoryExtension{}
	stays := map[string]bool{} // who keeps an old number gets no other beside it
	if hash := c.hash(); d.tooMany(c) && hash != d.in.Approved {
		out.Held, out.Pending = true, changes{remove: c.remove}.pending(hash)
		for _, e := range c.remove {
			inForce[e.Number], stays[e.WorksUser] = e, true
		}
	}
	for _, e := range slices.Concat(c.keep, c.change) {
		before := d.current[e.Number]
		if before.WorksUser != e.WorksUser {
			if stays[e.WorksUser] {
				e = before
			} else {
				out.PassedOn = append(out.PassedOn, e.Number)
			}
		}
		inForce[e.Number] = e
	}
	add := slices.DeleteFunc(slices.Clone(c.add), func(e v1alpha1.DirectoryExtension) bool { return stays[e.WorksUser] })
	for i, e := range add {
		if len(inForce) >= min(d.in.Room, MaxExtensions) {
			d.notes.add(noRoom, "%d more people have an extension in the directory than the class or the plan has room for, the first is %s: choose a larger class or name an orgUnit", len(add)-i, e.Number)
			break
		}
		inForce[e.Number] = e
	}
	out.Extensions = sorted(inForce)
	return out
}

func sorted(m map[string]v1alpha1.DirectoryExtension) []v1alpha1.DirectoryExtension {
	out := make([]v1alpha1.DirectoryExtension, 0, len(m))
	for _, e := range m {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b v1alpha1.DirectoryExtension) int { return byNumber(a.Number, b.Number) })
	return out
}

// byNumber orders 20 before 101.
func byNumber(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }
