package rtpio

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// listener writes down what it hears.
type listener struct {
	mu    sync.Mutex
	sides [2][]tappedPacket
}

type tappedPacket struct {
	format    media.Format
	timestamp uint32
	samples   []int16
}

func (l *listener) Audio(side media.Side, f media.Format, timestamp uint32, _ time.Duration, payload []byte) {
	h := tappedPacket{format: f, timestamp: timestamp, samples: make([]int16, len(payload))}
	law := codec.ALaw
	if f == media.FormatULaw {
		law = codec.ULaw
	}
	law.Decode(h.samples, payload)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sides[side] = append(l.sides[side], h)
}

func (l *listener) count(side media.Side) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sides[side])
}

func (l *listener) samples(side media.Side) (all []int16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.sides[side] {
		all = append(all, h.samples...)
	}
	return all
}

func TestTapHearsBothSides(t *testing.T) {
	b := newBench(t, Config{})
	pa, _, a, z := twoPhones(t, b, loopback4, codec.ALaw, codec.ULaw)
	var l listener
	pa.Tap(&l)
	a.say(tone.Sine(440, 0.5), 25)
	z.say(tone.Sine(1000, 0.5), 25)
	wantTone(t, "the phone hears", a.hear(25), 1000)
	until(t, "both sides are tapped", func() bool { return l.count(media.Said) == 25 && l.count(media.Heard) == 25 })
	wantTone(t, "said", l.samples(media.Said), 440)
	wantTone(t, "heard", l.samples(media.Heard), 1000)
	for side, packets := range l.sides {
		for i, h := range packets {
			if h.format != media.FormatALaw || i > 0 && h.timestamp != packets[i-1].timestamp+160 {
				t.Fatalf("side %d, packet %d: format %d, timestamp %d", side, i, h.format, h.timestamp)
			}
		}
	}
	pa.Play(tone.Sine(2000, 0.5))
	b.tick(10)
	b.settle()
	pa.Play(nil)
	if got := l.samples(media.Heard)[25*160:]; len(got) == 0 {
		t.Error("what is played is not heard")
	} else {
		wantTone(t, "played", got, 2000)
	}
	n := l.count(media.Heard)
	z.header.payloadType = codec.PayloadTelephoneEvent
	z.send([]byte{5, 10, 0, 160}) // a key press is no audio
	z.header.payloadType = codec.PayloadPCMU
	until(t, "the key press is through", func() bool { return pa.Quality().PacketsOut == uint64(n)+1 })
	pa.Tap(nil)
	z.say(tone.Silence(), 1)
	until(t, "another frame is through", func() bool { return pa.Quality().PacketsOut == uint64(n)+2 })
	if got := l.count(media.Heard); got != n {
		t.Errorf("%d packets heard, want %d", got, n)
	}
}

// counter is a tap that allocates nothing.
type counter struct{ packets [2]int }

func (c *counter) Audio(side media.Side, _ media.Format, _ uint32, _ time.Duration, _ []byte) {
	c.packets[side]++
}

func TestTapCostsNoAllocation(t *testing.T) {
	h := newHandler(t, newBench(t, Config{}), codec.ULaw)
	var said, heard counter
	h.port.Tap(&said)
	h.out.Tap(&heard)
	h.once()
	if n := testing.AllocsPerRun(500, h.once); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
	if got := []int{said.packets[media.Said], heard.packets[media.Heard]}; !slices.Equal(got, []int{502, 502}) {
		t.Errorf("tapped %v packets, want 502 on each side", got)
	}
}
