package rtpio

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/srtp"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// keysOf are the keys of a call as its port sees them.
func keysOf(seed byte) media.Crypto {
	key := func(b byte) media.Key { return srtp.KeyFor(srtp.AES80, bytes.Repeat([]byte{b}, srtp.KeySize)) }
	return media.Crypto{Suite: srtp.AES80, Local: key(seed), Remote: key(seed + 1)}
}

// secretive is a phone that speaks SRTP.
type secretive struct {
	*peer
	keys media.Crypto // as its port sees them
	seal *srtp.Sealer
	open *srtp.Opener
}

func newSecretive(t *testing.T, seed byte, law codec.Law) *secretive {
	t.Helper()
	p := &secretive{peer: newPeer(t, loopback4, law), keys: keysOf(seed)}
	var err error
	if p.seal, err = srtp.NewSealer(p.keys.Suite, p.keys.Remote); err == nil {
		p.open, err = srtp.NewOpener(p.keys.Suite, p.keys.Local)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *secretive) stream() media.Stream {
	s := p.peer.stream()
	s.Crypto = p.keys
	return s
}

// sealed makes the next packet of the phone.
func (p *secretive) sealed(payload []byte) []byte {
	p.t.Helper()
	b, err := p.seal.RTP(p.packet(payload))
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// say sends n frames of a source.
func (p *secretive) say(s media.Source, n int) {
	p.t.Helper()
	law, _ := codec.LawOf(p.codec.Name)
	var frame [codec.FrameSamples]int16
	for range n {
		s.Read(frame[:])
		b := make([]byte, len(frame))
		law.Encode(b, frame[:])
		p.sendRaw(p.sealed(b))
	}
}

// hear waits for n frames; each must be sealed for the phone.
func (p *secretive) hear(n int) (samples []int16) {
	p.t.Helper()
	law, _ := codec.LawOf(p.codec.Name)
	for range n {
		b := make([]byte, 2048)
		if err := p.rtp.SetReadDeadline(time.Now().Add(patience)); err != nil {
			p.t.Fatal(err)
		}
		size, _, err := p.rtp.ReadFromUDPAddrPort(b)
		if err != nil {
			p.t.Fatal(err)
		}
		plain, err := p.open.RTP(b[:size])
		if err != nil {
			p.t.Fatalf("a packet for the phone: %v", err)
		}
		_, start, end, _ := parse(plain)
		frame := make([]int16, end-start)
		law.Decode(frame, plain[start:end])
		samples = append(samples, frame...)
	}
	return samples
}

// secretCall joins an encrypted phone and a plain one.
func secretCall(t *testing.T, b *bench) (pa, pb *Port, a *secretive, z *peer) {
	t.Helper()
	a, z = newSecretive(t, 1, codec.ALaw), newPeer(t, loopback4, codec.ULaw)
	pa, pb = b.port(t, loopback4, media.Notices{}), b.port(t, loopback4, media.Notices{})
	a.to, z.to = pa.Local(), pb.Local()
	pa.Apply(a.stream())
	pb.Apply(z.stream())
	pa.Hear(pb)
	pb.Hear(pa)
	return pa, pb, a, z
}

func TestEncryptedAndPlain(t *testing.T) {
	b := newBench(t, Config{})
	_, _, a, z := secretCall(t, b)
	a.say(tone.Sine(440, 0.3), 25)
	wantTone(t, "the plain phone", z.hear(25), 440)
	z.say(tone.Sine(1000, 0.3), 25)
	wantTone(t, "the encrypted phone", a.hear(25), 1000)
}

func TestBothEncrypted(t *testing.T) {
	b := newBench(t, Config{})
	a, z := newSecretive(t, 1, codec.ALaw), newSecretive(t, 50, codec.ALaw)
	pa, pb := b.port(t, loopback4, media.Notices{}), b.port(t, loopback4, media.Notices{})
	a.to, z.to = pa.Local(), pb.Local()
	pa.Apply(a.stream())
	pb.Apply(z.stream())
	pa.Hear(pb)
	pb.Hear(pa)
	a.say(tone.Sine(440, 0.3), 25)
	wantTone(t, "one phone", z.hear(25), 440)
	z.say(tone.Sine(1000, 0.3), 25)
	wantTone(t, "the other phone", a.hear(25), 1000)
}

// TestSoundsAreEncrypted: what we make ourselves is sealed as well.
func TestSoundsAreEncrypted(t *testing.T) {
	b := newBench(t, Config{})
	a := newSecretive(t, 1, codec.ALaw)
	p := b.port(t, loopback4, media.Notices{})
	p.Apply(a.stream())
	p.Play(tone.Sine(425, 0.3))
	b.tick(25)
	wantTone(t, "the phone", a.hear(25), 425)
}

// TestBadPacketsEndNothing sends hundreds of forged, plain and repeated
// packets to an encrypted call from its own address: it goes on, and they are
// counted.
func TestBadPacketsEndNothing(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := secretCall(t, b)
	a.say(tone.Sine(440, 0.3), 5)
	z.hear(5)
	again := bytes.Clone(a.sealed(make([]byte, 160)))
	a.sendRaw(again)
	z.receive()
	for i := range uint64(100) {
		forged := bytes.Clone(again)
		forged[3]++
		a.sendRaw(forged)
		a.sendRaw(again)
		plain := a.header
		plain.seq += 100
		open := make([]byte, headerSize+160)
		plain.put(open)
		a.sendRaw(open)
		until(t, "bad packets are counted", func() bool { return pa.Drops().Sealed == 3*(i+1) })
	}
	if q := pa.Quality(); q.Foreign < 300 || q.PacketsIn != 6 {
		t.Errorf("%+v", q)
	}
	a.say(tone.Sine(440, 0.3), 25)
	wantTone(t, "the other phone", z.hear(25), 440)
}

// TestNothingIsLearntFromForgedPackets: a source is the peer only if its
// packets are the peer's.
func TestNothingIsLearntFromForgedPackets(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := secretCall(t, b)
	stranger := newPeer(t, loopback4, codec.ALaw)
	stranger.to = pa.Local()
	stranger.say(tone.Sine(700, 0.3), 50)
	until(t, "the stranger's packets are counted", func() bool { return pa.Drops().Sealed == 50 })
	a.say(tone.Sine(440, 0.3), 25)
	wantTone(t, "the other phone", z.hear(25), 440)
}

// TestKeysThatStayKeepTheirCount: a re-INVITE without new keys does not begin
// the packet indices anew, one with new keys does.
func TestKeysThatStayKeepTheirCount(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := secretCall(t, b)
	a.say(tone.Sine(440, 0.3), 10) // over the end of the sequence numbers
	z.hear(10)
	held := a.stream()
	held.Direction = media.RecvOnly
	pa.Apply(held)
	pa.Apply(a.stream())
	a.say(tone.Sine(440, 0.3), 25)
	wantTone(t, "the other phone", z.hear(25), 440)
	z.say(tone.Sine(1000, 0.3), 25)
	a.hear(25)
	fresh := newSecretive(t, 90, codec.ALaw)
	fresh.rtp, fresh.rtcp, fresh.to = a.rtp, a.rtcp, a.to
	fresh.header = a.header
	pa.Apply(fresh.stream())
	fresh.say(tone.Sine(440, 0.3), 25)
	wantTone(t, "the other phone, after new keys", z.hear(25), 440)
	z.say(tone.Sine(1000, 0.3), 25)
	wantTone(t, "the phone with new keys", fresh.hear(25), 1000)
}

// TestEncryptedCallInAnotherProcess: the phone hears and is heard, though its
// numbers have rolled over and the new process knows the keys alone.
func TestEncryptedCallInAnotherProcess(t *testing.T) {
	b := newBench(t, Config{})
	pa, pb, a, z := secretCall(t, b)
	a.say(tone.Sine(440, 0.3), 20) // over the end of the sequence numbers
	z.hear(20)
	z.say(tone.Sine(1000, 0.3), 20)
	a.hear(20)
	sa, sb := pa.Save(), pb.Save()
	a.say(tone.Sine(440, 0.3), 3) // goes by after the state was saved
	z.hear(3)
	z.say(tone.Sine(1000, 0.3), 3)
	a.hear(3)
	b.Close()
	restored(t, Config{}, b, sa, sb)
	a.say(tone.Sine(440, 0.3), 25)
	wantTone(t, "the plain phone", z.hear(25), 440)
	z.say(tone.Sine(1000, 0.3), 25)
	wantTone(t, "the encrypted phone", a.hear(25), 1000)
}

// TestNewKeysInAnotherProcess: new keys count from nothing in the midst of a
// stream, and the next process must know.
func TestNewKeysInAnotherProcess(t *testing.T) {
	b := newBench(t, Config{})
	pa, pb, a, z := secretCall(t, b)
	a.say(tone.Sine(440, 0.3), 20) // over the end of the sequence numbers
	z.hear(20)
	fresh := newSecretive(t, 90, codec.ALaw)
	fresh.rtp, fresh.rtcp, fresh.to, fresh.header = a.rtp, a.rtcp, a.to, a.header
	pa.Apply(fresh.stream())
	fresh.say(tone.Sine(440, 0.3), 5)
	z.hear(5)
	z.say(tone.Sine(1000, 0.3), 5)
	fresh.hear(5)
	sa, sb := pa.Save(), pb.Save()
	if sa.In.Index != sa.In.Highest&0xFFFF || sa.In.Highest>>16 == 0 {
		t.Fatalf("index %#x of the extended number %#x: this test wants them apart", sa.In.Index, sa.In.Highest)
	}
	b.Close()
	restored(t, Config{}, b, sa, sb)
	fresh.say(tone.Sine(440, 0.3), 25)
	wantTone(t, "the plain phone", z.hear(25), 440)
	z.say(tone.Sine(1000, 0.3), 25)
	wantTone(t, "the phone with new keys", fresh.hear(25), 1000)
}

// TestReportsAreEncrypted: RTCP of an encrypted stream is never in the clear,
// and is not believed if it is.
func TestReportsAreEncrypted(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := secretCall(t, b)
	a.say(tone.Sine(440, 0.3), 5)
	z.hear(5)
	pa.report(b.Pool.clock(), false)
	got := make([]byte, 2048)
	if err := a.rtcp.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	n, err := a.rtcp.Read(got)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := a.open.RTCP(got[:n])
	if err != nil {
		t.Fatalf("the report cannot be opened: %v", err)
	}
	if _, err := rtcp.Unmarshal(plain); err != nil {
		t.Error(err)
	}
	before := pa.Drops().Sealed
	if _, err := a.rtcp.WriteToUDPAddrPort(plain, netip.AddrPortFrom(pa.Local().Addr(), pa.Local().Port()+1)); err != nil {
		t.Fatal(err)
	}
	until(t, "a report in the clear is dropped", func() bool { return pa.Drops().Sealed == before+1 })
}

// TestKeysThatDoNotFit: better no audio than audio in the clear.
func TestKeysThatDoNotFit(t *testing.T) {
	b := newBench(t, Config{})
	a := newSecretive(t, 1, codec.ALaw)
	p := b.port(t, loopback4, media.Notices{})
	s := a.stream()
	s.Crypto.Local = "AAAA"
	p.Apply(s)
	p.Play(tone.Sine(425, 0.3))
	b.tick(5)
	b.settle()
	if d := p.Drops(); d.Unsent == 0 || p.Quality().PacketsOut != 0 {
		t.Errorf("%+v, %+v", d, p.Quality())
	}
}
