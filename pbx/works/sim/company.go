package sim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim/schema"
)

// Users returns the members as they are now; the list is not to be changed.
func (s *Server) Users() []works.User {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users
}

// userByName finds a user by ID or e-mail; the caller does not hold mu.
func (s *Server) userByName(name string) (works.User, bool) {
	for _, u := range s.Users() {
		if named(u, name) {
			return u, true
		}
	}
	return works.User{}, false
}

func named(u works.User, name string) bool {
	return u.UserID == name || strings.EqualFold(u.Email, name)
}

// SetUser puts a member in place of the one with that ID, or adds one. A
// missing ID follows from the e-mail, a missing domain is that of the first bot.
func (s *Server) SetUser(u works.User) {
	u = Config{Bots: s.cfg.Bots, Users: []works.User{u}}.withDefaults().Users[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	users := slices.Clone(s.users)
	if i := slices.IndexFunc(users, func(o works.User) bool { return o.UserID == u.UserID }); i >= 0 {
		users[i] = u
	} else {
		users = append(users, u)
	}
	s.users = users
	if c := s.chats[u.UserID]; c != nil {
		c.user = u
	} else {
		s.chats[u.UserID] = &chat{user: u}
	}
}

// RemoveUser takes a member, by ID or e-mail, out of the directory.
func (s *Server) RemoveUser(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users = slices.DeleteFunc(slices.Clone(s.users), func(u works.User) bool { return named(u, name) })
}

// ChangeBot changes a bot's settings as its administrator does in the
// Developer Console; false if there is no such bot.
func (s *Server) ChangeBot(botID int64, p works.BotPatch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.bots[botID]
	if ok {
		b.patch(p)
	}
	return ok
}

// ChangeMenu replaces a bot's persistent menu ({"content":{"actions":[...]}});
// nil takes it away. False if there is no such bot.
func (s *Server) ChangeMenu(botID int64, menu json.RawMessage) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.bots[botID]
	if ok {
		b.menu = menu
	}
	return ok
}

// RemoveBot deletes a bot.
func (s *Server) RemoveBot(botID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.bots, botID)
}

// Bar withdraws the credentials of an app, with its access tokens, or gives
// them back.
func (s *Server) Bar(clientID string, barred bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.barred[clientID] = barred
}

// company adds the administration of people, bots and apps.
func (s *Server) company(admin func(pattern string, h http.HandlerFunc)) {
	done := func(f func(r *http.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			f(r)
			w.WriteHeader(http.StatusNoContent)
		}
	}
	admin("PUT /sim/users/{user}", s.adminSetUser)
	admin("DELETE /sim/users/{user}", done(func(r *http.Request) { s.RemoveUser(r.PathValue("user")) }))
	admin("PATCH /sim/bots/{bot}", s.adminChangeBot)
	admin("PUT /sim/bots/{bot}/menu", s.adminChangeMenu)
	admin("DELETE /sim/bots/{bot}/menu", done(func(r *http.Request) { s.ChangeMenu(botOf(r), nil) }))
	admin("DELETE /sim/bots/{bot}", done(func(r *http.Request) { s.RemoveBot(botOf(r)) }))
	admin("DELETE /sim/apps/{app}", done(func(r *http.Request) { s.Bar(r.PathValue("app"), true) }))
	admin("PUT /sim/apps/{app}", done(func(r *http.Request) { s.Bar(r.PathValue("app"), false) }))
}

// botOf is the bot in the path, 0 if it is no number: no bot has that.
func botOf(r *http.Request) int64 {
	id, err := strconv.ParseInt(r.PathValue("bot"), 10, 64)
	if err != nil {
		return 0
	}
	return id
}

// adminSetUser changes the fields of a member that the body names, or adds one
// with that e-mail.
func (s *Server) adminSetUser(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("user")
	u, known := s.userByName(name)
	if !known && !strings.Contains(name, "@") {
		fail(w, http.StatusNotFound, "USER_NOT_EXIST", "There is no such user; a new one is named by an e-mail.")
		return
	}
	id := u.UserID
	if !known {
		u.Email = name
	}
	u.Organization = copied(u.Organization) // decoding writes into the list that it finds
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&u); err != nil || known && u.UserID != id {
		fail(w, http.StatusBadRequest, "INVALID_PARAMETER", "The body must hold fields of a member, and not another userId.")
		return
	}
	s.SetUser(u)
	w.WriteHeader(http.StatusNoContent)
}

// copied is the list with nothing shared.
func copied(list []works.UserOrganization) []works.UserOrganization {
	list = slices.Clone(list)
	for i := range list {
		list[i].OrgUnits = slices.Clone(list[i].OrgUnits)
	}
	return list
}

func (s *Server) adminChangeBot(w http.ResponseWriter, r *http.Request) {
	p, ok := readOrder[works.BotPatch](w, r)
	if !ok {
		return
	}
	s.answerChange(w, s.ChangeBot(botOf(r), p))
}

func (s *Server) adminChangeMenu(w http.ResponseWriter, r *http.Request) {
	menu, ok := s.body(w, r, schema.Menu)
	if !ok {
		return
	}
	s.answerChange(w, s.ChangeMenu(botOf(r), menu))
}

// answerChange answers whether the bot was there to be changed.
func (s *Server) answerChange(w http.ResponseWriter, ok bool) {
	if !ok {
		fail(w, http.StatusNotFound, "NOT_FOUND", "There is no such bot.")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
