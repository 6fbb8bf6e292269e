package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/dipcast/dipcast/pbx/web/pages"
	"github.com/dipcast/dipcast/pbx/web/signin"
)

// signInPage is where people without a session come to.
func (s *Server) signInPage(w http.ResponseWriter, r *http.Request) {
	c := s.site.Load()
	next := signin.LocalPath(r.URL.Query().Get("next"))
	if _, ok := c.signIn.Session(r); ok {
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // LocalPath lets only paths of this console through
		return
	}
	if !c.signIn.Enabled() {
		s.message(w, r, nil, pages.Message{Key: "sign-in-off", Code: http.StatusServiceUnavailable})
		return
	}
	s.message(w, r, nil, pages.Message{
		Key: "sign-in", Args: []string{c.DisplayName}, Primary: true,
		Link: signin.PathStart + "?next=" + url.QueryEscape(next), LinkKey: "sign-in.button",
	})
}

// signInStart sends the browser to NAVER WORKS.
func (s *Server) signInStart(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if s.tooMany(w, r) {
		return
	}
	if err := s.site.Load().signIn.Start(w, r, r.URL.Query().Get("next")); err != nil {
		s.signInFailed(w, r, err)
	}
}

// signInFinish takes the browser back. Somebody without an extension is
// signed in all the same, so that the page can say which account it is.
func (s *Server) signInFinish(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if s.tooMany(w, r) {
		return
	}
	who, next, err := s.site.Load().signIn.Finish(w, r)
	if err != nil {
		s.signInFailed(w, r, err)
		return
	}
	s.opts.Log.InfoContext(r.Context(), "signed in", "user", who.ID, "source", s.source(r))
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // Finish returns only paths of this console
}

func (s *Server) tooMany(w http.ResponseWriter, r *http.Request) bool {
	if s.signIns.take(s.source(r)) {
		return false
	}
	w.Header().Set("Retry-After", "10")
	s.message(w, r, nil, pages.Message{Key: "too-many", Code: http.StatusTooManyRequests})
	return true
}

func (s *Server) signInFailed(w http.ResponseWriter, r *http.Request, err error) {
	s.opts.Log.WarnContext(r.Context(), "a sign-in failed", "source", s.source(r), "error", err)
	m := pages.Message{Key: "provider", Code: http.StatusBadGateway, Link: "/sign-in", LinkKey: "sign-in-again"}
	if errors.Is(err, signin.ErrRefused) {
		m.Key, m.Code = "sign-in-failed", http.StatusForbidden
	}
	s.message(w, r, nil, m)
}

// signOut ends the session; the form's value proves that it came from our
// own page.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	c := s.site.Load()
	session, ok := c.signIn.Session(r)
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if ok && !c.signIn.ValidCSRF(session, r.PostFormValue("csrf")) {
		s.message(w, r, nil, pages.Message{Key: "forbidden", Code: http.StatusForbidden, Link: "/", LinkKey: "to-history"})
		return
	}
	if err := c.signIn.End(w); err != nil {
		s.broken(w, r, nil, err)
		return
	}
	s.message(w, r, nil, pages.Message{Key: "bye", Link: "/sign-in", LinkKey: "sign-in-again"})
}
