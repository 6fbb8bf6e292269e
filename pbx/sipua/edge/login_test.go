package edge_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// try sends a request with a login and returns the status of its answer; 0: the
// login was not looked at.
func (b *bed) try(p *peer, r msg, user, secret, uri string) int {
	p.t.Helper()
	dropped := b.Counters().Banned.Load()
	r.from = "sip:" + user + "@" + domain
	r.extra = append(r.extra, login(p.t, p.ask(p.text(r)), "MD5", user, secret, r.method, uri, 1))
	p.send(p.text(r))
	res := p.ask(p.text(msg{method: "OPTIONS"})) // when it is answered the other one was taken
	if b.Counters().Banned.Load() > dropped {
		return 0
	}
	if other := p.receive(); res.CSeqMethod == "OPTIONS" {
		res = other
	}
	return res.Status
}

func (b *bed) tryRegister(p *peer, user, secret string) int {
	p.t.Helper()
	return b.try(p, msg{method: "REGISTER", callID: "reg-" + user + p.conn.LocalAddr().String(), extra: []string{p.contact(user)}}, user, secret, "sip:"+domain)
}

func (b *bed) tryCall(p *peer, user, secret, to string) int {
	p.t.Helper()
	return b.try(p, inviteFrom("sip:"+user+"@"+domain, to), user, secret, to)
}

// TestOneBadHostDoesNotShutOutAnOffice: behind the same address as the phones
// somebody guesses, and says to be them.
func TestOneBadHostDoesNotShutOutAnOffice(t *testing.T) {
	told := make(chan netip.Addr, 10)
	b := newBed(t, func(c *edge.Config) {
		c.Gate.Bans = gate.BanLimits{Failures: 3, Users: 5, Every: time.Hour}
		c.Banned = func(a netip.Addr, _ time.Duration) { told <- a }
	})
	phone, bad, late := b.dial(t, "udp", "127.0.0.1"), b.dial(t, "udp", "127.0.0.1"), b.dial(t, "udp", "127.0.0.1")
	if got := b.tryRegister(phone, "101", "secret-101"); got != 200 {
		t.Fatalf("a registration is answered %d", got)
	}
	b.set(func() {
		b.known["call here"] = edge.Identity{Extension: "101", Source: netip.MustParseAddrPort(phone.conn.LocalAddr().String())}
	})
	for i := range 5 {
		if got := b.tryRegister(bad, fmt.Sprint(500+i), "guess"); got != 401 {
			t.Fatalf("guess %d is answered %d", i, got)
		}
	}
	for i := range 5 {
		// It is registered there, so that there are guesses at it, as many as elsewhere.
		if got, want := b.tryRegister(bad, "101", "guess"), map[bool]int{true: 401}[i < 3]; got != want {
			t.Errorf("guess %d at the phone is answered %d, want %d", i, got, want)
		}
	}
	if got := b.tryRegister(bad, "102", "secret-102"); got != 200 {
		t.Errorf("the one login of a stranger is answered %d", got)
	}
	for i := range 5 {
		if got := b.tryRegister(bad, fmt.Sprint(103+i), "guess"); got != 0 {
			t.Errorf("guess %d at others is answered %d", i, got)
		}
	}
	if len(told) != 0 {
		t.Errorf("the kernel shuts out %s", <-told)
	}
	for what, got := range map[string]struct{ status, want int }{
		"a renewal":                   {b.tryRegister(phone, "101", "secret-101"), 200},
		"a call":                      {b.tryCall(phone, "101", "secret-101", "sip:102@"+domain), 486},
		"a call for help":             {b.tryCall(phone, "101", "secret-101", "sip:119@"+domain), 486},
		"a BYE":                       {phone.ask(phone.text(msg{method: "BYE", callID: "call", toTag: "here"})).Status, 200},
		"help for one not registered": {b.tryCall(late, "110", "secret-110", "sip:119@"+domain), 486},
		"help from another socket":    {b.tryCall(late, "101", "secret-101", "sip:119@"+domain), 486},
	} {
		if got.status != got.want {
			t.Errorf("%s is answered %d, want %d", what, got.status, got.want)
		}
	}
	heard := 0
	for i := range 30 {
		if b.tryCall(bad, fmt.Sprint(600+i), "guess", "sip:119@"+domain) != 0 {
			heard++
		}
	}
	if heard > 15 {
		t.Errorf("%d guesses in the guise of calls for help were looked at", heard)
	}
}

// TestPhonesAreNoFlood: what phones send until they have proven who they are is
// counted as strangers', and is not when they have; a proof that is sent again,
// and one of many by the same challenge, hide nobody else's messages.
func TestPhonesAreNoFlood(t *testing.T) {
	b := newBed(t, nil)
	b.trunk("127.0.0.3")
	p, trunk := b.dial(t, "udp", "127.0.0.1"), b.dial(t, "udp", "127.0.0.3")
	unproven := func(what string, want int64) {
		t.Helper()
		p.ask(p.text(msg{method: "OPTIONS"})) // everything before it was taken
		if got := b.Counters().Unproven(); got != want {
			t.Errorf("%s: %d messages of strangers, want %d", what, got, want)
		}
	}
	unproven("a stranger", 1)
	for range 10 {
		p.register("MD5", "101", "secret-101")
	}
	unproven("ten registrations", 2)
	to := "sip:102@" + domain
	for range 10 {
		r := inviteFrom("sip:101@"+domain, to)
		res := p.ask(p.text(r))
		p.send(p.text(msg{method: "ACK", to: to, toTag: res.To.Tag, callID: res.CallID, branch: res.Via.Branch, seq: int(res.CSeq)}))
		r.extra = append(r.extra, login(t, res, "MD5", "101", "secret-101", "INVITE", to, 1))
		if got := p.ask(p.text(r)).Status; got != 486 {
			t.Fatalf("a call is answered %d", got)
		}
	}
	unproven("ten calls", 3)
	r := msg{method: "REGISTER", callID: "again"}
	res := p.ask(p.text(r))
	r.extra = []string{p.contact("101"), login(t, res, "MD5", "101", "secret-101", "REGISTER", "sip:"+domain, 1)}
	text := p.text(r)
	for range 6 {
		p.ask(text)
	}
	unproven("five of six are the same again", 9)
	for nc := range uint32(5) {
		r := msg{method: "REGISTER", callID: "again", extra: []string{p.contact("101"), login(t, res, "MD5", "101", "secret-101", "REGISTER", "sip:"+domain, nc+2)}}
		if got := p.ask(p.text(r)).Status; got != 200 {
			t.Errorf("a renewal by the same challenge is answered %d", got)
		}
	}
	unproven("renewals by the same challenge", 10)
	for range 5 {
		trunk.register("MD5", "101", "secret-101")
	}
	unproven("a phone at the address of a trunk", 11)
}

// TestACallKeepsItsPlace: where somebody talks nobody is shut out, registered or
// not.
func TestACallKeepsItsPlace(t *testing.T) {
	b := newBed(t, func(c *edge.Config) { c.Gate.Bans = gate.BanLimits{Users: 5} })
	phone, bad := b.dial(t, "udp", "127.0.0.1"), b.dial(t, "udp", "127.0.0.1")
	b.set(func() {
		b.known["call here"] = edge.Identity{Extension: "101", Source: netip.MustParseAddrPort("127.0.0.1:9")}
	})
	for i := range 8 {
		b.tryRegister(bad, fmt.Sprint(500+i), "guess")
	}
	if res := phone.ask(phone.text(msg{method: "BYE", callID: "call", toTag: "here"})); res.Status != 200 {
		t.Errorf("a BYE is answered %d", res.Status)
	}
}
