package e2e

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/pbxtest/peer"
	"github.com/dipcast/dipcast/pbx/phone"
)

// Real phones call each other through the PBX, and each one's recording holds
// the tone that the other one says. baresip 1.0.0 (libre 1.1.0) and sipp 3.6.1
// of Debian answer the MD5 challenge of the two that they are offered; digest
// with SHA-256 is proven with our own phone in TestPhonesRegister.

// toneLength outlasts every call of these tests.
const toneLength = 2 * time.Minute

// baresip starts and registers a baresip as an extension that says a tone.
func (r *rig) baresip(extension string, hz float64, transport string) *peer.BaresipRun {
	r.t.Helper()
	b := peer.StartBaresip(within(r.t), r.t, peer.Baresip{
		User: extension, Password: passwords[extension], Domain: r.doc.Tenant.Domain, Server: r.sip,
		Transport: transport, Tone: pbxtest.WriteTone(r.t, hz, toneLength),
	})
	if err := b.WaitRegistered(within(r.t)); err != nil {
		r.t.Fatal(err)
	}
	return b
}

// sippAs starts a sipp that answers the calls of an extension, and registers
// it.
func (r *rig) sippAs(extension, scenario string, calls int) *peer.SippRun {
	r.t.Helper()
	answering := peer.StartSipp(r.t, peer.Sipp{Scenario: scenario, Calls: calls})
	r.sippRegister(extension, answering.Port, false)
	return answering
}

// sippRegister lets sipp register a contact for an extension.
func (r *rig) sippRegister(extension string, contactPort int, tcp bool) {
	r.t.Helper()
	res, err := peer.StartSipp(r.t, peer.Sipp{
		Scenario: peer.Register, Remote: r.addr(), Domain: r.doc.Tenant.Domain, TCP: tcp,
		Users: [][2]string{{extension, passwords[extension]}}, RegisterPort: contactPort,
	}).Wait(within(r.t))
	if err != nil {
		r.t.Fatalf("sipp does not register: %v: %+v", err, res)
	}
}

func (r *rig) addr() netip.AddrPort { return netip.MustParseAddrPort(r.sip) }

// event waits for the first of the events and fails if it is not the one that
// is wanted.
func event(t *testing.T, b *peer.BaresipRun, want string, other ...string) {
	t.Helper()
	got, err := b.WaitEvent(within(t), append(other, want)...)
	if err != nil || got != want {
		t.Fatalf("baresip told %q, want %q: %v", got, want, err)
	}
}

// command lets baresip do something.
func command(t *testing.T, b *peer.BaresipRun, name, params string) {
	t.Helper()
	if _, err := b.Command(within(t), name, params); err != nil {
		t.Fatal(err)
	}
}

// recorded waits until baresip's recording has whole seconds of the tone in so
// many places, with something else between them.
func recorded(t *testing.T, b *peer.BaresipRun, who string, hz float64, places int) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%s has %.0f Hz in %d places of its recording", who, hz, places), func() bool {
		files, err := b.Heard()
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, f := range files {
			found += seconds(t, f, hz)
		}
		return found >= places
	})
}

// seconds counts the stretches of a second or more that are all tone.
func seconds(t *testing.T, path string, hz float64) (found int) {
	t.Helper()
	const stretch, second = codec.ClockRate / 20, 20
	run := 0
	for samples := samplesOf(t, path); len(samples) >= stretch; samples = samples[stretch:] {
		if run++; tone.Share(samples[:stretch], hz) < 0.9 {
			run = 0
		}
		if run == second {
			found++
		}
	}
	return found
}

// samplesOf reads a WAV file that may still grow, so that its header does not
// tell its length yet.
func samplesOf(t *testing.T, path string) []int16 {
	t.Helper()
	const header = 44
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < header {
		return nil
	}
	b = b[header:]
	samples := make([]int16, len(b)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return samples
}

// waitFor waits until the condition holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := within(t)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("it does not come to pass that %s", what)
		case <-again.C:
		}
	}
}

// heldLegs waits until so many legs of the live calls are held by their phone.
func (r *rig) heldLegs(want int) {
	r.t.Helper()
	waitFor(r.t, fmt.Sprintf("%d legs are held", want), func() bool {
		calls, err := r.server.Control().Calls(within(r.t))
		if err != nil {
			r.t.Fatal(err)
		}
		held := 0
		for _, c := range calls {
			for _, l := range c.Legs {
				if l.Held {
					held++
				}
			}
		}
		return held == want
	})
}

// answered checks the record of the only call of a test.
func (r *rig) answered(from, by string) pbx.CDR {
	r.t.Helper()
	c := r.cdr()
	if c.Disposition != pbx.Answered || c.From.Extension != from || c.AnsweredBy.Extension != by {
		r.t.Errorf("the record says %s, from %q, answered by %q; want answered, %s, %s",
			c.Disposition, c.From.Extension, c.AnsweredBy.Extension, from, by)
	}
	for _, l := range c.Legs {
		if l.Quality.PacketsIn == 0 || l.Quality.PacketsOut == 0 {
			r.t.Errorf("leg %s of %s: %d packets in, %d out", l.ID, l.Party.Extension, l.Quality.PacketsIn, l.Quality.PacketsOut)
		}
	}
	return c
}

func TestPhonesRegister(t *testing.T) {
	r := newRig(t, setup{})
	for _, algorithm := range []string{"MD5", "SHA-256"} {
		for _, transport := range []string{"UDP", "TCP"} {
			p := r.desk("103", func(c *phone.Config) { c.Digest, c.Transport = algorithm, transport })
			if p.Granted() == 0 {
				t.Errorf("%s over %s: nothing is granted", algorithm, transport)
			}
			if err := p.Unregister(within(t)); err != nil {
				t.Errorf("%s over %s: %v", algorithm, transport, err)
			}
		}
	}
	for _, transport := range []string{"udp", "tcp"} {
		r.baresip("101", 440, transport)
		r.sippRegister("102", 0, transport == "tcp")
	}
}

func TestBaresipCallsBaresip(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		for _, callerHolds := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, the caller holds: %t", transport, callerHolds), func(t *testing.T) {
				holdBetweenBaresips(t, transport, callerHolds)
			})
		}
	}
}

func holdBetweenBaresips(t *testing.T, transport string, callerHolds bool) {
	t.Helper()
	r := newRig(t, setup{})
	a, b := r.baresip("101", 440, transport), r.baresip("102", 880, transport)
	command(t, a, "dial", "sip:102@"+r.doc.Tenant.Domain)
	event(t, b, peer.CallIncoming)
	event(t, a, peer.CallRinging)
	command(t, b, "accept", "")
	event(t, a, peer.Established, peer.Closed)
	recorded(t, a, "the caller", 880, 1)
	recorded(t, b, "the called one", 440, 1)

	holder, held, said, heard := a, b, 880.0, 440.0
	if !callerHolds {
		holder, held, said, heard = b, a, 440, 880
	}
	command(t, holder, "hold", "")
	r.heldLegs(1)
	heldAudio(t, held, heard)
	command(t, holder, "resume", "")
	r.heldLegs(0)
	recorded(t, held, "the one that was held", heard, 2)
	// baresip does not record any more after a hold of its own. What it hears
	// is proven by letting it say what it hears: the other one hears itself.
	command(t, holder, "ausrc", "aubridge,sink")
	recorded(t, held, "the one that was held, of itself,", said, 1)

	command(t, a, "hangup", "")
	event(t, b, peer.Closed)
	r.answered("101", "102")
}

// heldAudio waits until the end of baresip's recording is not the tone of the
// one that holds.
func heldAudio(t *testing.T, b *peer.BaresipRun, hz float64) {
	t.Helper()
	waitFor(t, "the one that is held hears something else", func() bool {
		files, err := b.Heard()
		if err != nil || len(files) == 0 {
			t.Fatalf("no recording: %v", err)
		}
		samples := samplesOf(t, files[len(files)-1])
		const stretch = codec.ClockRate / 10
		return len(samples) > stretch && tone.Share(samples[len(samples)-stretch:], hz) < 0.5
	})
}

func TestBaresipCallsSipp(t *testing.T) {
	r := newRig(t, setup{})
	s := r.sippAs("102", peer.Answer, 1) // the PBX keeps the hold to itself
	a := r.baresip("101", 440, "udp")
	command(t, a, "dial", "sip:102@"+r.doc.Tenant.Domain)
	event(t, a, peer.Established, peer.Closed)
	recorded(t, a, "the caller, of itself by sipp's echo,", 440, 1)
	command(t, a, "hold", "")
	r.heldLegs(1)
	command(t, a, "resume", "")
	r.heldLegs(0)
	command(t, a, "hangup", "")
	if res, err := s.Wait(within(t)); err != nil || res.Succeeded != 1 {
		t.Errorf("sipp: %v: %+v", err, res)
	}
	r.answered("101", "102")
}

func TestSippCallsBaresip(t *testing.T) {
	r := newRig(t, setup{})
	b := r.baresip("101", 880, "udp")
	s := peer.StartSipp(t, peer.Sipp{
		Scenario: peer.CallAuth, Remote: r.addr(), Domain: r.doc.Tenant.Domain, To: "101",
		Users: [][2]string{{"102", passwords["102"]}}, Hold: 4000,
		Audio: pbxtest.WriteRawTone(t, codec.ALaw, 440, time.Second),
	})
	event(t, b, peer.CallIncoming)
	command(t, b, "accept", "")
	recorded(t, b, "baresip", 440, 1)
	if res, err := s.Wait(within(t)); err != nil || res.Succeeded != 1 {
		t.Errorf("sipp: %v: %+v", err, res)
	}
	event(t, b, peer.Closed)
	// sipp does not record; what went to it is in the record of the call.
	for _, l := range r.answered("102", "101").Legs {
		if l.Quality.PacketsOut < 50 {
			t.Errorf("%d packets went to %s, want those of a second at least", l.Quality.PacketsOut, l.Party.Extension)
		}
	}
}
