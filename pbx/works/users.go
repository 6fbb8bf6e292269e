package works

import (
	"context"
	"errors"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// PersonName is a name in parts, as the directory keeps it.
type PersonName struct {
	Last  string `json:"lastName"`
	First string `json:"firstName"`
}

// Full returns the name as it is written: Korean, Japanese and Chinese names
// with the family name first and no space, others with the given name first.
func (n PersonName) Full() string {
	last, first := strings.TrimSpace(n.Last), strings.TrimSpace(n.First)
	switch {
	case last == "" || first == "":
		return last + first
	case eastAsian(last) && eastAsian(first):
		return last + first
	}
	return first + " " + last
}

// eastAsian reports whether s is written without Latin, Greek or Cyrillic.
func eastAsian(s string) bool {
	for _, r := range s {
		if r < 0x1100 && r != ' ' {
			return false
		}
	}
	return true
}

// User is a member of the company.
type User struct {
	UserID       string             `json:"userId"`
	DomainID     int64              `json:"domainId"`
	Email        string             `json:"email"`
	Name         PersonName         `json:"userName"`
	NickName     string             `json:"nickName"`
	Telephone    string             `json:"telephone"` // free text, see package number
	CellPhone    string             `json:"cellPhone"` // free text
	Location     string             `json:"location"`  // free text: where the desk is
	EmployeeNo   string             `json:"employeeNumber"`
	Locale       string             `json:"locale"` // "ko_KR"
	Admin        bool               `json:"isAdministrator"`
	Pending      bool               `json:"isPending"`
	Suspended    bool               `json:"isSuspended"`
	Deleted      bool               `json:"isDeleted"`
	Awaiting     bool               `json:"isAwaiting"`
	Organization []UserOrganization `json:"organizations"`
}

// UserOrganization is a member's place in the company.
type UserOrganization struct {
	Primary  bool          `json:"primary"`
	Name     string        `json:"organizationName"`
	OrgUnits []UserOrgUnit `json:"orgUnits"`
}

// UserOrgUnit is a member's department.
type UserOrgUnit struct {
	ID       string `json:"orgUnitId"`
	Name     string `json:"orgUnitName"`
	Primary  bool   `json:"primary"`
	Position string `json:"positionName"`
}

// Active reports whether the member can sign in and read messages.
func (u User) Active() bool { return !u.Pending && !u.Suspended && !u.Deleted && !u.Awaiting }

const usersPage = "100" // more yields an empty page

// maxPages ends a listing whose cursor leads in a circle.
const maxPages = 10_000

// Users yields every member of the bot's domain, page by page (scope
// user.read). It ends after the first error.
func (c *Client) Users(ctx context.Context) iter.Seq2[User, error] {
	query := url.Values{"count": {usersPage}}
	if c.cfg.DomainID != 0 {
		query.Set("domainId", strconv.FormatInt(c.cfg.DomainID, 10))
	}
	return paged[User](ctx, c, "user.list", []string{"users"}, query, "users")
}

// User reads one member by ID or login e-mail (scope user.read).
func (c *Client) User(ctx context.Context, idOrEmail string) (User, error) {
	var u User
	if idOrEmail == "" {
		return u, errors.New("user: neither an ID nor an e-mail was given")
	}
	err := c.read(ctx, call{operation: "user.get", method: http.MethodGet, path: []string{"users", idOrEmail}, out: &u})
	return u, err
}

// page is one page of a list; the items come under the name of their kind.
type page[T any] struct {
	Users    []T `json:"users"`
	Contacts []T `json:"contacts"`
	Meta     struct {
		Next string `json:"nextCursor"`
	} `json:"responseMetaData"`
}

// paged walks a list by its cursor.
func paged[T any](ctx context.Context, c *Client, operation string, path []string, query url.Values, name string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		query := maps.Clone(query)
		for range maxPages {
			var p page[T]
			err := c.read(ctx, call{operation: operation, method: http.MethodGet, path: path, query: query, out: &p})
			if err != nil {
				yield(zero, err)
				return
			}
			for _, item := range append(p.Users, p.Contacts...) {
				if !yield(item, nil) {
					return
				}
			}
			if p.Meta.Next == "" || p.Meta.Next == query.Get("cursor") {
				return
			}
			query.Set("cursor", p.Meta.Next)
		}
		yield(zero, &APIError{Operation: operation, Status: http.StatusOK, Description: "the list of " + name + " has no end"})
	}
}
