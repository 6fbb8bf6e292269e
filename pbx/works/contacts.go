package works

import (
	"context"
	"iter"
	"net/url"
	"slices"
	"time"
)

// Contact is an entry of the company's shared address book.
type Contact struct {
	ContactID     string                `json:"contactId"`
	Permission    ContactPermission     `json:"permission"`
	Name          PersonName            `json:"contactName"`
	Telephones    []ContactPhone        `json:"telephones"`
	Organizations []ContactOrganization `json:"organizations"`
	Modified      string                `json:"modifiedTime"`
}

// ContactPermission says who may see a contact.
type ContactPermission struct {
	Owner   string   `json:"masterUserId"`
	Range   string   `json:"accessibleRange"` // ALL or MEMBER
	Members []string `json:"accessibleMembers"`
}

// ContactPhone is one number of a contact.
type ContactPhone struct {
	Number  string `json:"telephone"` // free text, see package number
	Type    string `json:"type"`      // CELLPHONE, WORK, WORK_FAX, HOME, ...
	Primary bool   `json:"primary"`
}

// ContactOrganization is a contact's company.
type ContactOrganization struct {
	Name       string `json:"name"`
	Department string `json:"department"`
	Title      string `json:"title"`
	Primary    bool   `json:"primary"`
}

// VisibleTo reports whether that user may see the contact. Anything but ALL,
// also a range that is missing or unknown, is for the owner and the members
// alone.
func (p ContactPermission) VisibleTo(userID string) bool {
	if p.Range == "ALL" {
		return true
	}
	return userID != "" && (p.Owner == userID || slices.Contains(p.Members, userID))
}

const (
	contactsPage = "500"
	// contactWindow is the longest span that one search by time may have.
	contactWindow = 7 * 24 * time.Hour
	timeFormat    = "2006-01-02T15:04:05.000Z07:00"
)

// Contacts yields every contact (scope contact.read). It ends after the first
// error.
func (c *Client) Contacts(ctx context.Context) iter.Seq2[Contact, error] {
	return paged[Contact](ctx, c, "contact.list", []string{"contacts"}, url.Values{"count": {contactsPage}}, "contacts")
}

// ContactsModified yields the contacts that were modified in from <= t < to,
// in as many searches of at most seven days as that takes.
func (c *Client) ContactsModified(ctx context.Context, from, to time.Time) iter.Seq2[Contact, error] {
	return func(yield func(Contact, error) bool) {
		for ; from.Before(to); from = from.Add(contactWindow) {
			end := from.Add(contactWindow)
			if end.After(to) {
				end = to
			}
			query := url.Values{
				"count": {contactsPage}, "searchDateType": {"MODIFIED_TIME"},
				"startDateTime": {from.UTC().Format(timeFormat)}, "endDateTime": {end.UTC().Format(timeFormat)},
			}
			for contact, err := range paged[Contact](ctx, c, "contact.list", []string{"contacts"}, query, "contacts") {
				if !yield(contact, err) || err != nil {
					return
				}
			}
		}
	}
}
