package message

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// ErrMediaType is what a body of a type that we do not know gets (415).
var ErrMediaType = errors.New("the body is no session description")

// SDP returns the session description of a message, nil if it has none.
// In a multipart body (RFC 5621) the first SDP part counts.
func SDP(m sip.Message) ([]byte, error) {
	body := m.Body()
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	if enc := Value(m, "Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, ErrMediaType
	}
	if strings.EqualFold(ContentType(m), "application/sdp") {
		return body, nil // what nearly every message says
	}
	kind, params, err := mime.ParseMediaType(ContentType(m))
	if err != nil {
		return nil, ErrMediaType
	}
	if kind == "application/sdp" {
		return body, nil
	}
	if !strings.HasPrefix(kind, "multipart/") || params["boundary"] == "" {
		return nil, ErrMediaType
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for range 8 {
		p, err := r.NextPart()
		if err != nil {
			break
		}
		if t, _, err := mime.ParseMediaType(p.Header.Get("Content-Type")); err != nil || t != "application/sdp" {
			continue
		}
		if b, err := io.ReadAll(p); err == nil {
			return b, nil
		}
	}
	return nil, ErrMediaType
}

// ContentType returns the Content-Type header.
func ContentType(m sip.Message) string {
	return Value(m, "Content-Type")
}

// SetSDP puts a session description into a request.
func SetSDP(req *sip.Request, body []byte) {
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody(body)
}

// InfoDigit reads "Signal=5\r\nDuration=160" or just "5". Events 10 and 11 are
// the star and the number sign.
func InfoDigit(body string) (rune, bool) {
	sig := strings.TrimSpace(body)
	for l := range strings.Lines(body) {
		if k, v, ok := strings.Cut(l, "="); ok && strings.EqualFold(strings.TrimSpace(k), "signal") {
			sig = strings.TrimSpace(v)
			break
		}
	}
	switch sig = strings.ToUpper(sig); sig {
	case "10":
		return '*', true
	case "11":
		return '#', true
	}
	if len(sig) != 1 || !strings.ContainsAny(sig, "0123456789*#ABCD") {
		return 0, false
	}
	return rune(sig[0]), true
}
