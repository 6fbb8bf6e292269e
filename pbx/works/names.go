package works

import (
	"slices"

	"github.com/dipcast/dipcast/pbx/works/number"
)

// Who is what the directory knows about a number.
type Who struct {
	Name    string // as written in the directory: clean it before showing it
	Company string // of a contact, may be empty
	UserID  string // of a member of the company
}

// NameIndex finds names by number. It is built once and read-only then, so
// that many goroutines may read it.
type NameIndex struct {
	areaCode string
	entries  map[string][]indexed
}

type indexed struct {
	who        Who
	permission ContactPermission
}

// NewNameIndex indexes members and contacts by their numbers. Members who are
// not active are left out; areaCode ("02") completes local numbers.
func NewNameIndex(areaCode string, users []User, contacts []Contact) *NameIndex {
	x := &NameIndex{areaCode: areaCode, entries: make(map[string][]indexed)}
	for _, u := range users {
		if !u.Active() {
			continue
		}
		everyone := ContactPermission{Range: "ALL"}
		for _, n := range []string{u.Telephone, u.CellPhone} {
			x.add(n, indexed{who: Who{Name: u.Name.Full(), UserID: u.UserID}, permission: everyone})
		}
	}
	for _, c := range contacts {
		who := Who{Name: c.Name.Full()}
		if i := slices.IndexFunc(c.Organizations, func(o ContactOrganization) bool { return o.Primary }); i >= 0 {
			who.Company = c.Organizations[i].Name
		} else if len(c.Organizations) > 0 {
			who.Company = c.Organizations[0].Name
		}
		for _, p := range c.Telephones {
			x.add(p.Number, indexed{who: who, permission: c.Permission})
		}
	}
	return x
}

func (x *NameIndex) add(text string, e indexed) {
	n := number.Normalize(text, x.areaCode)
	if n != "" && (e.who.Name != "" || e.who.Company != "") {
		x.entries[n] = append(x.entries[n], e)
	}
}

// Lookup returns what viewer (a user ID, "" = nobody in particular) may know
// about a number in any form: members first, then the contacts that are open
// to the viewer, in the order in which they were indexed.
func (x *NameIndex) Lookup(written, viewer string) (Who, bool) {
	n := number.Normalize(written, x.areaCode)
	if n == "" {
		return Who{}, false
	}
	for _, e := range x.entries[n] {
		if e.permission.VisibleTo(viewer) {
			return e.who, true
		}
	}
	return Who{}, false
}
