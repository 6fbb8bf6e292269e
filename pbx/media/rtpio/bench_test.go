package rtpio

import (
	"testing"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// BenchmarkPacket is the cost of one packet from behind the read to behind the
// write, beside a bare write of the same packet.
func BenchmarkPacket(b *testing.B) {
	b.Run("bare-write", func(b *testing.B) {
		h := newHandler(b, newBench(b, Config{}), codec.ALaw)
		to := h.out.dest.Load().To
		b.ReportAllocs()
		for b.Loop() {
			if err := h.out.rtp.Send(h.packet, &to); err != nil {
				b.Fatal(err)
			}
		}
	})
	run := func(name string, law codec.Law, event bool) {
		b.Run(name, func(b *testing.B) {
			h := newHandler(b, newBench(b, Config{}), law)
			if event {
				h.asEvent()
			}
			b.ReportAllocs()
			for b.Loop() {
				h.once()
			}
			if d := h.port.Drops(); d.Total() > 0 {
				b.Fatalf("not every packet was relayed: %+v", d)
			}
		})
	}
	run("same-law", codec.ALaw, false)
	run("transcoded", codec.ULaw, false)
	run("key-press", codec.ALaw, true)
}

// BenchmarkRefused is the cost of a packet that an attacker sends.
func BenchmarkRefused(b *testing.B) {
	h := newHandler(b, newBench(b, Config{}), codec.ALaw)
	h.once()
	from := addr(newPeer(b, elsewhere, codec.ALaw).rtp)
	b.ReportAllocs()
	for b.Loop() {
		h.port.handle(h.buf, from, h.bench.Pool.clock())
	}
}

// BenchmarkPlayedFrame is the cost of a frame of ringback.
func BenchmarkPlayedFrame(b *testing.B) {
	bench := newBench(b, Config{})
	p, a := bench.port(b, loopback4, media.Notices{}), newPeer(b, loopback4, codec.ALaw)
	p.Apply(a.stream())
	p.Play(tone.Ringback("KR"))
	b.ReportAllocs()
	for b.Loop() {
		p.playFrame(bench.Pool.clock())
	}
}
