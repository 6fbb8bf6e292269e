package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

// Report tells the process's starter how it is.
func (s *Server) Report() conf.Report {
	now, tenant := s.standing.Load(), s.document().Tenant
	r := conf.Report{
		Version: conf.ReportVersion, Tenant: tenant.Namespace + "/" + tenant.Name, Program: s.opts.Program,
		Generation: now.generation, Refused: now.refused, RefusedGeneration: now.refusedGeneration,
		Draining: s.engine.Draining(), Journal: s.journalVersion(), ActiveCalls: s.engine.Active(), DatabaseUp: s.database.up(),
		Overload: s.load.text(), Scarce: s.load.scarce(),
	}
	if s.journals() {
		r.Linger = conf.Duration(s.opts.Linger)
	}
	for _, part := range now.restarts {
		r.Restart = append(r.Restart, string(part))
	}
	if list, err := s.registrations(context.Background()); err == nil {
		r.Registrations = len(list)
	}
	for _, t := range s.agent.Trunks().Status() {
		report := conf.TrunkReport{Name: t.Name, Up: t.Up, Host: t.Host}
		if !t.Up {
			report.Why = t.Text
		}
		r.Trunks = append(r.Trunks, report)
	}
	slices.SortFunc(r.Trunks, func(a, b conf.TrunkReport) int { return strings.Compare(a.Name, b.Name) })
	return r
}

// private is what the admin listener serves to whoever has the API token.
func (s *Server) private() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET " + conf.PathReport: func(w http.ResponseWriter, _ *http.Request) { s.report(w, http.StatusOK) },
		"POST " + conf.PathDrain: s.postDrain,
		"DELETE " + conf.PathDrain: func(w http.ResponseWriter, _ *http.Request) {
			s.hold.resume()
			s.report(w, http.StatusOK)
		},
	}
}

func (s *Server) report(w http.ResponseWriter, status int) { writeJSON(w, status, s.Report()) }

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client has gone: nothing is left to do
}

// postDrain answers 409 with the report when IfIdle finds calls up.
func (s *Server) postDrain(w http.ResponseWriter, r *http.Request) {
	d, err := readDrain(r.Body)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": map[string]string{"code": "invalid", "message": err.Error()}})
		return
	}
	if err := s.hold.begin(d); errors.Is(err, errCallsUp) {
		s.report(w, http.StatusConflict)
		return
	}
	s.report(w, http.StatusOK)
}

func readDrain(body io.Reader) (conf.Drain, error) {
	var d conf.Drain
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return d, errors.Join(errors.New(`the body must be JSON like {"ifIdle":true,"hold":"60s"}`), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return d, errors.New("the body must hold one JSON object")
	}
	return d, d.Validate()
}

const (
	// databaseRests is how long the answer to "does the database answer" is
	// good: a report must not wait for a dead one each time.
	databaseRests = time.Second
	// databasePatience is well below the two seconds in which the operator wants
	// its report: a database that hangs does not make the PBX look dead.
	databasePatience = 500 * time.Millisecond
)

// watchedDatabase asks the database now and then.
type watchedDatabase struct {
	ping func(context.Context) error

	mu    sync.Mutex
	last  bool
	until time.Time
}

func (d *watchedDatabase) up() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); now.After(d.until) {
		ctx, cancel := context.WithTimeout(context.Background(), databasePatience)
		defer cancel()
		d.last = d.ping(ctx) == nil
		d.until = time.Now().Add(databaseRests)
	}
	return d.last
}
