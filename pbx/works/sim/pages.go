package sim

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/dipcast/dipcast/pbx/works"
)

//go:embed static
var static embed.FS

// policy lets the pages run nothing but their own script, so that a text
// which slipped through the escaping still does nothing.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"form-action 'self' https: http://127.0.0.1:* http://localhost:*; base-uri 'none'; frame-ancestors 'none'"

// pages adds the chat page and the administration under /sim/, which accepts
// no request that another site's page makes the browser send.
func (s *Server) pages(m *http.ServeMux) {
	files, err := fs.Sub(static, "static")
	if err != nil {
		files = static // cannot be: the name is a constant and valid
	}
	own := http.NewCrossOriginProtection()
	admin := func(pattern string, h http.HandlerFunc) { m.Handle(pattern, own.Handler(h)) }
	m.Handle("GET /static/", http.StripPrefix("/static/", secured(http.FileServerFS(files))))
	m.Handle("GET /chat", secured(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "chat.html")
	})))
	m.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/chat", http.StatusFound) })
	admin("GET /sim/users", s.adminUsers)
	admin("GET /sim/events", s.adminEvents)
	admin("GET /sim/messages", s.adminMessages)
	admin("GET /sim/bots", s.adminBots)
	admin("GET /sim/calls", s.adminCalls)
	admin("GET /sim/faults", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Faults()) })
	admin("GET /sim/file/{id}", s.adminFile)
	admin("POST /sim/press", s.adminPress)
	admin("POST /sim/say", s.adminSay)
	admin("POST /sim/faults", s.adminSetFault)
	admin("DELETE /sim/faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		w.WriteHeader(http.StatusNoContent)
	})
	s.company(admin)
	admin("POST /sim/revoke", func(w http.ResponseWriter, _ *http.Request) {
		s.RevokeTokens()
		w.WriteHeader(http.StatusNoContent)
	})
}

func secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-cache")
		h.ServeHTTP(w, r)
	})
}

func (s *Server) adminUsers(w http.ResponseWriter, _ *http.Request) {
	type row struct {
		works.User
		Name string `json:"name"`
	}
	rows := []row{}
	for _, u := range s.Users() {
		rows = append(rows, row{u, u.Name.Full()})
	}
	writeJSON(w, http.StatusOK, rows)
}

func (s *Server) adminBots(w http.ResponseWriter, _ *http.Request) {
	type row struct {
		works.Bot
		Domain int64    `json:"domainId"`
		Menu   []Button `json:"menu"`
	}
	rows := []row{}
	for _, b := range s.cfg.Bots {
		if settings, ok := s.BotSettings(b.BotID); ok {
			rows = append(rows, row{settings, b.DomainID, s.menuButtons(b.BotID)})
		}
	}
	writeJSON(w, http.StatusOK, rows)
}

// menuButtons are the buttons of a bot's persistent menu.
func (s *Server) menuButtons(botID int64) []Button {
	var menu struct {
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(s.Menu(botID), &menu) != nil {
		return nil
	}
	m, err := parseMessage(menu.Content)
	if err != nil {
		return nil
	}
	return m.Buttons
}

func (s *Server) adminCalls(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	calls := make(map[string]int, len(s.calls))
	for k, v := range s.calls {
		calls[k] = v
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, calls)
}

func (s *Server) adminFile(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	f := s.files[r.PathValue("id")]
	s.mu.Unlock()
	if f == nil {
		fail(w, http.StatusNotFound, "FILE_NOT_EXIST", "The file does not exist.")
		return
	}
	s.serveFile(w, f)
}

// adminMessages lists a user's bot messages from index "from"; with "wait"
// (a duration) it waits for the first one, for scripts.
func (s *Server) adminMessages(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	user := q.Get("user")
	from, _ := strconv.Atoi(q.Get("from")) // 0 when it is missing or wrong
	if d, err := time.ParseDuration(q.Get("wait")); err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), d)
		defer cancel()
		if _, err := s.Wait(ctx, user, func(m Message) bool { return m.Index >= from }); err != nil {
			fail(w, http.StatusNotFound, "NOT_FOUND", err.Error())
			return
		}
	}
	messages := slices.DeleteFunc(s.Messages(user), func(m Message) bool { return m.Index < from })
	if messages == nil {
		messages = []Message{}
	}
	writeJSON(w, http.StatusOK, messages)
}

// order is the body of a press or a line.
type order struct {
	User     string         `json:"user"`
	BotID    int64          `json:"botID"`
	Message  int            `json:"message"` // -1 = the persistent menu
	Button   int            `json:"button"`
	Text     string         `json:"text"`
	Language works.Language `json:"language"`
}

func readOrder[T any](w http.ResponseWriter, r *http.Request) (T, bool) {
	var v T
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		fail(w, http.StatusBadRequest, "INVALID_PARAMETER", err.Error())
		return v, false
	}
	return v, true
}

func (s *Server) adminPress(w http.ResponseWriter, r *http.Request) {
	o, ok := readOrder[order](w, r)
	if !ok {
		return
	}
	who, ok := s.userByName(o.User)
	if !ok {
		fail(w, http.StatusNotFound, "USER_NOT_EXIST", "The user does not exist.")
		return
	}
	if o.Language == "" {
		o.Language = works.Language(who.Locale)
	}
	botID, buttons := o.BotID, s.menuButtons(o.BotID)
	if o.Message >= 0 {
		messages := s.Messages(o.User)
		if o.Message >= len(messages) {
			fail(w, http.StatusNotFound, "NOT_FOUND", "There is no such message.")
			return
		}
		botID, buttons = messages[o.Message].BotID, messages[o.Message].Buttons
	}
	if o.Button < 0 || o.Button >= len(buttons) {
		fail(w, http.StatusNotFound, "NOT_FOUND", "There is no such button.")
		return
	}
	finish(w, s.press(r.Context(), who, botID, buttons[o.Button], o.Language))
}

func (s *Server) adminSay(w http.ResponseWriter, r *http.Request) {
	o, ok := readOrder[order](w, r)
	if !ok {
		return
	}
	if n := works.UTF16Len(o.Text); n < 1 || n > works.MaxText {
		fail(w, http.StatusBadRequest, "INVALID_PARAMETER", "text must have 1 to 2000 characters.")
		return
	}
	finish(w, s.Say(r.Context(), o.User, o.BotID, o.Text))
}

// finish tells the page whether the callback was taken.
func finish(w http.ResponseWriter, err error) {
	if err != nil {
		fail(w, http.StatusBadGateway, "CALLBACK_FAILED", err.Error())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) adminSetFault(w http.ResponseWriter, r *http.Request) {
	f, ok := readOrder[Fault](w, r)
	if !ok {
		return
	}
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		fail(w, http.StatusBadRequest, "INVALID_PARAMETER", "status must be 400 to 599.")
		return
	}
	s.SetFault(f)
	w.WriteHeader(http.StatusNoContent)
}

// chatEvent is one line of somebody's chat, as the page gets it.
type chatEvent struct {
	User string `json:"user"`
	Line
}

// eventsAfter returns the lines of all chats after an ID, in their order.
func (s *Server) eventsAfter(id int) ([]chatEvent, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []chatEvent
	for user, c := range s.chats {
		for _, l := range c.lines {
			if l.ID > id {
				out = append(out, chatEvent{user, l})
			}
		}
	}
	slices.SortFunc(out, func(a, b chatEvent) int { return a.ID - b.ID })
	return out, s.changed
}

// keepAlive is how often a silent stream says that it lives.
const keepAlive = 15 * time.Second

// adminEvents streams the lines of all chats as server-sent events: those
// that are there, then an event "live", then what comes.
func (s *Server) adminEvents(w http.ResponseWriter, r *http.Request) {
	last, _ := strconv.Atoi(r.Header.Get("Last-Event-ID")) // 0 on the first connection
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	// A failed write shows at the next Flush.
	for live := false; ; {
		events, changed := s.eventsAfter(last)
		for _, e := range events {
			last = e.ID
			data, err := json.Marshal(e)
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(w, "id: %d\ndata: %s\n\n", e.ID, data)
		}
		if !live { // what came so far is history
			live = true
			_, _ = fmt.Fprint(w, "event: live\ndata: {}\n\n")
		}
		if out.Flush() != nil {
			return
		}
		select {
		case <-changed:
		case <-ticker.C:
			_, _ = fmt.Fprint(w, ": alive\n\n")
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		}
	}
}

var signIn = template.Must(template.ParseFS(static, "static/signin.html"))

// signInPage lets the person at the browser choose who to be.
func (s *Server) signInPage(w http.ResponseWriter, app App, q url.Values) {
	keep := url.Values{}
	for k, v := range q {
		if k != "login_hint" {
			keep[k] = v
		}
	}
	data := struct {
		Client string
		Users  []works.User
		Keep   url.Values
	}{app.ClientID, s.Users(), keep}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Cache-Control", "no-store")
	if err := signIn.Execute(w, data); err != nil {
		s.cfg.Logger.Warn("sign-in page was not written", "error", err)
	}
}
