package jitter

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const span = 160 // 20 ms at 8 kHz

func packet(i int) Packet {
	return Packet{Seq: uint16(65530 + i), Timestamp: uint32(0xFFFFF000 + i*span), Span: span, Payload: []byte{byte(i)}}
}

// play runs a script in virtual time: each word is one tick of 20 ms that
// brings the packets named ("3,4", "-" for none); what each tick takes is
// written down: the packet's number, L (lost), P (pause), I (idle).
func play(b *Buffer, script string) string {
	var out []string
	for _, word := range strings.Fields(script) {
		for _, n := range strings.Split(word, ",") {
			var i int
			if _, err := fmt.Sscan(n, &i); err == nil {
				b.Put(packet(i))
			}
		}
		piece := b.Take(span)
		switch piece.Kind {
		case Idle:
			out = append(out, "I")
		case Lost:
			out = append(out, "L")
		case Pause:
			out = append(out, "P")
		case Audio:
			out = append(out, fmt.Sprint(piece.Payload[0]))
		}
	}
	return strings.Join(out, " ")
}

func TestScripts(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fixed  bool
		script string
		want   string
	}{
		{name: "in order", script: "0 1 2 3 4", want: "I 0 1 2 3"},
		{name: "the first waits no longer than the delay", script: "0 - - -", want: "I I 0 L"},
		{name: "swapped", script: "0 1 3 2 4 5", want: "I 0 1 2 3 4"},
		{name: "repeated", script: "0 1 1 2,2 3", want: "I 0 1 2 3"},
		{name: "one is lost", script: "0 1 2 4 5 6", want: "I 0 1 2 L 4"},
		{name: "two are lost", script: "0 1 2 5 6 7 8", want: "I 0 1 2 L L 5"},
		{name: "late, and time stands still for it", script: "0 1 - 2 3 4", want: "I 0 1 2 3 4"},
		{name: "later than the delay", script: "0 1 - - 2 3 4", want: "I 0 1 L 2 3 4"},
		{name: "after its time", script: "0 1 3,4 5 6 7 2 8 9", want: "I 0 1 L 3 4 L 5 6"},
		{name: "fixed: late is lost", fixed: true, script: "0 1 - - 2,3,4 5 6", want: "I 0 1 L 3 4 5"},
		{name: "fixed: after its time", fixed: true, script: "0 1 3 4 5 2 6 7", want: "I 0 1 L 3 4 5 6"},
		{name: "the stream ends", script: "0 1 2 - - - - - - - -", want: "I 0 1 2 L L L L L I I"},
		{name: "and begins anew", script: "0 1 - - - - - - - 50 51 52", want: "I 0 1 L L L L L I I 50 51"},
		{name: "all at once", script: "0,1,2,3,4 5 6", want: "0 1 2"},
		{name: "more than may wait", script: "0 1 2,3,4,5,6,7,8,9,10,11,12,13,14 - -", want: "I 0 4 5 6"},
		{name: "another time base", script: "0 1 2 9000 9001 9002", want: "I 0 1 I 40 41"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := New(Config{Clock: 8000, Fixed: tc.fixed})
			if got := play(b, tc.script); got != tc.want {
				t.Errorf("%s\n got %s\nwant %s", tc.script, got, tc.want)
			}
		})
	}
}

// TestPause: a sender that is silent leaves its sequence whole.
func TestPause(t *testing.T) {
	b := New(Config{Clock: 8000})
	play(b, "0 1 2")
	p := packet(10)
	p.Seq = packet(3).Seq
	b.Put(p)
	b.Put(packet(11)) // its number does not matter here
	if got, want := play(b, "- - -"), "2 P P"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestOtherLengths: packets of 30 ms, taken by 20.
func TestOtherLengths(t *testing.T) {
	b := New(Config{Clock: 8000})
	for i := range uint32(4) {
		b.Put(Packet{Seq: uint16(i), Timestamp: 1000 + 240*i, Span: 240, Payload: []byte{byte(i)}})
	}
	for i := range 4 {
		if p := b.Take(160); p.Kind != Audio || p.Span != 240 || p.Payload[0] != byte(i) {
			t.Errorf("piece %d is %+v", i, p)
		}
	}
	b.Put(Packet{Seq: 9, Timestamp: 1000 + 240*4, Payload: []byte{1}})
	if b.n != 0 {
		t.Error("a packet without length was taken")
	}
}

// TestDelayShrinks: once the network is calm again, the delay that a late
// packet has cost goes away.
func TestDelayShrinks(t *testing.T) {
	b := New(Config{Clock: 8000})
	play(b, "0 1 2 - - - - 3,4,5,6,7")
	grown := b.Delay()
	next := 8
	for range 500 {
		play(b, fmt.Sprint(next))
		next++
	}
	if b.Delay() >= grown || b.Delay() > b.min+2*span {
		t.Errorf("delay %d after %d, want at most %d", b.Delay(), grown, b.min+2*span)
	}
	if b.counts.Skipped == 0 {
		t.Error("no packet was left out")
	}
}

// TestLossyLink plays a minute over a network that loses 2 %, repeats 1 % and
// delays by up to 60 ms, so that one in three is overtaken.
func TestLossyLink(t *testing.T) {
	const packets = 3000
	chance := rand.New(rand.NewPCG(1, 2))
	arrive := make([][]int, packets+10)
	lost := 0
	for i := range packets {
		switch x := chance.Float64(); {
		case x < 0.02:
			lost++
			continue
		case x < 0.03:
			arrive[i+chance.IntN(4)] = append(arrive[i+chance.IntN(4)], i)
		}
		tick := i + chance.IntN(4)
		arrive[tick] = append(arrive[tick], i)
	}
	b := New(Config{Clock: 8000})
	last, played := -1, 0
	for _, list := range arrive {
		for _, i := range list {
			p := packet(i)
			p.Payload = []byte{byte(i >> 8), byte(i)}
			b.Put(p)
		}
		p := b.Take(span)
		if p.Kind != Audio {
			continue
		}
		i := int(p.Payload[0])<<8 | int(p.Payload[1])
		if i <= last {
			t.Fatalf("packet %d was played after %d", i, last)
		}
		last = i
		played++
	}
	if b.Delay() > b.max {
		t.Errorf("delay %d, want at most %d", b.Delay(), b.max)
	}
	if missed := packets - lost - played; missed > packets/50 {
		t.Errorf("%d of %d packets that came were not played: %+v", missed, packets-lost, b.Counts())
	}
}

func TestNothingIsAllocated(t *testing.T) {
	b := New(Config{Clock: 8000, Max: time.Second})
	p := packet(0)
	p.Payload = make([]byte, span)
	step := func() {
		p.Seq++
		p.Timestamp += span
		b.Put(p)
		b.Take(span)
	}
	for range 2 * slots {
		step()
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations for a packet", n)
	}
}

func FuzzBuffer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 160, 1, 0, 160, 0, 160}, false)
	f.Fuzz(func(t *testing.T, script []byte, fixed bool) {
		b := New(Config{Clock: 8000, Fixed: fixed})
		for ; len(script) >= 6; script = script[6:] {
			b.Put(Packet{
				Seq: uint16(script[0]), Timestamp: uint32(script[1])<<24 | uint32(script[2])<<8 | uint32(script[3]),
				Span: uint32(script[4]), Payload: script[:1],
			})
			if script[5]&1 == 1 {
				if p := b.Take(span); p.Span == 0 || p.Kind != Audio && p.Span > span {
					t.Fatalf("piece %+v", p)
				}
			}
			if b.n > slots || b.n < 0 {
				t.Fatalf("%d packets", b.n)
			}
		}
	})
}
