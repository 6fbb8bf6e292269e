package receiver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/works"
)

// press is a callback on its way; most are presses of buttons.
type press struct {
	tenant types.NamespacedName
	bot    types.NamespacedName // whose secret proves it; zero: nobody's
	host   string
	header http.Header // that goes on to the PBX
	body   []byte
	at     time.Time // when it came
}

// answer is the PBX's.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// maxAnswer is more than a PBX says to a callback.
const maxAnswer = 4 << 10

// passedOn are the headers of a request that the PBX gets, beside those of
// NAVER WORKS.
func passedOn(name string) bool {
	switch name {
	case "Content-Type", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id":
		return true
	}
	return strings.HasPrefix(strings.ToUpper(name), "X-WORKS-")
}

// errAway is a PBX that has no address.
var errAway = errors.New("no pod runs")

// forward gives a press to the PBX once.
func (r *Receiver) forward(ctx context.Context, p *press) (answer, error) {
	base := r.opts.Where(ctx, p.tenant)
	if base == "" {
		return answer{}, errAway
	}
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+Path, bytes.NewReader(p.body))
	if err != nil {
		return answer{}, fmt.Errorf("address of the PBX: %w", err)
	}
	req.Host, req.Header = p.host, p.header.Clone()
	resp, err := r.opts.Transport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, err
	}
	return answer{resp.StatusCode, resp.Header, body}, nil
}

// fate is what an answer means for a press that the bot's secret proves.
type fate int

const (
	later fate = iota // the PBX is away, or not yet able to judge
	taken             // it is the PBX's now
	never             // it is nothing that a PBX takes
)

// fateOf judges an answer to a proven press. A PBX that does not know its bot, or
// another secret of it, has a document to come: it is asked again.
func fateOf(a answer, err error) fate {
	switch {
	case err != nil:
		return later
	case a.status >= 200 && a.status < 300:
		return taken
	case a.status == http.StatusBadRequest, a.status == http.StatusRequestEntityTooLarge:
		return never
	}
	return later
}

// relay answers with what the PBX said.
func (a answer) relay(w http.ResponseWriter) {
	for _, name := range []string{"Content-Type", "Retry-After", conf.HeaderTenant} {
		if v := a.header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// deliver gives a tenant's presses to its PBX, until none is left.
func (r *Receiver) deliver(ctx context.Context, tenant types.NamespacedName) {
	again := time.NewTicker(retryEvery)
	defer again.Stop()
	for {
		r.round(ctx, tenant)
		if r.hold.finished(tenant) {
			return
		}
		select {
		case <-ctx.Done():
			r.giveUp(tenant)
			return
		case <-again.C:
		}
	}
}

// round tries each press once, in order, until it is found that the PBX is away.
func (r *Receiver) round(ctx context.Context, tenant types.NamespacedName) {
	away := false
	lost := map[Loss]bool{}
	for _, p := range r.hold.of(tenant) {
		waited := r.opts.Now().Sub(p.at)
		if waited >= holdFor {
			r.hold.drop(p)
			r.metrics.count(outcomeExpired)
			lost[r.lossOf(p)] = true
			continue
		}
		if away {
			continue
		}
		a, err := r.forward(ctx, p)
		away = err != nil
		switch fateOf(a, err) {
		case taken:
			r.hold.drop(p)
			r.metrics.delivered(waited)
		case never:
			r.hold.drop(p)
			r.metrics.count(outcomeRefused)
		}
	}
	for l := range lost {
		r.hold.running.Go(func() { r.tell(ctx, l) }) // others wait for the PBX, not for NAVER WORKS
	}
}

// giveUp drops what is left when the process must end.
func (r *Receiver) giveUp(tenant types.NamespacedName) {
	for _, p := range r.hold.of(tenant) {
		r.hold.drop(p)
		r.metrics.count(outcomeExpired)
	}
	r.hold.finished(tenant)
}

// lossOf says whom a lost press is told to: who wrote or pressed, once for all
// that went with it.
func (r *Receiver) lossOf(p *press) Loss {
	l := Loss{Tenant: p.tenant, Bot: p.bot}
	event, err := works.DecodeCallback(p.body)
	if err == nil && (event.Type == works.EventMessage || event.Type == works.EventPostback) {
		l.User = event.UserID
	}
	return l
}

func (r *Receiver) tell(ctx context.Context, l Loss) {
	r.opts.Log.Warn("a tenant's PBX did not take its callbacks in time", "tenant", l.Tenant.String())
	if l.User == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellFor)
	defer cancel()
	if err := r.opts.Tell(ctx, l); err != nil {
		r.opts.Log.Warn("who pressed could not be told that it came to nothing", "tenant", l.Tenant.String(), "error", err)
	}
}
