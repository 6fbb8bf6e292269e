package rtpio

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/dtls"
	"github.com/dipcast/dipcast/pbx/media/ice"
	"github.com/dipcast/dipcast/pbx/media/srtp"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// shaker is a phone that makes connectivity checks and a handshake, step by
// step.
type shaker struct {
	*secretive
	identity *dtls.Identity
	own      string // the fingerprint of the other end's certificate
	ice      media.ICE
}

// newShaker returns a phone for the port of a bench with that identity.
func newShaker(t *testing.T, own *dtls.Identity) *shaker {
	t.Helper()
	return &shaker{
		secretive: &secretive{peer: newPeer(t, loopback4, codec.ALaw)}, identity: newIdentity(t), own: own.Fingerprint(),
		ice: media.ICE{
			Local:  media.ICECredentials{Ufrag: "ours", Password: "our-password-of-22-chars"},
			Remote: media.ICECredentials{Ufrag: "them", Password: "their-password-22-chars"},
		},
	}
}

func (s *shaker) stream() media.Stream {
	return media.Stream{
		RTCPMux: true, Codec: s.codec, DTMF: codec.PayloadTelephoneEvent, Signalling: loopback4,
		DTLS: media.DTLS{Own: s.own, Peer: s.identity.Fingerprint()}, ICE: s.ice,
	}
}

// check makes a connectivity check with a password and waits for its answer.
func (s *shaker) check(password string) {
	s.t.Helper()
	m, err := stun.Build(stun.BindingRequest, stun.TransactionID, stun.NewUsername("ours:them"),
		stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{1, 2, 3, 4}}, stun.RawAttribute{Type: stun.AttrUseCandidate},
		stun.NewShortTermIntegrity(password), stun.Fingerprint)
	if err != nil {
		s.t.Fatal(err)
	}
	s.sendRaw(m.Raw)
}

// answered waits for the answer to a check.
func (s *shaker) answered() {
	s.t.Helper()
	b := make([]byte, 2048)
	if err := s.rtp.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	for {
		n, err := s.rtp.Read(b)
		if err != nil {
			s.t.Fatalf("no answer to a check: %v", err)
		}
		if ice.Is(b[:n]) {
			return
		}
	}
}

// shake makes the handshake with a certificate and takes its keys; an error
// tells that there are none within the time.
func (s *shaker) shake(own *dtls.Identity, within time.Duration) error {
	ctx, stop := context.WithTimeout(context.Background(), within)
	defer stop()
	h := dtls.New(dtls.Config{Identity: own, Peer: s.own, Active: true, Send: func(b []byte) { _, _ = s.rtp.WriteToUDPAddrPort(b, s.to) }})
	reads := make(chan struct{})
	go func() {
		defer close(reads)
		b := make([]byte, 2048)
		for ctx.Err() == nil {
			_ = s.rtp.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if n, err := s.rtp.Read(b); err == nil {
				h.Take(b[:n])
			}
		}
	}()
	keys, err := h.Run(ctx)
	stop()
	<-reads
	if err != nil {
		return err
	}
	ended, end := context.WithCancel(context.Background())
	end()
	h.Linger(ended)
	if s.seal, err = srtp.NewSealer(keys.Suite, keys.Local); err == nil {
		s.open, err = srtp.NewOpener(keys.Suite, keys.Remote)
	}
	return err
}

// shaken joins a phone that is yet to be validated and a plain one.
func shaken(t *testing.T) (b *bench, pa, pb *Port, a *shaker, z *peer) {
	t.Helper()
	identity := newIdentity(t)
	b = newBench(t, Config{Identity: identity})
	a, z = newShaker(t, identity), newPeer(t, loopback4, codec.ULaw)
	pa, pb = b.port(t, loopback4, media.Notices{}), b.port(t, loopback4, media.Notices{})
	a.to, z.to = pa.Local(), pb.Local()
	pa.Apply(a.stream())
	pb.Apply(z.stream())
	pa.Hear(pb)
	pb.Hear(pa)
	return b, pa, pb, a, z
}

// nothingFor fails if something comes to a socket.
func nothingFor(t *testing.T, who string, c *net.UDPConn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2048)
	if n, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s got %x, %v", who, b[:n], err)
	}
}

// talks says tones both ways over the keys of a handshake.
func talks(t *testing.T, pa *Port, a *shaker, z *peer) {
	t.Helper()
	until(t, "the port has its keys", func() bool { return pa.settings.Load().cipher.Keys() != media.Crypto{} })
	a.say(tone.Sine(440, 0.3), 25)
	wantTone(t, "the plain phone", z.hear(25), 440)
	z.say(tone.Sine(1000, 0.3), 25)
	wantTone(t, "the phone with a handshake", a.hear(25), 1000)
}

// TestOnlyWhoWasValidatedMakesAHandshake: strangers who come first, with or
// without a check, get no word from us and keep nobody out.
func TestOnlyWhoWasValidatedMakesAHandshake(t *testing.T) {
	_, pa, _, a, z := shaken(t)
	stranger := newShaker(t, a.identity)
	stranger.to, stranger.own = a.to, a.own
	if err := stranger.shake(a.identity, 300*time.Millisecond); err == nil {
		t.Fatal("a handshake without a check")
	}
	stranger.check("their-password-22-chars")
	stranger.sendRaw([]byte{0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}) // no MESSAGE-INTEGRITY
	foreign := pa.Drops().Foreign
	until(t, "the stranger's packets are refused", func() bool { return pa.Drops().Foreign >= foreign && pa.Drops().Foreign > 2 })
	nothingFor(t, "the stranger", stranger.rtp)
	if pa.dest.Load().RTP.IsValid() {
		t.Fatalf("sent to %v", pa.dest.Load().RTP)
	}
	a.check("our-password-of-22-chars")
	a.answered()
	if err := a.shake(a.identity, patience); err != nil {
		t.Fatal(err)
	}
	talks(t, pa, a, z)
	stranger.say(tone.Sine(700, 0.3), 25) // in the clear
	until(t, "packets in the clear are refused", func() bool { return pa.Drops().Sealed >= 25 })
	talks(t, pa, a, z)
}

// say is peer.say, for a phone without keys.
func (s *shaker) say(src media.Source, n int) {
	if s.seal == nil {
		s.peer.say(src, n)
		return
	}
	s.secretive.say(src, n)
}

// TestNothingPassesBeforeTheHandshake, in either direction, and with another
// certificate than SDP's it brings nothing.
func TestNothingPassesBeforeTheHandshake(t *testing.T) {
	b, pa, _, a, z := shaken(t)
	a.check("our-password-of-22-chars")
	a.answered()
	a.say(tone.Sine(440, 0.3), 5)
	z.say(tone.Sine(1000, 0.3), 5)
	until(t, "both are refused", func() bool { return pa.Drops().Sealed == 5 && pa.Drops().Unsent == 5 })
	if err := a.shake(newIdentity(t), 3*time.Second); err == nil {
		t.Log("the phone believes that it has keys") // it cannot know yet
	}
	z.say(tone.Sine(1000, 0.3), 5)
	until(t, "still nothing is sent", func() bool { return pa.Drops().Unsent >= 10 })
	if k := pa.Save().Agreed; k != (media.Crypto{}) {
		t.Error("keys of a stranger")
	}
	nothingFor(t, "the plain phone", z.rtp)
	b.settle()
	a.seal = nil
	if err := a.shake(a.identity, patience); err != nil {
		t.Fatal(err)
	}
	talks(t, pa, a, z)
}

// TestAForgedHelloComesFirst from the phone's own address: it is followed by the
// phone's, which is served.
func TestAForgedHelloComesFirst(t *testing.T) {
	_, pa, _, a, z := shaken(t)
	a.check("our-password-of-22-chars")
	a.answered()
	forged := make(chan []byte, 1)
	ctx, stop := context.WithCancel(context.Background())
	h := dtls.New(dtls.Config{Identity: newIdentity(t), Peer: a.own, Active: true, Send: func(b []byte) {
		select {
		case forged <- append([]byte(nil), b...):
			stop()
		default:
		}
	}})
	_, _ = h.Run(ctx)
	a.sendRaw(<-forged)
	// What answers the forged one comes to the phone, too, whose first try may
	// choke on it.
	err := a.shake(a.identity, patience)
	for range 2 {
		if err == nil {
			break
		}
		err = a.shake(a.identity, patience)
	}
	if err != nil {
		t.Fatal(err)
	}
	talks(t, pa, a, z)
}

// TestConsent: a peer that makes no more checks is not sent to until its next.
func TestConsent(t *testing.T) {
	b, pa, _, a, z := shaken(t)
	a.check("our-password-of-22-chars")
	a.answered()
	if err := a.shake(a.identity, patience); err != nil {
		t.Fatal(err)
	}
	talks(t, pa, a, z)
	b.clock.advance(ice.Consent + time.Second)
	b.tick(watchTicks + 1)
	b.settle()
	if d := pa.dest.Load(); d.RTP.IsValid() {
		t.Fatalf("still sent to %v", d.RTP)
	}
	a.check("our-password-of-22-chars")
	a.answered()
	talks(t, pa, a, z)
}

// TestWithoutICE only the host that the signalling named makes a handshake.
func TestWithoutICE(t *testing.T) {
	_, pa, _, a, z := shaken(t)
	s := a.stream()
	s.ICE, s.Remote, s.TrustSource = media.ICE{}, addr(a.rtp), true
	pa.Apply(s)
	elsewhere, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.2:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	was := a.rtp
	a.rtp = elsewhere
	if err := a.shake(a.identity, 300*time.Millisecond); err == nil {
		t.Fatal("a handshake from elsewhere")
	}
	a.rtp = was
	if pa.Drops().Foreign == 0 {
		t.Error("it was not counted")
	}
	if err := a.shake(a.identity, patience); err != nil {
		t.Fatal(err)
	}
	talks(t, pa, a, z)
	before := pa.Save()
	s.Direction = media.RecvOnly // a hold, and back: nothing is made anew
	pa.Apply(s)
	s.Direction = media.SendRecv
	pa.Apply(s)
	if pa.Save().Agreed != before.Agreed {
		t.Error("a hold has changed the keys")
	}
	talks(t, pa, a, z)
}

// TestTheEndOfAPort in the midst of a handshake leaves nothing behind.
func TestTheEndOfAPort(t *testing.T) {
	_, pa, _, a, z := shaken(t)
	s := a.stream()
	s.ICE, s.Remote, s.DTLS.Active = media.ICE{}, addr(a.rtp), true
	pa.Apply(s) // it begins, and nobody answers
	b := make([]byte, 2048)
	if err := a.rtp.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	n, err := a.rtp.Read(b)
	if _, ok := dtls.Hello(b[:n]); err != nil || !ok {
		t.Fatalf("%x, %v: want a ClientHello", b[:n], err)
	}
	pa.Close()
	nothingFor(t, "the plain phone", z.rtp)
}
