package e2e

import (
	"fmt"
	"testing"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/pbxtest/peer"
)

// baresip starts and registers a baresip as an extension of the program.
func (p *program) baresip(extension string, hz float64) *peer.BaresipRun {
	p.t.Helper()
	run := peer.StartBaresip(within(p.t), p.t, peer.Baresip{
		User: extension, Password: passwords[extension], Domain: p.doc.Tenant.Domain,
		Server: fmt.Sprintf("127.0.0.1:%d", p.doc.Network.Ports.SIP), Tone: pbxtest.WriteTone(p.t, hz, toneLength),
	})
	if err := run.WaitRegistered(within(p.t)); err != nil {
		p.t.Fatal(err)
	}
	return run
}

// hearsFrom waits until a baresip has heard a whole second of the tone from now
// on, in the recording that it writes. The function that it returns does so.
func hearsFrom(t *testing.T, b *peer.BaresipRun, who string, hz float64) (wait func()) {
	t.Helper()
	newest := func() string {
		files, err := b.Heard()
		if err != nil {
			t.Fatal(err)
		}
		if len(files) == 0 {
			return ""
		}
		return files[len(files)-1]
	}
	begun, skip := newest(), 0
	if begun != "" {
		one, _ := heardIn(t, begun)
		skip = len(one)
	}
	return func() {
		t.Helper()
		waitFor(t, fmt.Sprintf("%s hears %.0f Hz", who, hz), func() bool {
			file := newest()
			if file != begun {
				skip = 0
			}
			return file != "" && hasSecondAfter(t, file, skip, hz)
		})
	}
}

// A call between two baresips goes on over kills of the PBX: both hear each
// other, and either hangs up.
func TestRealPhonesTalkOnOverAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("needs baresip")
	}
	p := newProgram(t)
	p.start()
	one, two := p.baresip("101", 500), p.baresip("102", 700)
	calls := 0
	for name, kill := range p.kills() {
		for _, by := range []*peer.BaresipRun{one, two} {
			hears1, hears2 := hearsFrom(t, one, "the caller", 700), hearsFrom(t, two, "the callee", 500)
			command(t, one, "dial", "102")
			event(t, two, peer.CallIncoming)
			command(t, two, "accept", "")
			event(t, one, peer.Established)
			event(t, two, peer.Established)
			hears1()
			hears2()
			kill()
			hears1, hears2 = hearsFrom(t, one, name+": the caller", 700), hearsFrom(t, two, name+": the callee", 500)
			hears1()
			hears2()
			command(t, by, "hangup", "")
			event(t, one, peer.Closed)
			event(t, two, peer.Closed)
			calls++
			settled(t, p.records(calls), calls)
		}
	}
}

// A baresip that rings when the PBX is killed stops, and rings anew for the
// baresip that waits.
func TestARealPhoneRingsAnewAfterAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("needs baresip")
	}
	p := newProgram(t)
	p.start()
	one, two := p.baresip("101", 500), p.baresip("102", 700)
	command(t, one, "dial", "102")
	event(t, two, peer.CallIncoming)
	p.ringingIsKept()
	p.kill()
	p.start()
	event(t, two, peer.Closed)
	event(t, two, peer.CallIncoming)
	command(t, two, "accept", "")
	event(t, one, peer.Established)
	hasHeard(t, one, "the caller", 700)
	hasHeard(t, two, "the callee", 500)
	command(t, one, "hangup", "")
	event(t, two, peer.Closed)
	if r := p.records(1)[0]; r.Disposition != pbx.Answered || r.Talk() <= 0 {
		t.Errorf("%+v", r)
	}
}
