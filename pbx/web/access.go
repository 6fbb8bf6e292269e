package web

import (
	"slices"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/web/signin"
)

// viewer is what a signed-in person may see now.
type viewer struct {
	session    signin.Session
	admin      bool
	extensions []Extension // in the order of the configuration
}

// viewerOf finds a person's extensions and rights in the present
// configuration; false if there are none.
func (c *site) viewerOf(v signin.Session) (viewer, bool) {
	id, email := userKey(v.ID), userKey(v.Email)
	w := viewer{session: v, admin: c.admins[id] || email != "" && c.admins[email]}
	for _, e := range c.Extensions {
		if k := userKey(e.WorksUser); k != "" && (k == id || k == email) {
			w.extensions = append(w.extensions, e)
		}
	}
	return w, w.admin || len(w.extensions) > 0
}

func (v viewer) owns(extension string) bool {
	return slices.ContainsFunc(v.extensions, func(e Extension) bool { return e.Number == extension })
}

// sees reports whether the person may see a call: an administrator every
// one, an employee those that involve an extension of theirs.
func (v viewer) sees(c *pbx.CDR) bool {
	return v.admin || slices.ContainsFunc(v.extensions, func(e Extension) bool { return c.Involves(e.Number) })
}

// hears reports whether the person may hear what was said: an administrator
// everything, an employee the calls in which they talked.
func (v viewer) hears(c *pbx.CDR) bool {
	return v.admin || slices.ContainsFunc(v.extensions, func(e Extension) bool { return c.Talked(e.Number) })
}

// recordOf is a live call in the form of a record, so that both are judged
// and shown by the same code.
func recordOf(c pbx.Call) pbx.CDR {
	return pbx.CDR{
		ID: c.ID, Direction: c.Direction, From: c.From, To: c.To, Dialled: c.Dialled, Started: c.Started, Answered: c.Answered,
		Ended: c.Ended, Cause: c.Cause, AnsweredBy: c.AnsweredBy, PulledBy: c.PulledBy, PulledTo: c.PulledTo, Offered: c.Offered, Legs: c.Legs,
		Recording: c.Recording,
	}
}
