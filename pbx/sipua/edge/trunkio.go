package edge

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/sipua/digest"
	"github.com/dipcast/dipcast/pbx/trunk"
)

// Lookup implements trunk.Transport.
func (e *Edge) Lookup(ctx context.Context, h conf.TrunkHost) ([]netip.AddrPort, error) {
	hops, err := e.Locate(ctx, h)
	if err != nil {
		return nil, err
	}
	out := make([]netip.AddrPort, len(hops))
	for i := range hops {
		out[i] = hops[i].Addr
	}
	return out, nil
}

// Options implements trunk.Transport: a host lives if one of its addresses does.
func (e *Edge) Options(ctx context.Context, t conf.Trunk, h conf.TrunkHost) error {
	return e.eachHop(ctx, h, func(ctx context.Context, to Hop) error { return e.optionsAt(ctx, t, h, to) })
}

func (e *Edge) optionsAt(ctx context.Context, t conf.Trunk, h conf.TrunkHost, to Hop) error {
	user := t.Username
	if user == "" {
		user = "pbx"
	}
	callID, err := e.token()
	if err != nil {
		return err
	}
	req, err := e.trunkRequest(sip.OPTIONS, user, e.cfg.Document().Tenant.Domain, h, to, callID, 1)
	if err != nil {
		return err
	}
	req.AppendHeader(sip.NewHeader("Accept", "application/sdp"))
	_, err = e.ask(ctx, req, to)
	return err
}

// Register implements trunk.Transport. A challenge is answered once (and once
// more if the nonce was stale), and only in the transaction that we began with
// this host and for a realm that the trunk permits.
func (e *Edge) Register(ctx context.Context, r trunk.RegisterRequest) (trunk.RegisterResult, error) {
	out := trunk.RegisterResult{CSeq: r.CSeq}
	err := e.eachHop(ctx, r.Host, func(ctx context.Context, to Hop) error {
		var err error
		out, err = e.registerAt(ctx, r, to)
		r.CSeq = out.CSeq + 1
		return err
	})
	return out, err
}

func (e *Edge) registerAt(ctx context.Context, r trunk.RegisterRequest, to Hop) (trunk.RegisterResult, error) {
	seq := r.CSeq
	var proof sip.Header
	for try := 0; ; try++ {
		req, err := e.registerRequest(&r, to, seq)
		if err != nil {
			return trunk.RegisterResult{CSeq: seq}, err
		}
		if proof != nil {
			req.AppendHeader(proof)
		}
		res, err := e.ask(ctx, req, to)
		if err != nil {
			return trunk.RegisterResult{CSeq: seq}, err
		}
		var again bool
		if try < 2 && (res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired) {
			if proof, again, err = e.answerChallenge(&r, req, res, try > 0); err != nil {
				return trunk.RegisterResult{CSeq: seq}, err
			}
		}
		if !again {
			return e.registerResult(&r, req, res, seq), nil
		}
		seq++
	}
}

func (e *Edge) registerRequest(r *trunk.RegisterRequest, to Hop, seq uint32) (*sip.Request, error) {
	req, err := e.trunkRequest(sip.REGISTER, r.Trunk.Username, r.Host.Host, r.Host, to, r.CallID, seq)
	if err != nil {
		return nil, err
	}
	contact := e.Contact(to)
	contact.User = r.Trunk.Username
	req.AppendHeader(&sip.ContactHeader{Address: contact})
	req.AppendHeader(sip.NewHeader("Expires", strconv.Itoa(int(r.Expires/time.Second))))
	return req, nil
}

// answerChallenge answers the best challenge of a response whose realm is permitted.
func (e *Edge) answerChallenge(r *trunk.RegisterRequest, req *sip.Request, res *sip.Response, second bool) (sip.Header, bool, error) {
	header, answer := "WWW-Authenticate", "Authorization"
	if res.StatusCode == sip.StatusProxyAuthRequired {
		header, answer = "Proxy-Authenticate", "Proxy-Authorization"
	}
	var best *digest.Challenge
	for _, h := range res.GetHeaders(header) {
		c, ok := digest.ParseChallenge(h.Value())
		if ok && r.PermitRealm != nil && r.PermitRealm(c.Realm) && (best == nil || strings.EqualFold(c.Algorithm, "SHA-256")) {
			best = &c
		}
	}
	if best == nil || r.Trunk.Password == "" || (second && !best.Stale) {
		return nil, false, nil
	}
	cnonce, err := e.token()
	if err != nil {
		return nil, false, err
	}
	value := digest.Answer(*best, r.Trunk.Username, r.Trunk.Password.Reveal(),
		string(req.Method), req.Recipient.String(), cnonce, 1)
	return sip.NewHeader(answer, value), true, nil
}

// registerResult reads the final answer to a REGISTER.
func (e *Edge) registerResult(r *trunk.RegisterRequest, req *sip.Request, res *sip.Response, seq uint32) trunk.RegisterResult {
	out := trunk.RegisterResult{
		Status: res.StatusCode, Reason: clean(res.Reason), CSeq: seq,
		MinExpires: headerSeconds(res, "Min-Expires"), RetryAfter: headerSeconds(res, "Retry-After"),
		Expires: headerSeconds(res, "Expires"),
	}
	own := req.Contact()
	for _, h := range res.GetHeaders("Contact") {
		c, ok := h.(*sip.ContactHeader)
		if !ok || own == nil || c.Address.User != own.Address.User || c.Address.Host != own.Address.Host || c.Address.Port != own.Address.Port {
			continue
		}
		if d := seconds(c.Params.GetOr("expires", "")); d > 0 {
			out.Expires = min(d, max(r.Expires, time.Second))
		}
	}
	return out
}

func headerSeconds(m sip.Message, name string) time.Duration {
	hs := m.GetHeaders(name)
	if len(hs) == 0 {
		return 0
	}
	v, _, _ := strings.Cut(hs[0].Value(), ";")
	v, _, _ = strings.Cut(v, "(")
	return max(0, seconds(strings.TrimSpace(v)))
}

// maxAsked is how many addresses of a host are asked in one go.
const maxAsked = 4

// eachHop asks the addresses of a host in turn until one answers; each gets an
// equal share of the time that is left.
func (e *Edge) eachHop(ctx context.Context, h conf.TrunkHost, ask func(context.Context, Hop) error) error {
	hops, err := e.Locate(ctx, h)
	if err != nil {
		return err
	}
	hops = hops[:min(len(hops), maxAsked)]
	for i, to := range hops {
		part, cancel := share(ctx, len(hops)-i)
		err = ask(part, to)
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return err
}

// share returns a context that ends after one of n parts of the time left.
func share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/time.Duration(n))
}

// trunkRequest builds a request outside of dialogs.
func (e *Edge) trunkRequest(method sip.RequestMethod, user, domain string, h conf.TrunkHost, to Hop, callID string, seq uint32) (*sip.Request, error) {
	tag, err := e.token()
	if err != nil {
		return nil, err
	}
	recipient := sip.Uri{Scheme: "sip", Host: bracket(h.Host), Port: h.Port, UriParams: transportParam(to.Transport)}
	req := sip.NewRequest(method, recipient)
	aor := sip.Uri{Scheme: "sip", User: user, Host: bracket(domain)}
	req.AppendHeader(&sip.FromHeader{Address: aor, Params: sip.HeaderParams{{K: "tag", V: tag}}})
	target := aor
	if method != sip.REGISTER {
		target = sip.Uri{Scheme: "sip", Host: bracket(h.Host)}
	}
	req.AppendHeader(&sip.ToHeader{Address: target})
	id := sip.CallIDHeader(callID)
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: method})
	forwards := sip.MaxForwardsHeader(70)
	req.AppendHeader(&forwards)
	req.SetBody(nil)
	return req, nil
}

func bracket(host string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "[" + host + "]"
	}
	return host
}

// ask sends a request and returns its final response.
func (e *Edge) ask(ctx context.Context, req *sip.Request, to Hop) (*sip.Response, error) {
	final, failed := make(chan *sip.Response, 1), make(chan error, 1)
	tx, err := e.Transact(ctx, req, to, func(res *sip.Response, err error, again bool) {
		switch {
		case err != nil:
			failed <- err
		case res.StatusCode >= 200 && !again:
			final <- res
		}
	})
	if err != nil {
		return nil, err
	}
	defer tx.Terminate()
	select {
	case res := <-final:
		return res, nil
	case err := <-failed:
		return nil, fmt.Errorf("%s to %s: %w", req.Method, to.Addr, noAnswer(err))
	case <-ctx.Done():
		return nil, fmt.Errorf("%s to %s: %w", req.Method, to.Addr, context.Cause(ctx))
	}
}

// noAnswer is why a transaction ended without a final response.
func noAnswer(err error) error {
	if err == nil || errors.Is(err, sip.ErrTransactionTerminated) {
		return errors.New("no answer came")
	}
	return err
}
