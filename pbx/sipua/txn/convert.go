package txn

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

var (
	errURI    = errors.New("its URIs can be read in two ways")
	errHeader = errors.New("headers are missing")
)

// common are the headers that every message has, made at once.
type common struct {
	via    sip.ViaHeader
	from   sip.FromHeader
	to     sip.ToHeader
	callID sip.CallIDHeader
	cseq   sip.CSeqHeader
	hops   sip.MaxForwardsHeader
	length sip.ContentLengthHeader
	kind   sip.ContentTypeHeader
}

// request makes sipgo's form of a request out of the gate's reading, by which
// it was admitted: what is served is what was judged. sipgo reads the URIs.
func request(m *gate.Message) (*sip.Request, error) {
	var uri sip.Uri
	if sip.ParseUri(m.URI, &uri) != nil || !sameUser(m.URI, &uri) {
		return nil, fmt.Errorf("request: %w", errURI)
	}
	req := sip.NewRequest(sip.RequestMethod(m.Method), uri)
	if err := fill(req, m); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	return req, nil
}

// response is request for a response.
func response(m *gate.Message) (*sip.Response, error) {
	line, _, _ := strings.Cut(m.Text(), "\r\n")
	_, line, _ = strings.Cut(line, " ")
	_, reason, _ := strings.Cut(line, " ")
	res := sip.NewResponse(m.Status, reason)
	if err := fill(res, m); err != nil {
		return nil, fmt.Errorf("response: %w", err)
	}
	return res, nil
}

// sameUser reports whether both readers name the same callee.
func sameUser(text string, uri *sip.Uri) bool {
	u, ok := gate.ParseURI(text)
	if !ok || u.Scheme == "tel" {
		return true
	}
	if !strings.Contains(uri.User, "%") {
		return uri.User == u.User
	}
	user, err := url.PathUnescape(uri.User)
	return err == nil && user == u.User
}

// fill copies the headers and the body.
func fill(to sip.Message, m *gate.Message) error {
	if m.Via.Host == "" || m.From.URI == "" || m.To.URI == "" || m.CallID == "" || m.CSeqMethod == "" {
		return errHeader
	}
	c := &common{
		via: sip.ViaHeader{
			ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: m.Via.Transport,
			Host: m.Via.Host, Port: m.Via.Port, Params: params(m.Via.Params),
		},
		from:   sip.FromHeader{DisplayName: m.From.Quotable(), Params: params(m.From.Params)},
		to:     sip.ToHeader{DisplayName: m.To.Quotable(), Params: params(m.To.Params)},
		callID: sip.CallIDHeader(m.CallID),
		cseq:   sip.CSeqHeader{SeqNo: m.CSeq, MethodName: sip.RequestMethod(m.CSeqMethod)},
	}
	if sip.ParseUri(m.From.URI, &c.from.Address) != nil || sip.ParseUri(m.To.URI, &c.to.Address) != nil {
		return errURI
	}
	vias := 0
	for i := range m.Headers {
		h := &m.Headers[i]
		if h.Name == "via" {
			vias++
			c.addVia(to, h.Value, vias == 1)
			continue
		}
		c.add(to, h)
	}
	if m.Body != "" {
		to.SetBody([]byte(m.Body))
	}
	return nil
}

// addVia adds the values of one Via field; only the topmost one is looked into.
func (c *common) addVia(to sip.Message, value string, top bool) {
	rest := value
	if top {
		to.AppendHeader(&c.via)
		if !strings.Contains(value, ",") {
			return
		}
		_, rest = gate.CutList(value)
	}
	for _, v := range gate.SplitList(rest) {
		to.AppendHeader(sip.NewHeader("Via", v))
	}
}

// add adds one header field. What cannot be read counts as absent. Proofs stay
// behind: whoever needed them has seen them.
func (c *common) add(to sip.Message, h *gate.Header) {
	switch h.Name {
	case "authorization", "proxy-authorization":
	case "from":
		to.AppendHeader(&c.from)
	case "to":
		to.AppendHeader(&c.to)
	case "call-id":
		to.AppendHeader(&c.callID)
	case "cseq":
		to.AppendHeader(&c.cseq)
	case "max-forwards":
		if n, err := strconv.ParseUint(h.Value, 10, 32); err == nil {
			c.hops = sip.MaxForwardsHeader(n)
			to.AppendHeader(&c.hops)
		}
	case "content-length":
		if n, err := strconv.ParseUint(h.Value, 10, 32); err == nil {
			c.length = sip.ContentLengthHeader(n)
			to.AppendHeader(&c.length)
		}
	case "content-type":
		c.kind = sip.ContentTypeHeader(h.Value)
		to.AppendHeader(&c.kind)
	case "contact":
		for _, v := range gate.SplitList(h.Value) {
			if a, ok := contact(v); ok {
				to.AppendHeader(a)
			}
		}
	case "record-route":
		for _, v := range gate.SplitList(h.Value) {
			if a, ok := gate.ParseAddr(v); ok {
				to.AppendHeader(sip.NewHeader("Record-Route", "<"+a.URI+">"))
			}
		}
	default:
		to.AppendHeader(sip.NewHeader(h.Name, h.Value))
	}
}

func contact(value string) (*sip.ContactHeader, bool) {
	if value == "*" {
		return &sip.ContactHeader{Address: sip.Uri{Wildcard: true}}, true
	}
	a, ok := gate.ParseAddr(value)
	if !ok {
		return nil, false
	}
	c := &sip.ContactHeader{DisplayName: a.Quotable(), Params: params(a.Params)}
	return c, sip.ParseUri(a.URI, &c.Address) == nil
}

func params(list gate.Params) sip.HeaderParams {
	if len(list) == 0 {
		return nil
	}
	out := make(sip.HeaderParams, len(list), len(list)+2) // received, and a tag or rport
	for i := range list {
		v := list[i].Quoted()
		if strings.ContainsAny(v, " \t") {
			v = v[1 : len(v)-1] // sipgo puts the quotes around white space by itself
		}
		out[i] = sip.HeaderKV{K: list[i].Name, V: v}
	}
	return out
}
