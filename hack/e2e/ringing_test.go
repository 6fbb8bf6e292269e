package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/phone"
)

// kills are the two ways in which a PBX dies: below its parent, which holds the
// sockets, and with it.
func (p *program) kills() map[string]func() {
	return map[string]func(){
		"the sockets held by the parent": p.killChild,
		"the parent killed, too":         func() { p.kill(); p.start() },
	}
}

// ringingIsKept waits until the journal holds a call that rings and nothing else:
// the caller's INVITE and ours.
func (p *program) ringingIsKept() {
	p.t.Helper()
	admin := fmt.Sprintf("127.0.0.1:%d", p.doc.Network.Ports.Admin)
	waitFor(p.t, "what rings is in the journal", func() bool { return metric(p.t, admin, "dipcast_journal_records") == 2 })
}

// rings lets one call two, whose phone rings, until the journal says so.
func (p *program) rings(one, two *phone.Phone) (caller, ringing *phone.Call) {
	p.t.Helper()
	caller, err := one.Dial(within(p.t), "102", phone.DialOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	ringing = rings(p.t, two)
	p.ringingIsKept()
	return caller, ringing
}

// A call that nobody has answered when the PBX is killed is tried again: the
// phone stops ringing and rings anew, the caller hears nothing of it.
func TestARingingCallIsTriedAgain(t *testing.T) {
	p := newProgram(t)
	p.start()
	one, two := p.registered()
	calls := 0
	for name, kill := range p.kills() {
		caller, before := p.rings(one, two)
		kill()
		cause, err := before.WaitEnded(within(t))
		if err != nil {
			t.Fatalf("%s: the phone rings on: %v", name, err)
		}
		t.Logf("%s: the phone stopped with %+v", name, cause)
		again := rings(t, two)
		answer(t, again)
		if err := caller.WaitAnswered(within(t)); err != nil {
			t.Fatalf("%s: the caller: %v", name, err)
		}
		converse(t, caller, again, 440, 660)
		if err := caller.Hangup(within(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := again.WaitEnded(within(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		calls++
		settled(t, p.records(calls), calls)
	}
}

// A caller who gives up while the PBX is away calls nobody afterwards.
func TestACallerGivesUpWhileThePBXIsAway(t *testing.T) {
	p := newProgram(t)
	p.start()
	one, two := p.registered()
	caller, ringing := p.rings(one, two)
	p.kill()
	gaveUp := make(chan error, 1)
	go func() { gaveUp <- caller.Hangup(within(t)) }() // its CANCEL is sent again until somebody is there
	p.start()
	if err := <-gaveUp; err != nil {
		t.Errorf("the caller's CANCEL: %v", err)
	}
	if _, err := ringing.WaitEnded(within(t)); err != nil {
		t.Errorf("the phone rings on: %v", err)
	}
	p.quiet()
	for len(two.Incoming()) > 0 { // it may have rung anew until the CANCEL came
		if late := <-two.Incoming(); !late.State().Ended {
			t.Error("the phone rings for a caller who has given up")
		}
	}
	c := p.pair(one, two, 0)
	goOn(t, c)
	hangUp(t, c, true)
}

// A phone that is answered while the PBX is away is hung up, and the caller's
// call is tried again.
func TestAPhoneIsAnsweredWhileThePBXIsAway(t *testing.T) {
	p := newProgram(t)
	p.start()
	one, two := p.registered()
	caller, ringing := p.rings(one, two)
	p.kill()
	answered := make(chan error, 1)
	go func() { answered <- ringing.Answer(within(t)) }() // its 2xx is sent again until somebody is there
	p.start()
	<-answered // with an error if the BYE was served before the ACK
	if _, err := ringing.WaitEnded(within(t)); err != nil {
		t.Errorf("the phone talks with nobody: %v", err)
	}
	again := rings(t, two)
	answer(t, again)
	if err := caller.WaitAnswered(within(t)); err != nil {
		t.Fatal(err)
	}
	converse(t, caller, again, 440, 660)
	if err := again.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	records := p.records(1)
	settled(t, records, 1)
	if r := records[0]; r.Disposition != pbx.Answered || r.Talk() <= 0 || r.Talk() > time.Minute {
		t.Errorf("%+v", r)
	}
}

// quiet waits until no call is up.
func (p *program) quiet() {
	p.t.Helper()
	var up struct {
		Calls []pbx.Call `json:"calls"`
	}
	waitFor(p.t, "no call is up", func() bool {
		up.Calls = nil
		return p.get("/calls", &up) == nil && len(up.Calls) == 0
	})
}
