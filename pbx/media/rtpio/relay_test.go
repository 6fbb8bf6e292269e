package rtpio

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

func TestRelayBothWays(t *testing.T) {
	tests := []struct {
		name       string
		host       netip.Addr
		lawA, lawB codec.Law
	}{
		{"IPv4, A-law on both sides", loopback4, codec.ALaw, codec.ALaw},
		{"IPv4, A-law and µ-law", loopback4, codec.ALaw, codec.ULaw},
		{"IPv6, µ-law and A-law", loopback6, codec.ULaw, codec.ALaw},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, Config{})
			_, _, a, z := twoPhones(t, b, tt.host, tt.lawA, tt.lawB)
			a.say(tone.Sine(440, 0.5), 25)
			z.say(tone.Sine(1000, 0.5), 25)
			wantTone(t, "the second phone hears", z.hear(25), 440)
			wantTone(t, "the first phone hears", a.hear(25), 1000)
		})
	}
}

func TestSameLawIsPassedOnUnchanged(t *testing.T) {
	b := newBench(t, Config{})
	_, _, a, z := twoPhones(t, b, loopback4, codec.ULaw, codec.ULaw)
	payload := make([]byte, 160)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	a.send(payload)
	if r := z.receive(); !bytes.Equal(r.payload, payload) {
		t.Errorf("payload changed on the way:\n%x\n%x", r.payload, payload)
	}
}

func TestLossStaysVisible(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	frame := bytes.Repeat([]byte{0xD5}, 160)
	a.send(frame)
	first := z.receive()
	a.packet(frame) // is lost
	a.packet(frame)
	a.send(frame)
	second := z.receive()
	if got := second.seq - first.seq; got != 3 {
		t.Errorf("the sequence number rose by %d, want 3", got)
	}
	if got := second.timestamp - first.timestamp; got != 480 {
		t.Errorf("the timestamp rose by %d, want 480", got)
	}
	if q := pa.Quality(); q.LostIn != 2 || q.PacketsIn != 2 {
		t.Errorf("quality %+v: want 2 packets in and 2 lost", q)
	}
}

func TestExtensionAndPaddingAreTakenOff(t *testing.T) {
	b := newBench(t, Config{})
	_, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ULaw)
	payload := bytes.Repeat([]byte{0xD5}, 160)
	plain := a.packet(payload)
	long := append([]byte{}, plain[:headerSize]...)
	long[0] = 2<<6 | 0x20 | 0x10 | 1
	long = append(long, 1, 2, 3, 4)                     // a contributing source
	long = append(long, 0xBE, 0xDE, 0, 1, 9, 9, 9, 9)   // an extension of one word
	long = append(append(long, payload...), 0, 0, 0, 4) // padding
	a.sendRaw(long)
	r := z.receive()
	if want := bytes.Repeat([]byte{0xFE}, 160); !bytes.Equal(r.payload, want) {
		t.Errorf("payload %x, want the smallest value of µ-law", r.payload)
	}
}

func TestSwitchesAreContinuous(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	other := newPeer(t, loopback4, codec.ULaw)
	po := b.port(t, loopback4, media.Notices{})
	other.to = po.Local()
	po.Apply(other.stream())

	z.say(tone.Silence(), 1) // the pool learns where everyone is
	other.say(tone.Silence(), 1)
	a.receive()

	pa.Play(tone.Sine(425, 0.4))
	b.tick(10)
	last := a.receive()
	step := func(what string, marker bool) {
		t.Helper()
		r := a.receive()
		if r.ssrc != last.ssrc || r.seq != last.seq+1 {
			t.Fatalf("%s: SSRC %x seq %d after SSRC %x seq %d", what, r.ssrc, r.seq, last.ssrc, last.seq)
		}
		if d := r.timestamp - last.timestamp; d < 160 || d > 480 {
			t.Fatalf("%s: the timestamp rose by %d, want about 160", what, d)
		}
		if r.marker != marker {
			t.Fatalf("%s: marker %v, want %v", what, r.marker, marker)
		}
		last = r
	}
	for range 9 {
		step("while ringback plays", false)
	}
	b.settle()
	pa.Play(nil)
	b.clock.advance(frameTime)
	z.say(tone.Sine(440, 0.4), 1)
	step("from ringback to the desk phone", true)
	z.say(tone.Sine(440, 0.4), 1)
	step("while the desk phone talks", false)
	po.Hear(pa)
	b.clock.advance(frameTime)
	other.say(tone.Sine(440, 0.4), 1)
	step("from the desk phone to the mobile", true)
	z.say(tone.Sine(440, 0.4), 3) // is not heard any more
	other.say(tone.Sine(440, 0.4), 1)
	step("while the mobile talks", false)
	po.Hear(nil)
	b.clock.advance(frameTime)
	z.say(tone.Sine(440, 0.4), 1)
	if r := a.receive(); r.ssrc != last.ssrc || r.seq != last.seq+1 || !r.marker {
		t.Errorf("back to the desk phone: %+v after %+v", r.header, last.header)
	}
}

func TestNewSSRCOfThePeerIsOneStreamForTheOther(t *testing.T) {
	b := newBench(t, Config{})
	_, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	a.say(tone.Silence(), 2)
	z.receive()
	last := z.receive()
	b.clock.advance(time.Second) // a re-INVITE takes a moment
	a.header = header{payloadType: a.header.payloadType, ssrc: 77, seq: 9, timestamp: 1}
	a.say(tone.Silence(), 1)
	r := z.receive()
	if r.ssrc != last.ssrc || r.seq != last.seq+1 || !r.marker {
		t.Errorf("after the new SSRC: %+v, before: %+v", r.header, last.header)
	}
	if got := r.timestamp - last.timestamp; got != 8000 {
		t.Errorf("the timestamp rose by %d in a second, want 8000", got)
	}
}

func TestDirections(t *testing.T) {
	frame := bytes.Repeat([]byte{0xD5}, 160)
	b := newBench(t, Config{})
	pa, pb, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	a.send(frame)
	z.send(frame)
	z.receive()
	a.receive()
	hold := z.stream()
	hold.Direction = media.RecvOnly // the second phone wants to hear nothing
	pb.Apply(hold)
	a.send(frame)
	z.send(frame)
	a.receive()
	a.sendRaw([]byte{1}) // once this is counted, the packet before it is done with
	until(t, "the packets of the first phone are handled", func() bool { return pa.Drops().Malformed == 1 })
	hold.Direction = media.SendOnly // now it sends nothing that we would use
	pb.Apply(hold)
	z.send(frame)
	until(t, "four packets came in", func() bool { return pa.Quality().PacketsIn == 2 && pb.Quality().PacketsIn == 3 })
	if got := pb.Quality().PacketsOut; got != 1 {
		t.Errorf("%d packets to the phone on hold, want 1 from before", got)
	}
	if got := pa.Quality().PacketsOut; got != 2 {
		t.Errorf("%d packets to the first phone, want 2", got)
	}
}

func TestComfortNoiseIsSwallowedWithoutAGap(t *testing.T) {
	b := newBench(t, Config{})
	_, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	frame := bytes.Repeat([]byte{0xD5}, 160)
	a.send(frame)
	first := z.receive()
	a.header.payloadType = codec.PayloadComfortNoise
	a.send([]byte{40})
	a.header.payloadType = codec.PayloadPCMA
	a.send(frame)
	if r := z.receive(); r.seq != first.seq+1 {
		t.Errorf("sequence %d after %d: the noise left a gap", r.seq, first.seq)
	}
}

func TestMalformedIsCounted(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ALaw)
	good := a.packet(bytes.Repeat([]byte{0xD5}, 160))
	bad := [][]byte{
		{}, {0x80}, good[:11], // cut off
		append([]byte{0x40}, good[1:]...),                          // version 1
		append([]byte{0x8F}, good[1:30]...),                        // 15 contributing sources in 30 octets
		append([]byte{0x90, 8}, bytes.Repeat([]byte{0xFF}, 30)...), // an extension of 65535 words
		append([]byte{0xA0, 8}, bytes.Repeat([]byte{0xFF}, 30)...), // 255 octets of padding
		append([]byte{0xA0, 8}, make([]byte, 30)...),               // no padding
		append([]byte{0x80, 8}, make([]byte, maxPacket)...),        // too long
	}
	for _, p := range bad {
		a.sendRaw(p)
	}
	a.sendRaw(good)
	z.receive()
	if d := pa.Drops(); d.Malformed != uint64(len(bad)) {
		t.Errorf("drops %+v: want %d malformed", d, len(bad))
	}
	a.header.payloadType = 111
	a.send([]byte{1})
	until(t, "the unknown payload type is counted", func() bool { return pa.Drops().Unknown == 1 })
	if q := pa.Quality(); q.Malformed != uint64(len(bad)) || q.Codec != codec.PCMA {
		t.Errorf("quality %+v", q)
	}
}

func TestNoAllocationPerPacket(t *testing.T) {
	tests := []struct {
		name string
		lawB codec.Law
		kind kind
	}{
		{"same law", codec.ALaw, audioKind},
		{"transcoded", codec.ULaw, audioKind},
		{"key press", codec.ALaw, eventKind},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, Config{})
			h := newHandler(t, b, tt.lawB)
			if tt.kind == eventKind {
				h.asEvent()
			}
			h.once() // learns
			if n := testing.AllocsPerRun(500, h.once); n != 0 {
				t.Errorf("%v allocations per packet", n)
			}
			if d := h.port.Drops(); d.Total() != 0 || h.out.Quality().PacketsOut < 500 {
				t.Errorf("the packets were not relayed: %+v, %d sent", d, h.out.Quality().PacketsOut)
			}
		})
	}
}

// handler feeds packets to a port's handle function without a socket between;
// they leave through a real one.
type handler struct {
	bench  *bench
	port   *Port
	out    *Port
	peer   *peer
	packet []byte
	buf    []byte
	from   netip.AddrPort
	event  bool
}

func newHandler(t testing.TB, b *bench, lawB codec.Law) *handler {
	pa, pb, a, _ := twoPhones(t, b, loopback4, codec.ALaw, lawB)
	h := &handler{bench: b, port: pa, out: pb, peer: a, packet: a.packet(bytes.Repeat([]byte{0xD5}, 160)), from: addr(a.rtp)}
	h.buf = make([]byte, len(h.packet))
	return h
}

func (h *handler) asEvent() {
	h.event = true
	h.peer.header.payloadType = codec.PayloadTelephoneEvent
	h.packet = h.peer.packet([]byte{5, 10, 0, 160})
	h.buf = h.buf[:len(h.packet)]
}

func (h *handler) once() {
	h.bench.clock.advance(frameTime)
	copy(h.buf, h.packet)
	h.peer.header.put(h.buf)
	h.peer.header.seq++
	if !h.event {
		h.peer.header.timestamp += 160
	}
	h.port.handle(h.buf, h.from, h.bench.clock.ns.Load()+int64(time.Second))
}
