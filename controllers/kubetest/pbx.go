package kubetest

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

// PBX answers the operator like a PBX: its report, drains, the token. It
// follows the document that its pod mounts.
type PBX struct {
	server *http.Server
	done   chan struct{}

	mu     sync.Mutex
	token  string
	report conf.Report
	// Refuse makes it keep the document that it has.
	refuse string
	final  bool // it was told that no process takes its place
}

// startPBX listens at an address and runs a document.
func startPBX(ctx context.Context, ip string, port int32, d *conf.Document) (*PBX, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(ip, strconv.Itoa(int(port))))
	if err != nil {
		return nil, err
	}
	p := &PBX{done: make(chan struct{})}
	p.report = conf.Report{Version: conf.ReportVersion, Program: "fake", DatabaseUp: true, Tenant: d.Tenant.Namespace + "/" + d.Tenant.Name}
	p.apply(d)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+conf.PathReport, p.tell)
	mux.HandleFunc("POST "+conf.PathDrain, p.drain)
	mux.HandleFunc("DELETE "+conf.PathDrain, p.resume)
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(p.done)
		if err := p.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.Set(func(r *conf.Report) { r.Refused = err.Error() })
		}
	}()
	return p, nil
}

func (p *PBX) stop() error {
	if p == nil {
		return nil
	}
	err := p.server.Close()
	<-p.done
	return err
}

// apply takes over a document, or refuses it.
func (p *PBX) apply(d *conf.Document) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.token = d.Web.APIToken.Reveal()
	if p.refuse != "" {
		p.report.Refused, p.report.RefusedGeneration = p.refuse, d.Generation
		return
	}
	p.report.Generation, p.report.Refused, p.report.RefusedGeneration = d.Generation, "", ""
	before := p.report.Trunks
	p.report.Trunks = nil
	for _, t := range d.Trunks {
		trunk := conf.TrunkReport{Name: t.Name, Up: true}
		for _, b := range before {
			if b.Name == t.Name {
				trunk = b
			}
		}
		p.report.Trunks = append(p.report.Trunks, trunk)
	}
}

// Set changes what the PBX reports.
func (p *PBX) Set(change func(*conf.Report)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.report)
}

// Refuse makes the PBX refuse documents from now on, for a reason; empty: take
// them again.
func (p *PBX) Refuse(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = why
}

// Final reports whether the PBX was told that no process takes its place.
func (p *PBX) Final() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.final
}

// Report is what the PBX reports now.
func (p *PBX) Report() conf.Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.report
}

func (p *PBX) allowed(w http.ResponseWriter, r *http.Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Header.Get("Authorization") == "Bearer "+p.token {
		return true
	}
	http.Error(w, "unauthorized", http.StatusUnauthorized)
	return false
}

func (p *PBX) tell(w http.ResponseWriter, r *http.Request) {
	if !p.allowed(w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(p.Report()); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (p *PBX) drain(w http.ResponseWriter, r *http.Request) {
	if !p.allowed(w, r) {
		return
	}
	var d conf.Drain
	if err := json.NewDecoder(r.Body).Decode(&d); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if d.IfIdle && p.Report().ActiveCalls > 0 {
		http.Error(w, "calls are up", http.StatusConflict)
		return
	}
	p.mu.Lock()
	p.final = d.Final
	p.mu.Unlock()
	p.Set(func(r *conf.Report) {
		r.Draining = true
		if d.EndCallsAfter > 0 {
			r.ActiveCalls = 0
		}
	})
	p.tell(w, r)
}

func (p *PBX) resume(w http.ResponseWriter, r *http.Request) {
	if !p.allowed(w, r) {
		return
	}
	p.Set(func(r *conf.Report) { r.Draining = false })
	p.tell(w, r)
}
