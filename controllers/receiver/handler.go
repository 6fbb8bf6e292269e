package receiver

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx/works"
)

// ServeHTTP implements http.Handler. 200 means that the PBX has the callback, or
// that it is held and proven.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path != Path {
		http.NotFound(w, req)
		return
	}
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "callbacks are posted", http.StatusMethodNotAllowed)
		return
	}
	host := hostOf(req.Host)
	tenants, err := r.opts.Find(req.Context(), host)
	if err != nil {
		r.opts.Log.Error("the tenant of a host is not known", "error", err)
		unavailable(w, "the companies are not known yet")
		return
	}
	if len(tenants) == 0 {
		r.metrics.count(outcomeUnknown)
		http.Error(w, "no company has this host", http.StatusNotFound)
		return
	}
	p, ok := r.read(w, req, host)
	if !ok {
		return
	}
	if prove(p, tenants, req.Header) {
		r.take(w, req, p)
		return
	}
	p.tenant = tenants[0].Name
	r.pass(w, req, p)
}

// read takes a request apart.
func (r *Receiver) read(w http.ResponseWriter, req *http.Request, host string) (*press, bool) {
	body, err := r.body(w, req, host)
	if err != nil {
		r.metrics.count(outcomeRefused)
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			http.Error(w, "the body is larger than 1 MiB", http.StatusRequestEntityTooLarge)
		} else {
			http.Error(w, "the body could not be read", http.StatusBadRequest)
		}
		return nil, false
	}
	p := &press{host: host, body: body, header: http.Header{}, at: r.opts.Now()}
	for name, values := range req.Header {
		if passedOn(name) {
			p.header[name] = values
		}
	}
	if from, _, err := net.SplitHostPort(req.RemoteAddr); err == nil {
		p.header.Set("X-Forwarded-For", strings.Join(append(p.header.Values("X-Forwarded-For"), from), ", "))
	}
	return p, true
}

// body reads the body of a request when there is a place for it. Who sends it
// slowly does not keep the place.
func (r *Receiver) body(w http.ResponseWriter, req *http.Request, host string) ([]byte, error) {
	leave, ok := r.desk.enter(req.Context(), host)
	if !ok {
		return nil, context.Cause(req.Context())
	}
	defer leave()
	deadline := http.NewResponseController(w).SetReadDeadline
	if err := deadline(time.Now().Add(readFor)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		return nil, err
	}
	_ = deadline(time.Time{}) // the answer may take longer; the server sets the next one
	return body, nil
}

// prove looks for the bot whose secret has signed a press.
func prove(p *press, tenants []Tenant, header http.Header) bool {
	signature, id := header.Get(works.HeaderSignature), header.Get(works.HeaderBotID)
	for _, t := range tenants {
		for _, b := range t.Bots {
			if b.ID == id && works.VerifyCallback(b.Secret.Reveal(), p.body, signature) {
				p.tenant, p.bot = t.Name, b.Name
				return true
			}
		}
	}
	return false
}

// pass gives the PBX what nothing proves, once: it answers strangers, and the
// operator that looks whether callbacks find their way.
func (r *Receiver) pass(w http.ResponseWriter, req *http.Request, p *press) {
	select {
	case r.strangers <- struct{}{}:
		defer func() { <-r.strangers }()
	default:
		r.metrics.count(outcomeAway)
		unavailable(w, "too many requests that no signature proves")
		return
	}
	a, err := r.forward(req.Context(), p)
	if err != nil {
		r.metrics.count(outcomeAway)
		unavailable(w, "the company's PBX does not answer")
		return
	}
	r.metrics.count(outcomeUnproven)
	a.relay(w)
}

// take gives a proven press to the PBX, or holds it for one that is away. What
// others of the tenant wait for it waits for, too.
func (r *Receiver) take(w http.ResponseWriter, req *http.Request, p *press) {
	if !r.hold.waits(p.tenant) {
		a, err := r.forward(req.Context(), p)
		switch fateOf(a, err) {
		case taken:
			r.metrics.count(outcomeForwarded)
			a.relay(w)
			return
		case never:
			r.metrics.count(outcomeRefused)
			a.relay(w)
			return
		}
	}
	if !r.hold.add(p) {
		r.metrics.count(outcomeOverflow)
		unavailable(w, "too many callbacks wait for the company's PBX")
		return
	}
	r.metrics.count(outcomeHeld)
	w.WriteHeader(http.StatusOK)
}

func unavailable(w http.ResponseWriter, why string) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, why, http.StatusServiceUnavailable)
}

// hostOf is the name in a Host header.
func hostOf(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
