package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

// pbxs answers for the PBX of every tenant: its report, to whoever has its
// token. One server listens at the admin port of each pod.
type pbxs struct {
	server *http.Server
	asked  atomic.Int64

	mu    sync.Mutex
	at    map[string]string // tenant by its address
	token map[string]string // by tenant
	text  map[string][]byte // report by tenant
	serve sync.WaitGroup
}

func newPBXs() *pbxs {
	p := &pbxs{at: map[string]string{}, token: map[string]string{}, text: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+conf.PathReport, p.report)
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	return p
}

func (p *pbxs) stop() error {
	err := p.server.Close()
	p.serve.Wait()
	return err
}

// listen answers for a tenant at its pod's address from now on.
func (p *pbxs) listen(ctx context.Context, tenant, ip string, port int32) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(ip, strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.at[l.Addr().String()] = tenant
	p.mu.Unlock()
	p.serve.Go(func() { _ = p.server.Serve(l) }) // ends with the server
	return nil
}

// load has a tenant's PBX run a document. A kubelet would have brought it
// about a second later.
func (p *pbxs) load(tenant string, d document) {
	r := conf.Report{
		Version: conf.ReportVersion, Program: "bench", Tenant: tenant + "/" + tenant,
		Generation: d.Generation, DatabaseUp: true,
	}
	for _, t := range d.Trunks {
		r.Trunks = append(r.Trunks, conf.TrunkReport{Name: t.Name, Up: true})
	}
	text, err := json.Marshal(r)
	if err != nil {
		text = []byte(err.Error())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.token[tenant], p.text[tenant] = d.Web.APIToken, text
}

func (p *pbxs) report(w http.ResponseWriter, r *http.Request) {
	p.asked.Add(1)
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		http.Error(w, errors.New("no address").Error(), http.StatusInternalServerError)
		return
	}
	p.mu.Lock()
	tenant := p.at[addr.String()]
	token, text := p.token[tenant], p.text[tenant]
	p.mu.Unlock()
	if token == "" || r.Header.Get("Authorization") != "Bearer "+token {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}
