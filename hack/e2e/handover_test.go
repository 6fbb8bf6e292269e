package e2e

import (
	"strings"
	"syscall"
	"testing"

	"github.com/dipcast/dipcast/hack/calls"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/phone"
)

// A pod that is told to go keeps its calls until the next one's program waits for
// them: they pause for the moment in which one takes over from the other, not for
// the time that the other one takes to come.
func TestCallsGoOnUntilTheNextProgramWaits(t *testing.T) {
	const many = 20
	p := newProgram(t)
	p.args = []string{"-linger", "1m"}
	p.configure(func(d *conf.Document) {
		d.Recording.Mode = "All"
		d.Limits.ConcurrentCalls = 2 * many
	})
	p.start()
	one, two := p.registered()
	list := p.pairs(one, two, many)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	goOn(t, list...)               // nobody has come yet
	late := p.pair(one, two, many) // a new call, as ever
	goOn(t, late)
	hangUp(t, late, true)

	next := *p
	t.Cleanup(next.kill)
	calls.Gaps(list) // begins to count
	next.begin()
	p.ended()
	goOn(t, list...)
	t.Logf("the audio paused for %s", calls.Gaps(list))
	for i, c := range list {
		hangUp(t, c, i%2 == 0)
	}
	records := next.records(many + 1)
	settled(t, records, many+1)
	for i := range records {
		if err := calls.Recorded(&records[i]); err != nil {
			t.Error(err)
		}
	}
}

// An emergency call that nobody has answered yet is not cut by a hand-over: the
// program waits for the answer, and the next one goes on with the call.
func TestAHandOverWaitsForHelp(t *testing.T) {
	p := newProgram(t)
	carrier := newPhone(t, phone.Config{User: "carrier", Listen: "127.0.0.2:0"})
	p.configure(func(d *conf.Document) {
		d.Trunks[0].Hosts = []conf.TrunkHost{{Host: "127.0.0.2", Port: int(carrier.Addr().Port()), Transport: "UDP"}}
		d.Trunks[0].AllowedCIDRs = []string{"127.0.0.2/32"}
	})
	p.start()
	one, _ := p.registered()
	caller, err := one.Dial(within(t), "119", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	help := rings(t, carrier)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// What the program says of itself before it would cut the call, and a moment
	// of its clock in which it would have.
	waitFor(t, "it is about to go", func() bool { return strings.Contains(p.log.String(), "another process takes over") })
	for range 3 {
		if _, err := p.registrations(); err != nil {
			t.Fatalf("the program has not waited: %v", err)
		}
	}
	answer(t, help)
	if err := caller.WaitAnswered(within(t)); err != nil {
		t.Fatal(err)
	}
	p.ended()
	p.start()
	converse(t, caller, help, 440, 660)
	if err := caller.Hangup(within(t)); err != nil {
		t.Error(err)
	}
}
