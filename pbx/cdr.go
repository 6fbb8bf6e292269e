package pbx

import (
	"context"
	"slices"
	"time"
)

// Disposition is the outcome of a call in one word.
type Disposition string

// The outcomes of a call.
const (
	Answered   Disposition = "answered"
	Missed     Disposition = "missed"  // nobody answered, or the caller gave up
	BusyCalled Disposition = "busy"    // every target was busy
	Refused    Disposition = "refused" // limits, policy or an unknown number
	FailedCall Disposition = "failed"  // a transport or a peer failed
)

// CDR is the record of one call, written once when the call is over. Times
// are UTC.
type CDR struct {
	ID          CallID      `json:"id"`
	Direction   Direction   `json:"direction"`
	From        Party       `json:"from"`
	To          Party       `json:"to"`
	Dialled     string      `json:"dialled"`
	Started     time.Time   `json:"started"`
	Answered    time.Time   `json:"answered,omitzero"`
	Ended       time.Time   `json:"ended"`
	Disposition Disposition `json:"disposition"`
	Cause       Cause       `json:"cause"`
	AnsweredBy  Party       `json:"answeredBy,omitzero"`
	PulledBy    string      `json:"pulledBy,omitempty"`
	PulledTo    PullTo      `json:"pulledTo,omitempty"`
	Offered     []string    `json:"offered,omitempty"`
	Recording   Recording   `json:"recording,omitzero"`
	Legs        []Leg       `json:"legs"`
}

// Talk returns how long the two sides talked; 0 for an unanswered call.
func (c *CDR) Talk() time.Duration {
	if c.Answered.IsZero() {
		return 0
	}
	return c.Ended.Sub(c.Answered)
}

// Involves reports whether the extension took part in the call or was offered
// it: what an employee may see of the history.
func (c *CDR) Involves(extension string) bool {
	if extension == "" {
		return false
	}
	for _, e := range c.Offered {
		if e == extension {
			return true
		}
	}
	return c.From.Extension == extension || c.To.Extension == extension ||
		c.AnsweredBy.Extension == extension || c.PulledBy == extension
}

// Talked reports whether the extension was on the line: a leg of it was
// answered. Being rung is not enough to hear what was said.
func (c *CDR) Talked(extension string) bool {
	return extension != "" && slices.ContainsFunc(c.Legs, func(l Leg) bool {
		return l.Party.Extension == extension && !l.Answered.IsZero()
	})
}

// CDRQuery selects records, newest first. Zero fields select everything.
type CDRQuery struct {
	From, To    time.Time // by Started: From <= Started < To
	Number      string    // part of either party's number, digits only
	Extension   string    // records that involve this extension
	Direction   Direction
	Disposition Disposition
	Limit       int    // 1..1000, 0 = 100
	Cursor      string // CDRPage.Next of the page before
}

// CDRPage is one page of records.
type CDRPage struct {
	Records []CDR  `json:"records"`
	Next    string `json:"next,omitempty"` // empty on the last page
}

// CDRStore keeps call detail records.
type CDRStore interface {
	// Add writes a record. Adding the same call twice keeps the first one.
	Add(ctx context.Context, c CDR) error
	Query(ctx context.Context, q CDRQuery) (CDRPage, error)
	// Get returns one record, ErrGone if there is none.
	Get(ctx context.Context, id CallID) (CDR, error)
}

// ContactStore keeps registrations, so that they survive a restart.
type ContactStore interface {
	// Save replaces the bindings of one extension as a whole.
	Save(ctx context.Context, extension string, contacts []Contact) error
	// Load returns every binding that expires after now.
	Load(ctx context.Context, now time.Time) ([]Contact, error)
}
