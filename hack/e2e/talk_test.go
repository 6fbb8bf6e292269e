package e2e

import (
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
)

// talking connects 101 (440 Hz) with 102 (660 Hz).
func (r *rig) talking(caller, callee *phone.Phone) (a, b *phone.Call) {
	r.t.Helper()
	a, err := caller.Dial(within(r.t), "102", phone.DialOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	a.Play(tone.Sine(440, loud))
	b = rings(r.t, callee)
	if err := a.WaitRinging(within(r.t)); err != nil {
		r.t.Fatal(err)
	}
	answer(r.t, b)
	b.Play(tone.Sine(660, loud))
	hears(r.t, a, "101", 660)
	hears(r.t, b, "102", 440)
	return a, b
}

func tcp(c *phone.Config)  { c.Transport = "TCP" }
func pcmu(c *phone.Config) { c.Codecs = []string{"PCMU"} }
func pcma(c *phone.Config) { c.Codecs = []string{"PCMA"} }
func info(c *phone.Config) { c.NoDTMF = true }

// Every pair of transports, laws and ways to press keys.
func TestExtensionsTalk(t *testing.T) {
	for name, tc := range map[string]struct{ a, b []func(*phone.Config) }{
		"UDP":                         {},
		"TCP":                         {[]func(*phone.Config){tcp}, []func(*phone.Config){tcp}},
		"TCP to UDP":                  {[]func(*phone.Config){tcp}, nil},
		"A-law to u-law":              {[]func(*phone.Config){pcma}, []func(*phone.Config){pcmu}},
		"events to INFO":              {nil, []func(*phone.Config){info}},
		"INFO to events":              {[]func(*phone.Config){info}, nil},
		"INFO to INFO, u-law, by TCP": {[]func(*phone.Config){info, pcmu, tcp}, []func(*phone.Config){info}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, setup{})
			a, b := r.talking(r.desk("101", tc.a...), r.desk("102", tc.b...))
			keys(t, a, b, "12#")
			keys(t, b, a, "907*")
			holdAndResume(t, a, b)
			holdAndResume(t, b, a)
			if err := a.Hangup(within(t)); err != nil {
				t.Error(err)
			}
			if _, err := b.WaitEnded(within(t)); err != nil {
				t.Errorf("the other side is still in the call: %v", err)
			}
			for who, c := range map[string]*phone.Call{"101": a, "102": b} {
				if s := c.Stats(); s.Lost > 0 {
					t.Errorf("%s misses %d packets of %d", who, s.Lost, s.Received)
				}
			}
		})
	}
}

// keys proves that each key pressed by one side is heard once by the other.
func keys(t *testing.T, from, to *phone.Call, keys string) {
	t.Helper()
	if err := from.SendDTMF(within(t), keys); err != nil {
		t.Fatal(err)
	}
	got, err := to.WaitDigits(within(t), len(keys))
	if err != nil || got != keys {
		t.Fatalf("keys %q, want %q: %v", got, keys, err)
	}
	select {
	case extra := <-to.Digits():
		t.Errorf("key %c more than was pressed", extra)
	default:
	}
}

func holdAndResume(t *testing.T, holder, held *phone.Call) {
	t.Helper()
	hz := map[bool]float64{true: 440, false: 660}[!holder.Incoming()] // what the holder says
	if err := holder.Hold(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := held.WaitNoTone(within(t), hz); err != nil {
		t.Errorf("the held side still hears the holder: %v", err)
	}
	if err := holder.Resume(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := held.WaitTone(within(t), hz); err != nil {
		t.Errorf("the held side does not hear the holder again: %v", err)
	}
	if err := holder.WaitTone(within(t), 1100-hz); err != nil {
		t.Errorf("the holder does not hear the held side again: %v", err)
	}
}

// A phone with IPv6 talks to one with IPv4, and to another one with IPv6.
func TestFamiliesTalk(t *testing.T) {
	both := func(d *conf.Document) {
		d.Network.Bind = []string{"127.0.0.1", "::1"}
		d.Network.Advertise = map[string][]string{"": {"127.0.0.1", "::1"}}
	}
	six := func(r *rig) func(*phone.Config) {
		return func(c *phone.Config) {
			_, port, _ := strings.Cut(r.sip, ":")
			c.Server, c.Listen = "[::1]:"+port, "[::1]:0"
		}
	}
	for name, second := range map[string]bool{"IPv6 to IPv4": false, "IPv6 to IPv6": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, setup{document: both})
			first := r.desk("101", six(r))
			var other *phone.Phone
			if second {
				other = r.desk("102", six(r), tcp)
			} else {
				other = r.desk("102")
			}
			a, b := r.talking(first, other)
			keys(t, a, b, "6#")
			holdAndResume(t, b, a)
			if err := b.Hangup(within(t)); err != nil {
				t.Error(err)
			}
			if _, err := a.WaitEnded(within(t)); err != nil {
				t.Errorf("the caller is still in the call: %v", err)
			}
		})
	}
}
