package sim

import (
	"net/http"
	"strconv"
	"time"

	"github.com/dipcast/dipcast/pbx/works"
)

// slice cuts one page out of a list by "count" and "cursor"; a count above
// the limit yields an empty page, as the service does.
func slice[T any](r *http.Request, all []T, most int) (items []T, next string, ok bool) {
	q := r.URL.Query()
	count := most
	if raw := q.Get("count"); raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 {
			return nil, "", false
		}
		count = n
	}
	if count > most {
		return []T{}, "", true
	}
	from := 0
	if raw := q.Get("cursor"); raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 0 || n > len(all) {
			return nil, "", false
		}
		from = n
	}
	to := min(from+count, len(all))
	if to < len(all) {
		next = strconv.Itoa(to)
	}
	return append([]T{}, all[from:to]...), next, true
}

func writePage[T any](w http.ResponseWriter, r *http.Request, name string, all []T, most int) {
	items, next, ok := slice(r, all, most)
	if !ok {
		fail(w, http.StatusBadRequest, "INVALID_PARAMETER", "count or cursor is not valid.")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{name: items, "responseMetaData": map[string]string{"nextCursor": next}})
}

func (s *Server) listUsers(w http.ResponseWriter, r *http.Request, g grant) {
	domain := g.app.DomainID
	if raw := r.URL.Query().Get("domainId"); raw != "" {
		n, err := strconv.ParseInt(raw, 10, 64)
		if err != nil {
			fail(w, http.StatusBadRequest, "INVALID_PARAMETER", "domainId must be a number.")
			return
		}
		domain = n
	}
	if domain != g.app.DomainID {
		fail(w, http.StatusForbidden, "ACCESS_DENIED", "The domain is not the app's.")
		return
	}
	var users []works.User
	for _, u := range s.Users() {
		if u.DomainID == domain {
			users = append(users, u)
		}
	}
	writePage(w, r, "users", users, 100)
}

func (s *Server) getUser(w http.ResponseWriter, r *http.Request, g grant) {
	name := r.PathValue("user")
	if name == "me" {
		if g.user == "" {
			fail(w, http.StatusForbidden, "SERVICE_ACCOUNT_NOT_ALLOWED", "A service account is nobody.")
			return
		}
		name = g.user
	}
	u, ok := s.userByName(name)
	if !ok || u.DomainID != g.app.DomainID {
		fail(w, http.StatusNotFound, "USER_NOT_EXIST", "The user does not exist.")
		return
	}
	writeJSON(w, http.StatusOK, u)
}

func (s *Server) listContacts(w http.ResponseWriter, r *http.Request, _ grant) {
	q := r.URL.Query()
	contacts := s.cfg.Contacts
	if kind := q.Get("searchDateType"); kind != "" {
		from, err1 := time.Parse(time.RFC3339Nano, q.Get("startDateTime"))
		to, err2 := time.Parse(time.RFC3339Nano, q.Get("endDateTime"))
		if kind != "CREATED_TIME" && kind != "MODIFIED_TIME" || err1 != nil || err2 != nil ||
			to.Before(from) || to.Sub(from) > 7*24*time.Hour {
			fail(w, http.StatusBadRequest, "INVALID_PARAMETER", "The window must be at most 7 days.")
			return
		}
		var within []works.Contact
		for _, c := range contacts {
			t, err := time.Parse(time.RFC3339Nano, c.Modified)
			if err == nil && !t.Before(from) && t.Before(to) {
				within = append(within, c)
			}
		}
		contacts = within
	}
	writePage(w, r, "contacts", contacts, 500)
}
