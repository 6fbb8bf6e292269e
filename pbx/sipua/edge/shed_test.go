package edge_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/load"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// TestWhoMayCallUnderLoad: each level refuses new calls of its kind, and
// nothing else.
func TestWhoMayCallUnderLoad(t *testing.T) {
	b := newBed(t, nil)
	b.trunk("127.0.0.3")
	phone, trunk := b.dial(t, "udp", "127.0.0.1"), b.dial(t, "udp", "127.0.0.3")
	if res := phone.register("MD5", "101", "secret-101"); res.Status != 200 {
		t.Fatalf("register: %q", res.Text())
	}
	call := func(to string) *gate.Message {
		r := inviteFrom("sip:101@"+domain, to)
		res := phone.ask(phone.text(r))
		if res.Status != 401 {
			return res
		}
		r.extra = append(r.extra, login(t, res, "MD5", "101", "secret-101", "INVITE", to, 1))
		return phone.ask(phone.text(r))
	}
	const taken = 486 // is what the bed answers calls with
	for _, tc := range []struct {
		level                                      load.Level
		phone, trunk, emergency, renewal, newPhone int
		pingOfPhone, pingOfTrunk                   int
	}{
		{load.Normal, taken, taken, taken, 200, 200, 200, 200},
		{load.ShedPhones, 503, taken, taken, 200, 200, 200, 200},
		{load.ShedTrunks, 503, 503, taken, 200, 200, 200, 503},
		{load.EmergencyOnly, 503, 503, taken, 200, 503, 200, 503},
		{load.Normal, taken, taken, taken, 200, 200, 200, 200},
	} {
		b.SetLoad(tc.level)
		other := b.dial(t, "udp", "127.0.0.1") // a contact that is new each time
		for what, got := range map[string]struct {
			res  *gate.Message
			want int
		}{
			"a phone's call":        {call("sip:102@" + domain), tc.phone},
			"a trunk's call":        {trunk.ask(trunk.text(inviteFrom("sip:1@carrier.example", "sip:025550101@"+domain))), tc.trunk},
			"a call for help":       {call("sip:119@" + domain), tc.emergency},
			"a trunk for help":      {trunk.ask(trunk.text(inviteFrom("sip:1@carrier.example", "sip:119@"+domain))), tc.trunk},
			"a renewal":             {phone.register("MD5", "101", "secret-101"), tc.renewal},
			"a phone that is new":   {other.register("MD5", "1"+strconv.Itoa(10+int(tc.level)), "secret-1"+strconv.Itoa(10+int(tc.level))), tc.newPhone},
			"a phone's keep-alive":  {phone.ask(phone.text(msg{method: "OPTIONS"})), tc.pingOfPhone},
			"a trunk's keep-alive":  {trunk.ask(trunk.text(msg{method: "OPTIONS"})), tc.pingOfTrunk},
			"a trunk as a phone":    {trunk.ask(trunk.text(inviteFrom("sip:101@"+domain, "sip:102@"+domain))), map[bool]int{true: 401, false: 503}[tc.level == load.Normal]},
			"a request in a dialog": {phone.ask(phone.text(msg{method: "BYE", toTag: "gone"})), 481},
		} {
			if got.res.Status != got.want {
				t.Errorf("at %q %s is answered %d, want %d", tc.level, what, got.res.Status, got.want)
			}
			if after, err := strconv.Atoi(got.res.Get("retry-after")); got.res.Status == 503 && (err != nil || after < 1 || after > 90) {
				t.Errorf("at %q %s shall come back after %q", tc.level, what, got.res.Get("retry-after"))
			}
		}
	}
	if s := b.Shed(); s.Phones.Load() != 6 || s.Trunks.Load() != 4 || s.Registrations.Load() != 1 {
		t.Errorf("%d calls of phones, %d of trunks and %d registrations were counted", s.Phones.Load(), s.Trunks.Load(), s.Registrations.Load())
	}
}

// TestARefusalIsRepeated: a retransmission is told the same, and callers that
// are refused together do not come back together.
func TestARefusalIsRepeated(t *testing.T) {
	b := newBed(t, nil)
	b.SetLoad(load.ShedPhones)
	p := b.dial(t, "udp", "127.0.0.1")
	text := p.text(inviteFrom("sip:101@"+domain, "sip:102@"+domain))
	if one, two := p.ask(text), p.ask(text); one.Text() != two.Text() {
		t.Errorf("two answers:\n%s\n%s", one.Text(), two.Text())
	}
	told := make(map[string]int)
	for range 200 {
		told[p.ask(p.text(inviteFrom("sip:101@"+domain, "sip:102@"+domain))).Get("retry-after")]++
	}
	if len(told) < 4 {
		t.Errorf("200 callers come back after %v", told)
	}
}

// TestAnExtensionHasAMeasure: a phone that proved who it is, and one that
// somebody took over, cannot begin calls without end; the others can, and
// even it can call for help.
func TestAnExtensionHasAMeasure(t *testing.T) {
	b := newBed(t, func(c *edge.Config) { c.UserRate, c.UserBurst = 1e-9, 10 })
	p := b.dial(t, "udp", "127.0.0.1")
	call := func(user, to string) int {
		r := inviteFrom("sip:"+user+"@"+domain, to)
		r.extra = append(r.extra, login(t, p.ask(p.text(r)), "MD5", user, "secret-"+user, "INVITE", to, 1))
		return p.ask(p.text(r)).Status
	}
	for i := range 12 {
		if got, want := call("101", "sip:102@"+domain), map[bool]int{true: 486, false: 503}[i < 10]; got != want {
			t.Errorf("call %d is answered %d, want %d", i, got, want)
		}
	}
	if res := p.register("MD5", "101", "secret-101"); res.Status != 503 {
		t.Errorf("a registration is answered %d", res.Status)
	}
	if got := call("101", "sip:119@"+domain); got != 486 {
		t.Errorf("its call for help is answered %d", got)
	}
	if got := call("102", "sip:101@"+domain); got != 486 {
		t.Errorf("another one's call is answered %d", got)
	}
	if n := b.Shed().Users.Load(); n != 3 {
		t.Errorf("%d requests were counted", n)
	}
}

// TestRegistrationsWaitTheirTurn: while the store stands still, new phones are
// spread over the time to come, and those that were here before go first.
func TestRegistrationsWaitTheirTurn(t *testing.T) {
	const extensions = 3000
	doc := document()
	doc.Limits = conf.Limits{Extensions: extensions, RegistrationsMaximum: 2 * extensions}
	for i := range extensions {
		doc.Extensions = append(doc.Extensions, conf.Extension{Number: strconv.Itoa(10000 + i), MaxContacts: 2, Password: "s"})
	}
	b := newBed(t, func(c *edge.Config) {
		c.Document = func() *conf.Document { return doc }
		c.Gate.Rate, c.Gate.Burst = 1e9, 1e9
	})
	p := b.dial(t, "udp", "127.0.0.1")
	if res := p.register("MD5", "101", "secret-101"); res.Status != 200 {
		t.Fatalf("register: %q", res.Text())
	}
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release)
	b.store.stand(hold)
	begin := func(p *peer, user string) { // a registration whose answer is not awaited
		r := msg{method: "REGISTER", from: "sip:" + user + "@" + domain, callID: "storm-" + user}
		r.extra = append(r.extra, p.contact(user), login(t, p.ask(p.text(r)), "MD5", user, "s", "REGISTER", "sip:"+domain, 1))
		p.send(p.text(r))
	}
	refused := func() int { return int(b.Shed().Registrations.Load()) }
	q := b.dial(t, "udp", "127.0.0.1")
	for i := range extensions {
		begin(q, strconv.Itoa(10000+i))
		if res := q.ask(q.text(msg{method: "OPTIONS"})); res.CSeqMethod == "REGISTER" {
			q.receive() // the answer to OPTIONS; what is refused is told at once
			break
		}
	}
	if n := b.reg.Waiting(); refused() != 1 || n != 2048 {
		t.Fatalf("%d wait for the store and %d were refused", n, refused())
	}
	var waits []int
	for i := range 50 {
		r := msg{method: "REGISTER", from: "sip:" + strconv.Itoa(12900+i) + "@" + domain}
		r.extra = append(r.extra, q.contact("x"), login(t, q.ask(q.text(r)), "MD5", strconv.Itoa(12900+i), "s", "REGISTER", "sip:"+domain, 1))
		after, err := strconv.Atoi(q.ask(q.text(r)).Get("retry-after"))
		if err != nil || after < 2 || after > 5 {
			t.Fatalf("%d is told %d (%v)", i, after, err)
		}
		waits = append(waits, after)
	}
	if fmt.Sprint(waits[0]) == fmt.Sprint(waits) {
		t.Errorf("all are told %v", waits)
	}
	r := msg{method: "REGISTER", callID: "reg-101" + p.conn.LocalAddr().String()}
	r.extra = append(r.extra, p.contact("101"), login(t, p.ask(p.text(r)), "MD5", "101", "secret-101", "REGISTER", "sip:"+domain, 1))
	before := b.reg.Waiting()
	p.send(p.text(r)) // the one that was here before waits with the others
	waitFor(t, "the renewal waits", func() bool { return b.reg.Waiting() == before+1 })
	release()
	if res := p.receive(); res.Status != 200 {
		t.Errorf("the renewal is answered %d", res.Status)
	}
}
