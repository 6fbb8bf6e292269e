package e2e

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/pbxtest/peer"
)

// phoneOf starts and registers a baresip as an extension that says a tone.
func (r *rig) phoneOf(extension string, hz float64, b peer.Baresip) *peer.BaresipRun {
	r.t.Helper()
	b.User, b.Password, b.Domain, b.Server = extension, passwords[extension], r.doc.Tenant.Domain, r.sip
	b.Tone = pbxtest.WriteTone(r.t, hz, toneLength)
	run := peer.StartBaresip(within(r.t), r.t, b)
	if err := run.WaitRegistered(within(r.t)); err != nil {
		r.t.Fatal(err)
	}
	return run
}

// TestRealPhonesOfDifferentKinds has two phones talk that share no codec, or
// of which one takes nothing in the clear; each hears the other's tone.
func TestRealPhonesOfDifferentKinds(t *testing.T) {
	if testing.Short() {
		t.Skip("needs baresip")
	}
	for _, tc := range []struct {
		name           string
		caller, callee peer.Baresip
	}{
		{"A-law calls G.722", peer.Baresip{}, peer.Baresip{Codec: "G722"}},
		{"Opus calls A-law", peer.Baresip{Codec: "opus"}, peer.Baresip{}},
		{"both G.722", peer.Baresip{Codec: "G722"}, peer.Baresip{Codec: "G722"}},
		{"encrypted calls plain", peer.Baresip{Encryption: "srtp-mand"}, peer.Baresip{}},
		{"plain calls encrypted", peer.Baresip{}, peer.Baresip{Encryption: "srtp-mand"}},
		{"a handshake calls plain", peer.Baresip{Encryption: "dtls_srtp"}, peer.Baresip{}},
		{"plain calls a handshake", peer.Baresip{}, peer.Baresip{Encryption: "dtls_srtp"}},
		{"a handshake with ICE calls plain", peer.Baresip{Encryption: "dtls_srtp", ICE: true}, peer.Baresip{}},
		{"a handshake calls keys in SDP", peer.Baresip{Encryption: "dtls_srtp"}, peer.Baresip{Encryption: "srtp-mand"}},
		{"both encrypted", peer.Baresip{Encryption: "srtp-mand"}, peer.Baresip{Encryption: "srtp-mand"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, setup{document: func(d *conf.Document) {
				d.Media.Codecs, d.Media.SRTP = []string{"PCMA", "PCMU", "G722", "opus"}, "Optional"
			}})
			a, b := r.phoneOf("101", 500, tc.caller), r.phoneOf("102", 700, tc.callee)
			bothHear(t, a, b)
		})
	}
}

// bothHear lets a, who says 500 Hz, call 102, who says 700 Hz.
func bothHear(t *testing.T, a, b *peer.BaresipRun) {
	t.Helper()
	command(t, a, "dial", "102")
	event(t, b, peer.CallIncoming)
	command(t, b, "accept", "")
	event(t, a, peer.Established, peer.Closed)
	event(t, b, peer.Established, peer.Closed)
	hasHeard(t, a, "the caller", 700)
	hasHeard(t, b, "the callee", 500)
}

// hasHeard waits until a baresip's recording has a whole second of the tone. Its
// rate and channels are those of the codec.
func hasHeard(t *testing.T, b *peer.BaresipRun, who string, hz float64) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%s has %.0f Hz in its recording", who, hz), func() bool {
		files, err := b.Heard()
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(files, func(f string) bool { return hasSecond(t, f, hz) })
	})
}

func hasSecond(t *testing.T, path string, hz float64) bool {
	t.Helper()
	return hasSecondAfter(t, path, 0, hz)
}

// hasSecondAfter is hasSecond behind so many samples.
func hasSecondAfter(t *testing.T, path string, skip int, hz float64) bool {
	t.Helper()
	one, rate := heardIn(t, path)
	one = one[min(skip, len(one)):]
	run := 0
	for stretch := rate / 20; len(one) >= stretch && run < 20; one = one[stretch:] {
		if run++; tone.Share(one[:stretch], hz*codec.ClockRate/float64(rate)) < 0.9 {
			run = 0
		}
	}
	return run == 20
}

// heardIn returns one channel of a recording, as far as it is written, and its
// rate in Hz.
func heardIn(t *testing.T, path string) (one []int16, rate int) {
	t.Helper()
	head, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(head) < 44 {
		return nil, codec.ClockRate
	}
	channels, rate := int(binary.LittleEndian.Uint16(head[22:])), int(binary.LittleEndian.Uint32(head[24:]))
	for i, v := range samplesOf(t, path) {
		if i%channels == 0 {
			one = append(one, v)
		}
	}
	return one, rate
}
