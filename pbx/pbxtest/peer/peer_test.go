package peer

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/phone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func newPhone(t *testing.T, cfg phone.Config) *phone.Phone {
	t.Helper()
	p, err := phone.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSippAnswersThePhone(t *testing.T) {
	ctx := soon(t)
	run := StartSipp(t, Sipp{Scenario: Answer, Calls: 1})
	p := newPhone(t, phone.Config{User: "101"})
	c := dial(ctx, t, p, fmt.Sprintf("sip:102@127.0.0.1:%d", run.Port))
	must(t, c.WaitAnswered(ctx))
	c.Play(tone.Sine(440, 0.4))
	must(t, c.WaitTone(ctx, 440)) // its own tone, echoed
	must(t, c.Hangup(ctx))
	res, err := run.Wait(ctx)
	must(t, err)
	if res.Succeeded != 1 {
		t.Errorf("sipp: %+v", res)
	}
}

func dial(ctx context.Context, t *testing.T, p *phone.Phone, target string) *phone.Call {
	t.Helper()
	c, err := p.Dial(ctx, target, phone.DialOptions{})
	must(t, err)
	return c
}

func TestSippCallsThePhone(t *testing.T) {
	for _, tcp := range []bool{false, true} {
		t.Run(map[bool]string{false: "UDP", true: "TCP"}[tcp], func(t *testing.T) {
			ctx := soon(t)
			p := newPhone(t, phone.Config{User: "025550100", AutoAnswer: true, Transport: map[bool]string{true: "TCP"}[tcp]})
			run := StartSipp(t, Sipp{
				Scenario: CallTrunk, Remote: p.Addr(), To: "025550100", From: "01012345678", Hold: 1500, TCP: tcp,
				Audio: pbxtest.WriteRawTone(t, codec.ALaw, 440, time.Second),
			})
			c, err := p.WaitIncoming(ctx)
			must(t, err)
			must(t, c.WaitTone(ctx, 440))
			if got := c.State().PeerNumber; got != "01012345678" {
				t.Errorf("caller %q", got)
			}
			res, err := run.Wait(ctx)
			must(t, err)
			if res.Succeeded != 1 || res.Failed != 0 {
				t.Errorf("sipp: %+v", res)
			}
			if _, err := c.WaitEnded(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSippTellsFailure(t *testing.T) {
	ctx := soon(t)
	p := newPhone(t, phone.Config{User: "102"})
	run := StartSipp(t, Sipp{Scenario: CallTrunk, Remote: p.Addr(), To: "102", From: "101"})
	c, err := p.WaitIncoming(ctx)
	must(t, err)
	must(t, c.Reject(486))
	res, err := run.Wait(ctx)
	if err == nil || res.Exit == 0 || res.Failed != 1 {
		t.Errorf("sipp: %+v, %v; want one failed call", res, err)
	}
}

func TestBaresipAndThePhone(t *testing.T) {
	ctx := soon(t)
	b := StartBaresip(ctx, t, Baresip{User: "102", Tone: pbxtest.WriteTone(t, 880, 30*time.Second), AutoAnswer: true})
	p := newPhone(t, phone.Config{User: "101"})
	c := dial(ctx, t, p, fmt.Sprintf("sip:102@127.0.0.1:%d", b.Port))
	must(t, c.WaitAnswered(ctx))
	c.Play(tone.Sine(440, 0.4))
	must(t, c.WaitTone(ctx, 880))
	_, err := b.WaitEvent(ctx, Established)
	must(t, err)

	_, err = b.Command(ctx, "hold", "")
	must(t, err)
	must(t, c.WaitHeld(ctx, true))
	_, err = b.Command(ctx, "resume", "")
	must(t, err)
	must(t, c.WaitHeld(ctx, false))
	must(t, c.WaitTone(ctx, 880))

	must(t, c.Hold(ctx))
	must(t, c.WaitNoTone(ctx, 880))
	must(t, c.Resume(ctx))
	for range 3 { // long enough for baresip's last recording
		must(t, c.WaitTone(ctx, 880))
	}
	must(t, c.Hangup(ctx))
	_, err = b.WaitEvent(ctx, Closed)
	must(t, err)
	b.Stop()
	heard, err := b.Heard()
	must(t, err)
	best := 0.0
	for _, f := range heard {
		best = max(best, pbxtest.BestShare(t, f, 440, 200*time.Millisecond))
	}
	if best < 0.9 {
		t.Errorf("baresip heard %.2f of 440 Hz at best in %d recordings", best, len(heard))
	}
}

func TestBaresipCallsThePhone(t *testing.T) {
	ctx := soon(t)
	p := newPhone(t, phone.Config{User: "101", AutoAnswer: true, Codecs: []string{"PCMU"}})
	b := StartBaresip(ctx, t, Baresip{User: "102", Tone: pbxtest.WriteTone(t, 880, 30*time.Second), Codec: "PCMU"})
	_, err := b.Command(ctx, "dial", "sip:101@"+p.Addr().String())
	must(t, err)
	c, err := p.WaitIncoming(ctx)
	must(t, err)
	must(t, c.WaitTone(ctx, 880))
	_, err = b.Command(ctx, "hangup", "")
	must(t, err)
	if _, err := c.WaitEnded(ctx); err != nil {
		t.Error(err)
	}
}

func TestManyCallsOfSipp(t *testing.T) {
	ctx := soon(t)
	p := newPhone(t, phone.Config{User: "025550100", AutoAnswer: true})
	run := StartSipp(t, Sipp{
		Scenario: CallTrunk, Remote: p.Addr(), To: "025550100", From: "01012345678", Calls: 10, Rate: 20, Hold: 500,
		Audio: pbxtest.WriteRawTone(t, codec.ALaw, 440, time.Second),
	})
	var calls []*phone.Call
	for range 10 {
		c, err := p.WaitIncoming(ctx)
		must(t, err)
		calls = append(calls, c)
	}
	res, err := run.Wait(ctx)
	must(t, err)
	if res.Succeeded != 10 {
		t.Errorf("sipp: %+v", res)
	}
	for _, c := range calls {
		_, err := c.WaitEnded(ctx)
		must(t, err)
		if st := c.Stats(); st.Received == 0 {
			t.Errorf("a call without audio: %+v", st)
		}
	}
}

func TestLinkKeepsCallsAlive(t *testing.T) {
	ctx := soon(t)
	b := newPhone(t, phone.Config{User: "102", AutoAnswer: true})
	link := pbxtest.NewLink(t, b.Addr(), pbxtest.Faults{Drop: 0.2, Duplicate: 0.2, Reorder: 0.1, Seed: 7})
	a := newPhone(t, phone.Config{User: "101"})
	for range 3 {
		c := dial(ctx, t, a, "sip:102@"+link.Addr().String())
		must(t, c.WaitAnswered(ctx))
		must(t, c.Hangup(ctx))
	}
	if n := link.Counts(); n.Dropped+n.Duplicated+n.Reordered == 0 {
		t.Errorf("the link was not bad: %+v", n)
	}
}

func TestFreePorts(t *testing.T) {
	ports := pbxtest.FreePorts(t, 5)
	seen := map[int]bool{}
	for _, p := range ports {
		if seen[p] || !netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(p)).IsValid() {
			t.Errorf("ports %v", ports)
		}
		seen[p] = true
	}
}
