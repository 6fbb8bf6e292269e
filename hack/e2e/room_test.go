package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/audiofile"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/rtpio"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/pbxtest/peer"
	"github.com/dipcast/dipcast/pbx/phone"
	"github.com/dipcast/dipcast/pbx/sipua"
)

// hall answers every call and leads it into one room: the SIP side and the
// media plane without the engine.
type hall struct {
	sip  string // its address
	room media.Room
	legs chan leg.Leg
	over chan pbx.LegID
}

const hallDomain = "hall.example"

func newHall(t *testing.T, extensions int) *hall {
	t.Helper()
	loopback := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	pool, err := rtpio.NewPool(rtpio.Config{Bind: loopback, Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	h := &hall{room: pool.Room(), legs: make(chan leg.Leg, extensions), over: make(chan pbx.LegID, extensions)}
	t.Cleanup(h.room.Close)
	doc := &conf.Document{
		Tenant: conf.Tenant{Domain: hallDomain},
		Media:  conf.Media{Codecs: []string{codec.PCMA, codec.PCMU, codec.G722}, SRTP: "Optional"},
		Limits: conf.Limits{RegistrationsMaximum: extensions, ConcurrentCalls: extensions},
	}
	for i := range extensions {
		doc.Extensions = append(doc.Extensions, conf.Extension{Number: extension(i), MaxContacts: 1, Password: "secret"})
	}
	agent, err := sipua.New(sipua.Config{Document: doc, Advertise: loopback, Bind: loopback, Media: pool, Receiver: h, Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	h.sip = agent.SIPAddr("UDP").String()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h
}

func extension(i int) string { return strconv.Itoa(101 + i) }

// Receive implements leg.Receiver.
func (h *hall) Receive(_ context.Context, in leg.Incoming) (leg.Listener, *leg.Refusal) {
	h.legs <- in.Leg
	return h, nil
}

// enter lets the caller who rings in.
func (h *hall) enter(t *testing.T) media.Port {
	t.Helper()
	select {
	case l := <-h.legs:
		h.room.Join(l.Media())
		l.Answer()
		return l.Media()
	case <-within(t).Done():
		t.Fatal("nobody rings")
		return nil
	}
}

func (h *hall) LegRinging(pbx.LegID)                             {}
func (h *hall) LegProgress(pbx.LegID)                            {}
func (h *hall) LegAnswered(pbx.LegID)                            {}
func (h *hall) LegHeld(pbx.LegID, bool)                          {}
func (h *hall) LegDigit(pbx.LegID, rune, bool)                   {}
func (h *hall) LegSilent(pbx.LegID)                              {}
func (h *hall) LegPlayed(pbx.LegID)                              {}
func (h *hall) LegMoved(pbx.LegID, string)                       {}
func (h *hall) LegOver(id pbx.LegID, _ pbx.Cause, _ pbx.Quality) { h.over <- id }

// soft is the level of what is said: seven of them are not too loud.
const soft = 0.1

// guest is somebody in the room who says a tone of its own.
type guest struct {
	name string
	hz   float64
	port media.Port
	// last returns the last second of what it hears, and its rate; nil if there
	// is less.
	last func() ([]int16, int)
	end  func(ctx context.Context) error
}

// hears reports whether it hears exactly these of the others.
func (g *guest) hears(others ...*guest) bool {
	samples, rate := g.last()
	if samples == nil {
		return false
	}
	level := func(hz float64) float64 { return tone.Level(samples, hz*codec.ClockRate/float64(rate)) }
	for _, o := range others {
		if o != g && level(o.hz) < soft/2 {
			return false
		}
	}
	return level(g.hz) < soft/20
}

// misses reports whether it does not hear the other.
func (g *guest) misses(other *guest) bool {
	samples, rate := g.last()
	return samples != nil && tone.Level(samples, other.hz*codec.ClockRate/float64(rate)) < soft/20
}

// realGuest calls with a baresip.
func (h *hall) realGuest(t *testing.T, i int, b peer.Baresip) *guest {
	t.Helper()
	g := &guest{name: fmt.Sprint("baresip ", b.Codec, b.Encryption), hz: 300 + 170*float64(i)}
	samples := make([]int16, int(toneLength.Seconds()*codec.ClockRate))
	tone.Sine(g.hz, soft).Read(samples)
	b.Tone = filepath.Join(t.TempDir(), "tone.wav")
	f, err := os.Create(b.Tone)
	if err == nil {
		err = audiofile.Write(f, audiofile.NewSound(samples), audiofile.PCM16)
	}
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	b.User, b.Password, b.Domain, b.Server = extension(i), "secret", hallDomain, h.sip
	run := peer.StartBaresip(within(t), t, b)
	if err := run.WaitRegistered(within(t)); err != nil {
		t.Fatal(err)
	}
	command(t, run, "dial", "700")
	g.port = h.enter(t)
	event(t, run, peer.Established, peer.Closed)
	g.last = func() ([]int16, int) { return lastSecond(t, run) }
	g.end = func(ctx context.Context) error { _, err := run.Command(ctx, "hangup", ""); return err }
	return g
}

// ownGuest calls with our own phone.
func (h *hall) ownGuest(t *testing.T, i int, law string) *guest {
	t.Helper()
	p := newPhone(t, phone.Config{User: extension(i), Password: "secret", Domain: hallDomain, Server: h.sip, Codecs: []string{law}})
	call, err := p.Dial(within(t), "700", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{name: "own phone " + law, hz: 300 + 170*float64(i), end: call.Hangup}
	g.port = h.enter(t)
	if err := call.WaitAnswered(within(t)); err != nil {
		t.Fatal(err)
	}
	call.Play(tone.Sine(g.hz, soft))
	g.last = func() ([]int16, int) {
		heard := call.Audio().Heard().Samples()
		if len(heard) < codec.ClockRate {
			return nil, 0
		}
		return heard[len(heard)-codec.ClockRate:], codec.ClockRate
	}
	return g
}

// lastSecond is the end of a baresip's recording.
func lastSecond(t *testing.T, b *peer.BaresipRun) ([]int16, int) {
	t.Helper()
	files, err := b.Heard()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		return nil, 0
	}
	last := files[len(files)-1]
	head, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	samples := samplesOf(t, last)
	if len(samples) == 0 {
		return nil, 0
	}
	rate := int(binary.LittleEndian.Uint32(head[24:]))
	if len(samples) < rate {
		return nil, 0
	}
	return samples[len(samples)-rate:], rate
}

// TestRealPhonesInARoom: five baresips, one of them in wideband and one
// encrypted, and two phones of our own, each with a tone of its own: each hears
// all others and not itself, nobody hears who is muted or has left.
func TestRealPhonesInARoom(t *testing.T) {
	if testing.Short() {
		t.Skip("needs baresip")
	}
	h := newHall(t, 7)
	var guests []*guest
	for i, b := range []peer.Baresip{{Codec: "PCMA"}, {Codec: "PCMU"}, {Codec: "G722"}, {Codec: "PCMA", Encryption: "srtp-mand"}, {Codec: "PCMA"}} {
		guests = append(guests, h.realGuest(t, i, b))
	}
	guests = append(guests, h.ownGuest(t, 5, codec.PCMA), h.ownGuest(t, 6, codec.PCMU))
	for _, g := range guests {
		waitFor(t, g.name+" hears all others and not itself", func() bool { return g.hears(guests...) })
	}
	mute, gone := guests[2], guests[0]
	h.room.Mute(mute.port, true)
	if err := gone.end(within(t)); err != nil {
		t.Fatal(err)
	}
	<-h.over
	rest := slices.DeleteFunc(slices.Clone(guests), func(g *guest) bool { return g == mute || g == gone })
	for _, g := range append(rest, mute) {
		waitFor(t, g.name+" hears those who are left and are not muted", func() bool {
			return g.hears(rest...) && g.misses(gone) && g.misses(mute)
		})
	}
}
