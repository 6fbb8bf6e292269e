package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/text"
	"github.com/dipcast/dipcast/pbx/web/pages"
	"github.com/dipcast/dipcast/pbx/web/signin"
)

const (
	pageSize       = 50
	refreshLive    = 3  // seconds, of a live call's page
	refreshHistory = 10 // seconds, of a list with live calls
	languageCookie = "dipcast-language"
)

// console adds the pages for people.
func (s *Server) console(m *http.ServeMux) {
	m.HandleFunc("GET /{$}", s.signedIn(s.history))
	m.HandleFunc("GET /calls/{id}", s.signedIn(s.detail))
	m.HandleFunc("GET /calls/{id}/recording", s.signedIn(s.listen))
	m.HandleFunc("GET /sign-in", s.signInPage)
	m.HandleFunc("GET "+signin.PathStart, s.signInStart)
	m.HandleFunc("GET "+signin.PathCallback, s.signInFinish)
	m.HandleFunc("POST /sign-out", s.signOut)
	m.HandleFunc("GET /language/{language}", s.language)
	m.HandleFunc("GET /static/{name}", asset)
	m.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, pages.PathIcon, http.StatusMovedPermanently)
	})
	m.HandleFunc("/", s.signedIn(func(w http.ResponseWriter, r *http.Request, v viewer) {
		s.message(w, r, &v, pages.Message{Key: "not-found", Code: http.StatusNotFound, Link: "/", LinkKey: "to-history"})
	}))
}

// signedIn lets people with something to see through.
func (s *Server) signedIn(next func(http.ResponseWriter, *http.Request, viewer)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := s.site.Load()
		session, ok := c.signIn.Session(r)
		if !ok {
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				s.message(w, r, nil, pages.Message{Key: "forbidden", Code: http.StatusForbidden, Link: "/", LinkKey: "to-history"})
				return
			}
			http.Redirect(w, r, "/sign-in?next="+url.QueryEscape(signin.LocalPath(r.URL.RequestURI())), http.StatusSeeOther)
			return
		}
		v, known := c.viewerOf(session)
		if !known {
			m := pages.Message{Key: "unknown", Code: http.StatusForbidden, Items: []string{"ID: " + session.ID}}
			if session.Email != "" {
				m.Items = append([]string{session.Email}, m.Items...)
			}
			s.message(w, r, &v, m)
			return
		}
		next(w, r, v)
	}
}

// history is the list of calls.
func (s *Server) history(w http.ResponseWriter, r *http.Request, v viewer) {
	c := s.site.Load()
	values := withoutEmpty(r.URL.Query())
	q, errs := parseQuery(values, c.TimeZone)
	q.Limit = pageSize
	scope(&q, v)
	h := s.historyView(r, v, values)
	if len(errs) > 0 {
		h.Problem = problem(h.Page, errs[0])
	}
	page, err := s.opts.CDRs.Query(r.Context(), q)
	if err != nil && q.Cursor != "" && s.cursorAtFault(r.Context(), q) {
		h.Problem = h.T("filter.bad-page")
		values.Del("cursor")
		q.Cursor = ""
		page, err = s.opts.CDRs.Query(r.Context(), q)
	}
	if err != nil {
		s.broken(w, r, &v, err)
		return
	}
	d := drawer{page: h.Page, zone: c.TimeZone, now: s.opts.Now(), names: c.byNumber}
	for i := range page.Records {
		// The store was asked for this person's calls; a fault there must
		// not show a stranger's.
		if v.sees(&page.Records[i]) {
			h.Rows = append(h.Rows, d.row(&page.Records[i], string(page.Records[i].Disposition)))
		}
	}
	if page.Next != "" {
		h.Next = pathWith(values, "cursor", page.Next)
	}
	if q.Cursor != "" {
		h.First = pathWith(values, "cursor", "")
	} else if !h.Filtered {
		h.Live = s.live(r.Context(), d, v, q.Extension)
	}
	if len(h.Live) > 0 {
		h.Refresh = refreshHistory
	}
	s.render(w, r, http.StatusOK, h)
}

// scope limits a query to what the person may see: an employee's is always
// about one extension of their own.
func scope(q *pbx.CDRQuery, v viewer) {
	if v.admin {
		return
	}
	if !v.owns(q.Extension) {
		q.Extension = v.extensions[0].Number
	}
}

// live lists the calls that are not over. The history is shown without them
// if the engine does not answer.
func (s *Server) live(ctx context.Context, d drawer, v viewer, extension string) []pages.Row {
	calls, err := s.opts.Control.Calls(ctx)
	if err != nil {
		s.opts.Log.WarnContext(ctx, "the console shows no live calls", "error", err)
		return nil
	}
	var rows []pages.Row
	for _, call := range calls {
		record := recordOf(call)
		if v.sees(&record) && (extension == "" || record.Involves(extension)) {
			rows = append(rows, d.row(&record, string(call.State)))
		}
	}
	return rows
}

// detail is one call, live or over. What somebody may not see does not exist
// for them.
func (s *Server) detail(w http.ResponseWriter, r *http.Request, v viewer) {
	id := pbx.CallID(r.PathValue("id"))
	record, state, err := s.find(r.Context(), id)
	if err == nil && !v.sees(&record) {
		err = pbx.ErrGone
	}
	switch {
	case errors.Is(err, pbx.ErrGone):
		s.message(w, r, &v, pages.Message{Key: "not-found", Code: http.StatusNotFound, Link: "/", LinkKey: "to-history"})
		return
	case err != nil:
		s.broken(w, r, &v, err)
		return
	}
	c := s.site.Load()
	d := drawer{page: s.page(r, &v), zone: c.TimeZone, now: s.opts.Now(), names: c.byNumber}
	if state != "" {
		d.page.Refresh = refreshLive
	}
	view := d.detail(&record, state)
	if s.opts.Recording != nil && v.hears(&record) {
		view.Recording = d.recording(&record, state)
	}
	s.render(w, r, http.StatusOK, view)
}

// find returns a call and, if it is not over, its state. A call that ends
// between the two questions has its record only a moment later.
func (s *Server) find(ctx context.Context, id pbx.CallID) (pbx.CDR, pbx.CallState, error) {
	call, err := s.opts.Control.Call(ctx, id)
	if err == nil {
		return recordOf(call), call.State, nil
	}
	if !errors.Is(err, pbx.ErrGone) {
		s.opts.Log.WarnContext(ctx, "the engine was not able to say whether a call lives", "call", id, "error", err)
	}
	record, err := s.opts.CDRs.Get(ctx, id)
	return record, "", err
}

// broken tells that something of ours failed.
func (s *Server) broken(w http.ResponseWriter, r *http.Request, v *viewer, err error) {
	s.opts.Log.ErrorContext(r.Context(), "a page could not be shown", "path", r.URL.Path, "error", err)
	s.message(w, r, v, pages.Message{Key: "error", Code: http.StatusInternalServerError, Link: "/", LinkKey: "to-history"})
}

// message shows a page that says one thing.
func (s *Server) message(w http.ResponseWriter, r *http.Request, v *viewer, m pages.Message) {
	m.Page = s.page(r, v)
	status := m.Code
	if status == 0 {
		status = http.StatusOK
	}
	s.render(w, r, status, m)
}

// render writes a page whole or not at all.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, view any) {
	var b strings.Builder
	if err := pages.Render(&b, view); err != nil {
		s.opts.Log.ErrorContext(r.Context(), "a page could not be drawn", "path", r.URL.Path, "error", err)
		http.Error(w, "the page could not be drawn", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Language, Cookie")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, b.String())
}

// page is what every page shows around its content.
func (s *Server) page(r *http.Request, v *viewer) pages.Page {
	c := s.site.Load()
	p := pages.Page{Lang: languageOf(r, c.Locale), Tenant: c.DisplayName, Path: signin.LocalPath(r.URL.RequestURI())}
	if v == nil {
		return p
	}
	u := &pages.User{Name: v.session.Name, CSRF: c.signIn.CSRF(v.session)}
	if u.Name == "" {
		u.Name = v.session.Email
	}
	switch {
	case v.admin:
		u.Role = "role.admin"
	case len(v.extensions) > 0:
		u.Role = "role.employee"
	}
	var lines []string
	for _, e := range v.extensions {
		lines = append(lines, e.Number)
	}
	u.Lines = strings.Join(lines, ", ")
	p.User = u
	return p
}

// languageOf is the person's choice, else the browser's wish, else the
// tenant's language.
func languageOf(r *http.Request, locale string) text.Lang {
	if c, err := r.Cookie(languageCookie); err == nil {
		for _, l := range text.Pages() {
			if c.Value == string(l) {
				return l
			}
		}
	}
	for _, wish := range strings.Split(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ := strings.Cut(strings.TrimSpace(wish), ";")
		primary, _, _ := strings.Cut(tag, "-")
		for _, l := range text.Pages() {
			if strings.EqualFold(primary, string(l)) {
				return l
			}
		}
	}
	if text.Match(locale) == text.Korean {
		return text.Korean
	}
	return text.English
}

// language remembers the person's choice for a year. It is no secret and
// changes nothing but words.
func (s *Server) language(w http.ResponseWriter, r *http.Request) {
	for _, l := range text.Pages() {
		if r.PathValue("language") == string(l) {
			http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the console is https; plain http is for loopback alone
				Name: languageCookie, Value: string(l), Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true,
				SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(s.site.Load().BaseURL, "https://"),
			})
		}
	}
	http.Redirect(w, r, signin.LocalPath(r.URL.Query().Get("next")), http.StatusSeeOther) //nolint:gosec // LocalPath lets only paths of this console through
}

func asset(w http.ResponseWriter, r *http.Request) {
	data, mediaType, ok := pages.Asset(r.URL.Path)
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(data) //nolint:gosec // an embedded file
}
