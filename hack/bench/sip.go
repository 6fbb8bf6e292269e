package main

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
)

// message is a SIP message as text: the generator must be light, and its peers
// are known to send well-formed messages.
type message struct {
	text   string
	method string // of a request
	status int    // of a response
}

func parse(packet []byte) (message, bool) {
	m := message{text: string(packet)}
	first, rest, ok := strings.Cut(m.text, " ")
	if !ok {
		return m, false
	}
	if first == "SIP/2.0" {
		if len(rest) < 3 {
			return m, false
		}
		status, err := strconv.Atoi(rest[:3])
		m.status = status
		return m, err == nil
	}
	m.method = first
	return m, true
}

// each calls f with every header field until it returns false.
func (m message) each(f func(name, value string) bool) {
	_, rest, _ := strings.Cut(m.text, "\r\n")
	for rest != "" {
		line, next, _ := strings.Cut(rest, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		if !ok || !f(strings.TrimSpace(name), strings.TrimSpace(value)) {
			return
		}
		rest = next
	}
}

// all returns the values of a header.
func (m message) all(name string) (values []string) {
	m.each(func(n, v string) bool {
		if strings.EqualFold(n, name) {
			values = append(values, v)
		}
		return true
	})
	return values
}

// get returns the first value of a header.
func (m message) get(name string) (value string) {
	m.each(func(n, v string) bool {
		if strings.EqualFold(n, name) {
			value = v
			return false
		}
		return true
	})
	return value
}

func (m message) body() string {
	_, body, _ := strings.Cut(m.text, "\r\n\r\n")
	return body
}

// inside returns the address between angle brackets.
func inside(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}

// audioPort returns the port of the first audio line of an SDP body.
func audioPort(sdp string) (int, error) {
	_, rest, ok := strings.Cut(sdp, "m=audio ")
	number, _, _ := strings.Cut(rest, " ")
	port, err := strconv.Atoi(number)
	if !ok || err != nil {
		return 0, errors.New("the SDP has no audio port")
	}
	return port, nil
}

// challenge returns realm and nonce of the MD5 challenge in a 401 or 407, and
// the name of the header that answers it.
func (m message) challenge() (realm, nonce, header string, ok bool) {
	name, header := "WWW-Authenticate", "Authorization"
	if m.status == 407 {
		name, header = "Proxy-Authenticate", "Proxy-Authorization"
	}
	for _, v := range m.all(name) {
		if !strings.Contains(v, "SHA-256") {
			return param(v, "realm"), param(v, "nonce"), header, true
		}
	}
	return "", "", header, false
}

// param returns a quoted parameter of a challenge.
func param(v, name string) string {
	_, rest, _ := strings.Cut(v, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

func md5hex(parts ...string) string {
	sum := md5.Sum([]byte(strings.Join(parts, ":")))
	return hex.EncodeToString(sum[:])
}

// proof answers a challenge (RFC 2617 §3.2.2, with qop=auth if asked).
func proof(m message, user, password, method, uri string) (string, bool) {
	realm, nonce, header, ok := m.challenge()
	if !ok {
		return "", false
	}
	ha1, ha2 := md5hex(user, realm, password), md5hex(method, uri)
	tail, response := "", md5hex(ha1, nonce, ha2)
	if strings.Contains(m.text, `qop=`) {
		tail = `, qop=auth, nc=00000001, cnonce="bench"`
		response = md5hex(ha1, nonce, "00000001", "bench", "auth", ha2)
	}
	return header + `: Digest username="` + user + `", realm="` + realm + `", nonce="` + nonce + `", uri="` + uri +
		`", response="` + response + `", algorithm=MD5` + tail + "\r\n", true
}
