package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// dialog is a call that a phone has begun.
type dialog struct {
	phone  *phone
	ask    request
	remote message       // the 200
	setup  time.Duration // from the first INVITE to the 200
}

// invite begins a call; challenged, it proves itself.
func (p *phone) invite(ctx context.Context, to string) (*dialog, error) {
	began := time.Now()
	d := &dialog{phone: p, ask: request{
		method: "INVITE", uri: "sip:" + to + "@" + p.domain, to: "<sip:" + to + "@" + p.domain + ">",
		from: p.own() + ";tag=" + p.next(), callID: p.next(), cseq: 1, body: p.sdp,
	}}
	contact := "Contact: <" + p.contact(0) + ">\r\n"
	d.ask.extra = contact
	for {
		res, err := p.ask(ctx, &d.ask)
		if err != nil {
			return nil, err
		}
		if res.status < 300 {
			d.remote, d.setup = res, time.Since(began)
			return d, p.send(p.text(d.inside("ACK", d.ask.cseq)))
		}
		ack := d.ask
		ack.method, ack.to, ack.body, ack.extra = "ACK", res.get("To"), "", ""
		if err := p.send(p.text(&ack)); err != nil {
			return nil, err
		}
		answer, ok := proof(res, p.user, p.password, "INVITE", d.ask.uri)
		if res.status == 503 {
			return d, fmt.Errorf("INVITE of %s to %s: %w: %.60q", p.user, to, errShed, res.text)
		}
		if d.ask.cseq > 1 || !ok || res.status != 401 && res.status != 407 {
			return d, fmt.Errorf("INVITE of %s to %s: %.60q", p.user, to, res.text)
		}
		d.ask.cseq, d.ask.branch, d.ask.extra = 2, "", contact+answer
	}
}

// inside makes a request of the dialog (RFC 3261 §12.2.1.1).
func (d *dialog) inside(method string, cseq int) *request {
	r := d.ask
	r.method, r.cseq, r.branch, r.body = method, cseq, "", ""
	r.uri, r.to = inside(d.remote.get("Contact")), d.remote.get("To")
	routes := d.remote.all("Record-Route")
	slices.Reverse(routes)
	var b strings.Builder
	for _, v := range routes {
		b.WriteString("Route: " + v + "\r\n")
	}
	r.extra = b.String()
	return &r
}

func (d *dialog) bye(ctx context.Context) error {
	res, err := d.phone.ask(ctx, d.inside("BYE", d.ask.cseq+1))
	if err == nil && res.status != 200 {
		err = fmt.Errorf("BYE of %s: %.60q", d.phone.user, res.text)
	}
	return err
}

// ring calls as an outside caller, who needs no password; the returned function
// gives up and waits for the end.
func (p *phone) ring(ctx context.Context, to string) func() error {
	ask := request{
		method: "INVITE", uri: "sip:" + to + "@" + p.domain, to: "<sip:" + to + "@" + p.domain + ">",
		from: "<sip:01099998888@" + p.local.String() + ">;tag=" + p.next(), callID: p.next(), cseq: 1, body: p.sdp,
		branch: "z9hG4bK" + p.next(), extra: "Contact: <" + p.contact(0) + ">\r\n",
	}
	ended := make(chan error, 1)
	go func() {
		res, err := p.ask(ctx, &ask)
		if err == nil {
			ack := ask
			ack.method, ack.to, ack.body, ack.extra = "ACK", res.get("To"), "", ""
			err = p.send(p.text(&ack))
		}
		if err == nil && res.status != 487 {
			err = fmt.Errorf("the call from outside to %s was not cancelled: %.60q", to, res.text)
		}
		ended <- err
	}()
	return func() error {
		cancel := ask
		cancel.method, cancel.body, cancel.extra = "CANCEL", "", ""
		if err := p.send(p.text(&cancel)); err != nil {
			return err
		}
		return <-ended
	}
}
