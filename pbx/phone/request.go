package phone

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/phone/digest"
)

const allow = "INVITE, ACK, CANCEL, BYE, UPDATE, INFO, OPTIONS, PRACK, NOTIFY"

// draft is a request before it has a branch and a sequence number, so that it
// can be sent again with credentials.
type draft struct {
	method  sip.RequestMethod
	uri     sip.Uri
	to      netip.AddrPort // where it is sent; invalid = to uri's host
	from    sip.FromHeader
	toHdr   sip.ToHeader
	callID  string
	headers []sip.Header
	routes  []string
	body    []byte
	kind    string // Content-Type of body
	next    func() uint32
	again   func(*sip.Request) // a final response to an INVITE came again
}

// build makes the request with a new branch and the next sequence number.
func (p *Phone) build(d *draft, seq uint32) *sip.Request {
	req := sip.NewRequest(d.method, d.uri)
	via := &sip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: p.transport,
		Host: p.contactHost(), Port: int(p.addr.Port()),
	}
	via.Params.Add("branch", sip.GenerateBranchN(16))
	via.Params.Add("rport", "")
	req.AppendHeader(via)
	hops := sip.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	from, to := d.from, d.toHdr
	from.Params, to.Params = from.Params.Clone(), to.Params.Clone()
	req.AppendHeader(&from)
	req.AppendHeader(&to)
	id := sip.CallIDHeader(d.callID)
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: seq, MethodName: d.method})
	for _, r := range d.routes {
		req.AppendHeader(sip.NewHeader("Route", r))
	}
	if d.method != sip.CANCEL && d.method != sip.BYE {
		req.AppendHeader(&sip.ContactHeader{Address: p.contact()})
	}
	req.AppendHeader(sip.NewHeader("User-Agent", "dipcast-phone"))
	for _, h := range d.headers {
		req.AppendHeader(h)
	}
	if d.kind != "" {
		req.AppendHeader(sip.NewHeader("Content-Type", d.kind))
	}
	req.SetBody(d.body)
	p.address(req, d.to)
	return req
}

// address says which socket the request leaves from and where it goes.
func (p *Phone) address(req *sip.Request, to netip.AddrPort) {
	req.SetTransport(p.transport)
	if p.transport == "UDP" {
		req.Laddr = sip.Addr{IP: p.addr.Addr().AsSlice(), Port: int(p.addr.Port())}
	}
	if to.IsValid() {
		req.SetDestination(to.String())
	}
}

func (p *Phone) contact() sip.Uri {
	u := sip.Uri{Scheme: "sip", User: p.cfg.User, Host: p.contactHost(), Port: int(p.addr.Port())}
	switch p.transport {
	case "UDP":
	case "WSS":
		u.UriParams.Add("transport", "ws")
	default:
		u.UriParams.Add("transport", strings.ToLower(p.transport))
	}
	return u
}

// uriHost returns the address as it stands in URIs and Via.
func uriHost(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// send begins a transaction for the draft.
func (p *Phone) send(ctx context.Context, d *draft) (*sip.ClientTx, *sip.Request, error) {
	if p.ctx.Err() != nil {
		return nil, nil, errClosed
	}
	req := p.build(d, d.next())
	tx, err := p.tx.Request(ctx, req)
	if err != nil {
		return nil, nil, fmt.Errorf("%s to %s: %w", d.method, d.uri.String(), err)
	}
	return tx, req, nil
}

// errNoAnswer is the end of a transaction without a final response.
var errNoAnswer = errors.New("no answer")

// exchange sends the draft, answers a challenge, and returns the final
// response. It is for everything but an INVITE that begins a call.
func (p *Phone) exchange(ctx context.Context, d *draft) (*sip.Response, *sip.Request, error) {
	for attempt := 0; ; attempt++ {
		tx, req, err := p.send(ctx, d)
		if err != nil {
			return nil, nil, err
		}
		res, err := final(ctx, tx)
		if d.method != sip.INVITE || err != nil {
			tx.Terminate()
		} else if d.again != nil {
			tx.OnRetransmission(func(r *sip.Response) {
				if r.IsSuccess() {
					d.again(req)
				}
			})
		}
		if errors.Is(err, errNoAnswer) {
			return nil, nil, fmt.Errorf("%s to %s: %w from %s: check the address, the port and the transport", d.method, d.uri.String(), errNoAnswer, req.Destination())
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s to %s: %w", d.method, d.uri.String(), err)
		}
		if !challenged(res) || attempt >= maxChallenges {
			return res, req, nil
		}
		if err := p.authorize(d, res); err != nil {
			return res, req, err
		}
	}
}

// maxChallenges is how often one request is sent again: once for the first
// challenge and once for a stale nonce.
const maxChallenges = 2

// final waits for a final response.
func final(ctx context.Context, tx *sip.ClientTx) (*sip.Response, error) {
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, errors.Join(errNoAnswer, tx.Err())
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func challenged(res *sip.Response) bool {
	return res.StatusCode == sip.StatusUnauthorized || res.StatusCode == sip.StatusProxyAuthRequired
}

// authorize adds credentials to the draft for the challenge in res.
func (p *Phone) authorize(d *draft, res *sip.Response) error {
	ask, say := "WWW-Authenticate", "Authorization"
	if res.StatusCode == sip.StatusProxyAuthRequired {
		ask, say = "Proxy-Authenticate", "Proxy-Authorization"
	}
	if !p.server.IsValid() || p.cfg.Password == "" {
		return fmt.Errorf("%s: challenged with %d and no password is set", d.method, res.StatusCode)
	}
	if d.to != p.server {
		return fmt.Errorf("%s: challenged by %s, which is not our server %s", d.method, d.to, p.server)
	}
	var values []string
	for _, h := range res.GetHeaders(ask) {
		values = append(values, h.Value())
	}
	c, err := digest.Pick(values, p.cfg.Digest)
	if err != nil {
		return fmt.Errorf("%s: %w", d.method, err)
	}
	answer := sip.NewHeader(say, c.Answer(p.cfg.User, p.cfg.Password, string(d.method), d.uri.String()))
	for i, h := range d.headers {
		if h.Name() != say {
			continue
		}
		if !c.Stale() {
			return fmt.Errorf("%s: the password is refused (%d)", d.method, res.StatusCode)
		}
		d.headers[i] = answer
		return nil
	}
	d.headers = append(d.headers, answer)
	return nil
}

// number reads a decimal header value, 0 if it is none.
func number(h sip.Header) int {
	if h == nil {
		return 0
	}
	n, err := strconv.Atoi(h.Value())
	if err != nil || n < 0 {
		return 0
	}
	return n
}
