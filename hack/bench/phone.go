package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Timers of the generator: a request is sent again after resend, and given up
// after patience.
const (
	resend   = time.Second
	patience = 8 * time.Second
)

// phone is one address of record behind one UDP socket. One goroutine of its
// own reads the socket and answers requests; one other goroutine at a time
// sends them.
type phone struct {
	user, password, domain string
	server                 netip.AddrPort
	conn                   *net.UDPConn
	local                  netip.AddrPort
	sdp                    string // what it offers and answers
	contacts               int    // how many Contacts it registers
	// onInvite is told each new INVITE by the goroutine that reads; false
	// leaves it ringing.
	onInvite func(message) (answer bool)

	responses chan message
	done      chan struct{}
	id        string // prefix of Call-IDs, tags and branches
	serial    atomic.Uint64
	cseq      int
}

// newPhone opens the socket at host and starts to read it.
func newPhone(host, user string, t *target) (*phone, error) {
	addr, err := netip.ParseAddrPort(host)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	p := &phone{
		user: user, password: password, domain: t.domain, server: t.sip, conn: conn,
		responses: make(chan message, 64), done: make(chan struct{}), contacts: 1,
	}
	p.local = conn.LocalAddr().(*net.UDPAddr).AddrPort() //nolint:errcheck,forcetypeassert // of a UDP socket
	p.id = "b" + strconv.FormatInt(time.Now().UnixNano(), 36) + "-" + user
	p.sdp = session(p.local.Addr().String(), 9000)
	go p.read()
	return p, nil
}

func (p *phone) close() {
	_ = p.conn.Close()
	<-p.done
}

func (p *phone) next() string { return p.id + "-" + strconv.FormatUint(p.serial.Add(1), 36) }

func (p *phone) read() {
	defer close(p.done)
	buf := make([]byte, 64<<10)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		m, ok := parse(buf[:max(0, n)])
		switch {
		case err != nil || !ok:
		case m.status == 0:
			p.serve(m, from)
		case m.status != 100:
			select {
			case p.responses <- m:
			default: // nobody waits; it comes again
			}
		}
	}
}

// serve answers a request as a phone that is picked up at once.
func (p *phone) serve(m message, from netip.AddrPort) {
	switch m.method {
	case "INVITE":
		if strings.Contains(m.get("To"), "tag=") {
			p.answer(m, from, "200 OK", p.sdp)
			return
		}
		p.answer(m, from, "180 Ringing", "")
		if p.onInvite == nil || p.onInvite(m) {
			p.answer(m, from, "200 OK", p.sdp)
		}
	case "CANCEL":
		p.answer(m, from, "200 OK", "")
		// The INVITE differs from its CANCEL in nothing that a response needs.
		invite := message{text: strings.Replace(m.text, " CANCEL\r\n", " INVITE\r\n", 1), method: "INVITE"}
		p.answer(invite, from, "487 Request Terminated", "")
	case "ACK":
	default:
		p.answer(m, from, "200 OK", "")
	}
}

// answer sends a response to where the request came from.
func (p *phone) answer(m message, to netip.AddrPort, status, body string) {
	var b strings.Builder
	b.Grow(1024)
	b.WriteString("SIP/2.0 " + status + "\r\n")
	m.each(func(name, value string) bool {
		switch strings.ToLower(name) {
		case "to":
			if !strings.Contains(value, "tag=") {
				value += ";tag=" + p.user
			}
			fallthrough
		case "via", "from", "call-id", "cseq", "record-route":
			b.WriteString(name + ": " + value + "\r\n")
		}
		return true
	})
	b.WriteString("Contact: <" + p.contact(0) + ">\r\n")
	finish(&b, body)
	_, _ = p.conn.WriteToUDPAddrPort([]byte(b.String()), to)
}

func (p *phone) contact(i int) string {
	extra := ""
	if i > 0 {
		extra = ";line=" + strconv.Itoa(i)
	}
	return "sip:" + p.user + "@" + p.local.String() + extra
}

func finish(b *strings.Builder, body string) {
	if body != "" {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// session is an SDP body with one A-law stream.
func session(host string, port int) string {
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=sendrecv\r\n",
		host, host, port)
}

// request is what one request says beside what all say.
type request struct {
	method, uri  string
	to           string // with a tag inside dialogs
	callID, from string
	cseq         int
	branch       string // empty = a new one
	extra        string // whole header lines
	body         string
}

func (p *phone) text(r *request) string {
	if r.branch == "" {
		r.branch = "z9hG4bK" + p.next()
	}
	var b strings.Builder
	b.Grow(1024)
	b.WriteString(r.method + " " + r.uri + " SIP/2.0\r\nVia: SIP/2.0/UDP " + p.local.String() + ";branch=" + r.branch +
		";rport\r\nMax-Forwards: 70\r\nFrom: " + r.from + "\r\nTo: " + r.to + "\r\nCall-ID: " + r.callID +
		"\r\nCSeq: " + strconv.Itoa(r.cseq) + " " + r.method + "\r\n" + r.extra)
	finish(&b, r.body)
	return b.String()
}

func (p *phone) send(text string) error {
	_, err := p.conn.WriteToUDPAddrPort([]byte(text), p.server)
	return err
}

// ask sends a request and returns its first final response.
func (p *phone) ask(ctx context.Context, r *request) (message, error) {
	text, cseq := p.text(r), strconv.Itoa(r.cseq)+" "+r.method
	if err := p.send(text); err != nil {
		return message{}, err
	}
	again, late := time.NewTimer(resend), time.Now().Add(patience)
	defer again.Stop()
	provisional := false
	for {
		select {
		case m := <-p.responses:
			if m.get("Call-ID") != r.callID || m.get("CSeq") != cseq {
				continue // a retransmission of before
			}
			if m.status >= 200 {
				return m, nil
			}
			provisional = true
		case <-again.C:
			if time.Now().After(late) {
				return message{}, fmt.Errorf("no answer to %s of %s", r.method, p.user)
			}
			if !provisional {
				if err := p.send(text); err != nil {
					return message{}, err
				}
			}
			again.Reset(resend)
		case <-ctx.Done():
			return message{}, ctx.Err()
		}
	}
}

func (p *phone) own() string { return "<sip:" + p.user + "@" + p.domain + ">" }

// register does REGISTER, 401, REGISTER, 200.
func (p *phone) register(ctx context.Context) error {
	r := request{
		method: "REGISTER", uri: "sip:" + p.domain, to: p.own(), from: p.own() + ";tag=" + p.next(), callID: p.id,
	}
	var head strings.Builder
	for i := range p.contacts {
		head.WriteString("Contact: <" + p.contact(i) + ">\r\n")
	}
	head.WriteString("Expires: 3600\r\n")
	for _, proven := range []bool{false, true} {
		p.cseq++
		r.cseq, r.branch = p.cseq, ""
		if !proven {
			r.extra = head.String()
		}
		res, err := p.ask(ctx, &r)
		if err != nil {
			return err
		}
		if res.status == 200 {
			return nil
		}
		answer, ok := proof(res, p.user, p.password, r.method, r.uri)
		if proven || res.status != 401 || !ok {
			return fmt.Errorf("REGISTER of %s: %.60q", p.user, res.text)
		}
		r.extra = head.String() + answer
	}
	return nil
}

// together runs f for every phone at the same time and returns the first
// error.
func together(phones []*phone, f func(*phone) error) error {
	errs := make([]error, len(phones))
	var wg sync.WaitGroup
	for i, p := range phones {
		wg.Go(func() { errs[i] = f(p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
