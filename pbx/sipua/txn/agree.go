package txn

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

var errTwoWays = errors.New("it can be read in two ways")

// read makes sipgo's form of a request that says the same as the gate's, by
// which it was admitted. sipgo takes no folded lines, knows neither that names
// of parameters have no case nor that white space may surround them (RFC 3261
// §7.3.1), so what it misreads is given to it once more in plain writing.
func read(m *gate.Message) (*sip.Request, error) {
	req, err := readText(m, m.Text())
	if err != nil {
		req, err = readText(m, m.Plain())
	}
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	return req, nil
}

func readText(m *gate.Message, text string) (*sip.Request, error) {
	msg, err := parse(text)
	if err != nil {
		return nil, err
	}
	req, ok := msg.(*sip.Request)
	if !ok || req.Via() == nil || req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil {
		return nil, errors.New("headers are missing")
	}
	if !agree(m, req) {
		return nil, errTwoWays
	}
	return req, nil
}

// agree reports whether both forms name the same transaction, dialog and
// callee.
func agree(m *gate.Message, req *sip.Request) bool {
	if string(req.Method) != m.Method || req.CallID().Value() != m.CallID ||
		req.CSeq().SeqNo != m.CSeq || string(req.CSeq().MethodName) != m.CSeqMethod {
		return false
	}
	if u, ok := gate.ParseURI(m.URI); ok && u.Scheme != "tel" {
		if user, err := url.PathUnescape(req.Recipient.User); err != nil || user != u.User {
			return false
		}
	}
	via := req.Via()
	return is(via.Params, "branch", m.Via.Branch) && strings.Trim(via.Host, "[]") == m.Via.Host && via.Port == m.Via.Port &&
		is(req.From().Params, "tag", m.From.Tag) && is(req.To().Params, "tag", m.To.Tag)
}

// is reports whether a parameter has that value, or is missing if that is
// empty, and no value was cut in the midst of a quoted string.
func is(p sip.HeaderParams, name, value string) bool {
	for _, kv := range p {
		if strings.Count(kv.V, `"`)%2 != 0 || strings.TrimSpace(kv.K) == "" {
			return false
		}
	}
	return p.GetOr(name, "") == value
}
