package rtpio

import (
	"bytes"
	"crypto/rand"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	sample "github.com/pion/webrtc/v4/pkg/media"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/dtls"
	"github.com/dipcast/dipcast/pbx/media/srtp"
	"github.com/dipcast/dipcast/pbx/media/voice"
	"github.com/dipcast/dipcast/pbx/sdp"
)

func newIdentity(t testing.TB) *dtls.Identity {
	t.Helper()
	i, err := dtls.NewIdentity(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// newPlane is a pool in real time.
func newPlane(t testing.TB, identity *dtls.Identity) *Pool {
	t.Helper()
	p, err := NewPool(Config{Bind: []netip.Addr{loopback4}, Identity: identity})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// browser is a peer that speaks as browsers do, by another implementation.
type browser struct {
	t     *testing.T
	pc    *webrtc.PeerConnection
	track *webrtc.TrackLocalStaticSample
	mouth *voice.Mouth
	hertz float64
	at    int

	lost atomic.Bool // the connection was not good at some moment
	mu   sync.Mutex
	ear  *voice.Ear
}

func newBrowser(t *testing.T, name string, hertz float64) *browser {
	t.Helper()
	c, _ := codec.Named(name)
	mouth, err := voice.NewMouth(c)
	if err != nil {
		t.Fatal(err)
	}
	ear, err := voice.NewEar(c, voice.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, mouth: mouth, ear: ear, hertz: hertz}
	kind := webrtc.RTPCodecCapability{MimeType: "audio/" + name, ClockRate: uint32(c.ClockRate), Channels: 1}
	if name == codec.Opus {
		kind.Channels = 2
	}
	engine, settings := &webrtc.MediaEngine{}, webrtc.SettingEngine{}
	err = engine.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: kind, PayloadType: webrtc.PayloadType(c.PayloadType)}, webrtc.RTPCodecTypeAudio)
	if err != nil {
		t.Fatal(err)
	}
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetHandleUndeclaredSSRCWithoutAnswer(true) // as browsers do
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	if b.pc, err = webrtc.NewAPI(webrtc.WithMediaEngine(engine), webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.pc.GracefulClose(); err != nil {
			t.Error(err)
		}
	})
	if b.track, err = webrtc.NewTrackLocalStaticSample(kind, "audio", "browser"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.pc.AddTrack(b.track); err != nil {
		t.Fatal(err)
	}
	b.pc.OnTrack(func(r *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { b.listen(r) })
	b.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateDisconnected || s == webrtc.PeerConnectionStateFailed {
			b.lost.Store(true)
		}
	})
	return b
}

func (b *browser) listen(r *webrtc.TrackRemote) {
	for {
		p, _, err := r.ReadRTP()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.ear.Put(&voice.Packet{Seq: p.SequenceNumber, Timestamp: p.Timestamp, Payload: bytes.Clone(p.Payload)})
		b.mu.Unlock()
	}
}

// offer is what the browser offers, with its candidates.
func (b *browser) offer() []byte {
	b.t.Helper()
	o, err := b.pc.CreateOffer(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.local(o)
}

func (b *browser) local(d webrtc.SessionDescription) []byte {
	b.t.Helper()
	gathered := webrtc.GatheringCompletePromise(b.pc)
	if err := b.pc.SetLocalDescription(d); err != nil {
		b.t.Fatal(err)
	}
	<-gathered
	return []byte(b.pc.LocalDescription().SDP)
}

func (b *browser) remote(kind webrtc.SDPType, body []byte) {
	b.t.Helper()
	if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: kind, SDP: string(body)}); err != nil {
		b.t.Fatalf("%v\n%s", err, body)
	}
}

// say sends 20 ms.
func (b *browser) say() {
	frame := make([]int16, b.mouth.Rate()/50)
	for i := range frame {
		frame[i] = int16(8000 * math.Sin(2*math.Pi*b.hertz*float64(b.at)/float64(b.mouth.Rate())))
		b.at++
	}
	if err := b.track.WriteSample(sample.Sample{Data: bytes.Clone(b.mouth.Say(frame)), Duration: frameTime}); err != nil {
		b.t.Error(err)
	}
}

// hear returns the next 20 ms of what has come.
func (b *browser) hear() []int16 {
	b.mu.Lock()
	defer b.mu.Unlock()
	frame := make([]int16, b.ear.Rate()/50)
	b.ear.Hear(frame)
	return frame
}

// session is our side of the browser's offers and answers.
func session(p media.Port, i *dtls.Identity, name string) sdp.Session {
	s := sdp.Session{
		ID: 1, Local: p.Local(), Codecs: []string{name}, SRTP: sdp.Optional, Random: bytes.Repeat([]byte{7}, srtp.KeySize), Fingerprint: i.Fingerprint(),
	}
	s.Trust(loopback4)
	return s
}

// webCall is a browser that talks with a plain phone.
type webCall struct {
	t      *testing.T
	b      *browser
	z      *talker
	pa, pb media.Port
}

// newWebCall joins a browser, which calls or is called, and a phone of A-law.
func newWebCall(t *testing.T, pool *Pool, name string, calls bool) *webCall {
	t.Helper()
	c := &webCall{t: t, b: newBrowser(t, name, 440), z: newTalker(t, "PCMA", 1000)}
	var err error
	if c.pa, err = pool.Allocate(loopback4, media.Notices{}); err == nil {
		c.pb, err = pool.Allocate(loopback4, media.Notices{})
	}
	if err != nil {
		t.Fatal(err)
	}
	s := session(c.pa, pool.identity, name)
	if calls {
		answer, stream, err := s.Answer(c.b.offer())
		if err != nil {
			t.Fatal(err)
		}
		c.pa.Apply(stream)
		c.b.remote(webrtc.SDPTypeAnswer, answer)
	} else {
		s.Form = sdp.Web
		c.b.remote(webrtc.SDPTypeOffer, s.Offer())
		answer, err := c.b.pc.CreateAnswer(nil)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := s.Accept(c.b.local(answer))
		if err != nil {
			t.Fatal(err)
		}
		c.pa.Apply(stream)
	}
	c.pb.Apply(c.z.stream())
	c.z.to = c.pb.Local()
	c.pa.Hear(c.pb)
	c.pb.Hear(c.pa)
	return c
}

// talk goes on until each has heard the other's tone.
func (c *webCall) talk() {
	c.t.Helper()
	tick := time.NewTicker(frameTime)
	defer tick.Stop()
	give := time.After(patience)
	var browserHeard, phoneHeard []int16
	atBrowser, atPhone := false, false
	for !atBrowser || !atPhone {
		select {
		case <-tick.C:
		case <-give:
			c.t.Fatalf("the browser hears the phone: %v, the phone the browser: %v\n%v\n%+v", atBrowser, atPhone, c.pa, c.pa.(*Port).Drops())
		}
		c.b.say()
		c.z.say()
		atBrowser = hears(&browserHeard, c.b.hear(), c.z.hertz, c.b.ear.Rate()) || atBrowser
		atPhone = hears(&phoneHeard, c.z.hear(), c.b.hertz, c.z.ear.Rate()) || atPhone
	}
}

// hears adds a frame to what was heard and reports whether the last 100 ms were
// nearly all the tone: on a busy machine audio in real time has gaps.
func hears(heard *[]int16, frame []int16, hertz float64, rate int) bool {
	*heard = append(*heard, frame...)
	window := rate / 10
	if len(*heard) < window {
		return false
	}
	*heard = (*heard)[len(*heard)-window:]
	return share(*heard, hertz, rate) > 0.9
}

func TestABrowserTalksWithAPlainPhone(t *testing.T) {
	for _, tc := range []struct {
		name, codec string
		calls       bool
	}{{"it calls in A-law", "PCMA", true}, {"it is called in A-law", "PCMA", false}, {"it calls in Opus", codec.Opus, true}} {
		t.Run(tc.name, func(t *testing.T) {
			c := newWebCall(t, newPlane(t, newIdentity(t)), tc.codec, tc.calls)
			c.talk()
			if c.b.lost.Load() {
				t.Error("the connection was lost for a while")
			}
		})
	}
}

// TestACallOfABrowserInAnotherProcess: the next process has another certificate
// and makes no handshake; it goes on with the keys and answers the checks.
func TestACallOfABrowserInAnotherProcess(t *testing.T) {
	first := newPlane(t, newIdentity(t))
	c := newWebCall(t, first, "PCMA", true)
	c.talk()
	sa, sb := c.pa.Save(), c.pb.Save()
	if sa.Agreed.Suite != srtp.GCM || sa.Agreed.Local == "" || !sa.Peer.IsValid() {
		t.Fatalf("saved: %+v", sa)
	}
	first.Leave()
	next := newPlane(t, newIdentity(t))
	var err error
	if c.pa, err = next.Restore(sa, media.Notices{}); err == nil {
		c.pb, err = next.Restore(sb, media.Notices{})
	}
	if err != nil {
		t.Fatal(err)
	}
	c.pa.Hear(c.pb)
	c.pb.Hear(c.pa)
	c.b.hertz, c.z.hertz = 700, 1300
	c.talk()
	port := c.pa.(*Port)
	was := port.checked.Load()
	until(t, "a check is answered", func() bool { c.b.say(); return port.checked.Load() > was })
	if c.b.lost.Load() {
		t.Error("the connection was lost for a while")
	}
}
