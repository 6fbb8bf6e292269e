package roster

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/works"
)

// Person is what a plan needs of one member of the directory.
type Person struct {
	ID     string // user ID; it stays when a login is renamed
	Email  string // login
	Name   string
	Number string // the plan's number field, as it stands in the directory
	Mobile string // as it stands in the directory
}

// maxName is how many characters of a name are kept, so that five thousand
// people fit into one object of the API server.
const maxName = 40

// FromUser takes what the plan needs of a member; false for those that it does
// not take: who cannot sign in, belongs to another organisation unit, or has
// nothing in the number field.
func FromUser(u works.User, d v1alpha1.Directory) (Person, bool) {
	if !u.Active() || u.UserID == "" || (d.OrgUnit != "" && !belongs(u, d.OrgUnit)) {
		return Person{}, false
	}
	number := u.Telephone
	switch d.NumberField {
	case v1alpha1.FieldEmployeeNumber:
		number = u.EmployeeNo
	case v1alpha1.FieldLocation:
		number = u.Location
	}
	if strings.TrimSpace(number) == "" {
		return Person{}, false
	}
	name := clean(cmp.Or(u.Name.Full(), u.NickName, u.Email), maxName)
	return Person{
		ID: clean(u.UserID, 254), Email: clean(u.Email, 254), Name: name,
		Number: clean(number, maxText), Mobile: clean(u.CellPhone, maxText),
	}, true
}

func belongs(u works.User, orgUnit string) bool {
	return slices.ContainsFunc(u.Organization, func(o works.UserOrganization) bool {
		return slices.ContainsFunc(o.OrgUnits, func(ou works.UserOrgUnit) bool { return ou.ID == orgUnit })
	})
}

// clean makes a text of the directory fit for a status and a display: no
// control characters, no blanks around it, at most n characters.
func clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) && r != '\u3000' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > n {
		s = strings.TrimSpace(string(r[:n]))
	}
	return s
}

// who names a person in a note.
func (p Person) who() string {
	if p.Email == "" || p.Email == p.Name {
		return p.Name
	}
	return p.Name + " (" + p.Email + ")"
}
