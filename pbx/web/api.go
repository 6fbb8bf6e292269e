package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/dipcast/dipcast/pbx"
)

const maxRequest = 64 << 10

// apiError is the body of every refusal of the REST interface.
type apiError struct {
	Error struct {
		Code    string       `json:"code"`
		Message string       `json:"message"`
		Who     string       `json:"who,omitempty"`
		Fields  []fieldError `json:"fields,omitempty"`
	} `json:"error"`
}

// api is the REST interface; every path of it asks for the bearer token,
// also those that do not exist.
func (s *Server) api() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /api/v1/cdrs", s.listCDRs)
	m.HandleFunc("GET /api/v1/cdrs/{id}", s.getCDR)
	m.HandleFunc("GET /api/v1/cdrs/{id}/recording", s.getRecording)
	m.HandleFunc("GET /api/v1/calls", s.listCalls)
	m.HandleFunc("POST /api/v1/calls", s.startCall)
	m.HandleFunc("GET /api/v1/calls/{id}", s.getCall)
	m.HandleFunc("DELETE /api/v1/calls/{id}", s.endCall)
	if s.opts.Registrations != nil {
		m.HandleFunc("GET /api/v1/registrations", s.listRegistrations)
	}
	m.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "not-found", fmt.Sprintf("there is no %s %.100s", r.Method, r.URL.Path))
	})
	return s.authorise(m)
}

// authorise lets requests with the token through. The digests are compared,
// so that the time tells nothing, not even the token's length.
func (s *Server) authorise(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		c := s.site.Load()
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(token))
		if ok && c.APIToken != "" && subtle.ConstantTimeCompare(got[:], c.token[:]) == 1 {
			r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
			next.ServeHTTP(w, r)
			return
		}
		source := s.source(r)
		if !s.denied.take(source) {
			w.Header().Set("Retry-After", "30")
			refuse(w, http.StatusTooManyRequests, "too-many", "too many requests with a wrong token came from your address")
			return
		}
		s.opts.Log.WarnContext(r.Context(), "REST request without the right token", "source", source)
		w.Header().Set("WWW-Authenticate", `Bearer realm="dipcast"`)
		refuse(w, http.StatusUnauthorized, "unauthorized", "send the tenant's API token as \"Authorization: Bearer TOKEN\"")
	})
}

func (s *Server) listCDRs(w http.ResponseWriter, r *http.Request) {
	q, errs := parseQuery(r.URL.Query(), s.site.Load().TimeZone)
	if len(errs) > 0 {
		refuse(w, http.StatusBadRequest, "invalid", "the query has wrong fields", errs...)
		return
	}
	page, err := s.opts.CDRs.Query(r.Context(), q)
	if err != nil && q.Cursor != "" && s.cursorAtFault(r.Context(), q) {
		refuse(w, http.StatusBadRequest, "invalid", "the query has wrong fields",
			fieldError{Field: "cursor", Value: q.Cursor, Message: "must be the \"next\" of the page before"})
		return
	}
	if err != nil {
		s.internal(w, r, err)
		return
	}
	if page.Records == nil {
		page.Records = []pbx.CDR{}
	}
	reply(w, http.StatusOK, page)
}

// cursorAtFault tells a wrong cursor from a store that fails: without the
// cursor the same query works.
func (s *Server) cursorAtFault(ctx context.Context, q pbx.CDRQuery) bool {
	q.Cursor, q.Limit = "", 1
	_, err := s.opts.CDRs.Query(ctx, q)
	return err == nil
}

func (s *Server) getCDR(w http.ResponseWriter, r *http.Request) {
	c, err := s.opts.CDRs.Get(r.Context(), pbx.CallID(r.PathValue("id")))
	switch {
	case errors.Is(err, pbx.ErrGone):
		refuse(w, http.StatusNotFound, "not-found", "there is no record of that call; a call has one when it is over")
	case err != nil:
		s.internal(w, r, err)
	default:
		reply(w, http.StatusOK, c)
	}
}

func (s *Server) listCalls(w http.ResponseWriter, r *http.Request) {
	calls, err := s.opts.Control.Calls(r.Context())
	if err != nil {
		s.failed(w, r, err)
		return
	}
	if calls == nil {
		calls = []pbx.Call{}
	}
	reply(w, http.StatusOK, map[string]any{"calls": calls})
}

func (s *Server) getCall(w http.ResponseWriter, r *http.Request) {
	c, err := s.opts.Control.Call(r.Context(), pbx.CallID(r.PathValue("id")))
	if err != nil {
		s.failed(w, r, err)
		return
	}
	reply(w, http.StatusOK, c)
}

func (s *Server) endCall(w http.ResponseWriter, r *http.Request) {
	if err := s.opts.Control.Hangup(r.Context(), pbx.CallID(r.PathValue("id"))); err != nil {
		s.failed(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// startCall is click to call: the extension's phones ring first.
func (s *Server) startCall(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Extension string `json:"extension"`
		Number    string `json:"number"`
		Name      string `json:"name"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, "invalid", "the body must be JSON like {\"extension\":\"101\",\"number\":\"010-1234-5678\"}: "+jsonFault(err))
		return
	}
	if d.Decode(new(any)) != io.EOF {
		refuse(w, http.StatusBadRequest, "invalid", "the body must hold one JSON object")
		return
	}
	var errs []fieldError
	if _, ok := s.site.Load().byNumber[in.Extension]; !ok {
		errs = append(errs, fieldError{Field: "extension", Value: cut(in.Extension), Message: "must be an extension of this tenant"})
	}
	if in.Number == "" || len(in.Number) > maxDigits || strings.Trim(in.Number, "0123456789+-() *#") != "" {
		errs = append(errs, fieldError{Field: "number", Value: cut(in.Number), Message: "must be an extension or a telephone number of at most 32 characters"})
	}
	if len(in.Name) > maxField {
		errs = append(errs, fieldError{Field: "name", Value: cut(in.Name), Message: "must have at most 256 bytes"})
	}
	if len(errs) > 0 {
		refuse(w, http.StatusBadRequest, "invalid", "the call has wrong fields", errs...)
		return
	}
	id, err := s.opts.Control.CallBack(r.Context(), pbx.CallBack{Extension: in.Extension, Number: in.Number, Name: in.Name})
	if err != nil {
		s.failed(w, r, err)
		return
	}
	w.Header().Set("Location", "/api/v1/calls/"+string(id))
	reply(w, http.StatusAccepted, map[string]pbx.CallID{"id": id})
}

func (s *Server) listRegistrations(w http.ResponseWriter, r *http.Request) {
	all, err := s.opts.Registrations(r.Context())
	if err != nil {
		s.failed(w, r, err)
		return
	}
	if all == nil {
		all = []pbx.Contact{}
	}
	reply(w, http.StatusOK, map[string]any{"registrations": all})
}

// failed answers with what the engine said, if that may be shown.
func (s *Server) failed(w http.ResponseWriter, r *http.Request, err error) {
	var e *pbx.Error
	if !errors.As(err, &e) || e.Code == pbx.CodeFailed {
		s.internal(w, r, err)
		return
	}
	status := statusOf(e.Code)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	var b apiError
	b.Error.Code, b.Error.Message, b.Error.Who = string(e.Code), e.Text, e.Who
	reply(w, status, b)
}

func statusOf(c pbx.Code) int {
	switch c {
	case pbx.CodeGone:
		return http.StatusNotFound
	case pbx.CodeForbidden, pbx.CodeNotYours:
		return http.StatusForbidden
	case pbx.CodeBadNumber:
		return http.StatusBadRequest
	case pbx.CodeNoTrunk, pbx.CodeLimit, pbx.CodeDraining:
		return http.StatusServiceUnavailable
	default:
		return http.StatusConflict
	}
}

// internal hides what went wrong from the outside and logs it.
func (s *Server) internal(w http.ResponseWriter, r *http.Request, err error) {
	s.opts.Log.ErrorContext(r.Context(), "REST request failed", "path", r.URL.Path, "error", err)
	refuse(w, http.StatusInternalServerError, "failed", "the PBX could not do it; its log says why")
}

func refuse(w http.ResponseWriter, status int, code, message string, fields ...fieldError) {
	var b apiError
	b.Error.Code, b.Error.Message, b.Error.Fields = code, message, fields
	reply(w, status, b)
}

func reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, `{"error":{"code":"failed","message":"the answer could not be written as JSON"}}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// jsonFault says what is wrong with a body without repeating it.
func jsonFault(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("it is no JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return "the field " + kind.Field + " must be text"
	case errors.As(err, &tooLarge):
		return "it is larger than 64 KiB"
	default:
		return cut(err.Error())
	}
}

func cut(s string) string {
	if len(s) > maxField {
		return strings.ToValidUTF8(s[:maxField], "")
	}
	return s
}
