package convert

import (
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/voice"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func named(t testing.TB, name string) media.Codec {
	t.Helper()
	c, ok := codec.Named(name)
	if !ok {
		t.Fatal(name)
	}
	return c
}

// tone is a source of one tone.
type tone struct {
	rate, hertz float64
	at, left    int
}

func (s *tone) Read(frame []int16) bool {
	if s.left == 0 {
		return false
	}
	s.left--
	for i := range frame {
		frame[i] = int16(8000 * math.Sin(2*math.Pi*s.hertz*float64(s.at)/s.rate))
		s.at++
	}
	return true
}

// share is the part of a signal's power that a tone has, 0..1.
func share(y []int16, hertz float64, rate int) float64 {
	var s, c, all float64
	for i, v := range y {
		si, co := math.Sincos(2 * math.Pi * hertz * float64(i) / float64(rate))
		s, c, all = s+float64(v)*si, c+float64(v)*co, all+float64(v)*float64(v)
	}
	if all == 0 {
		return 0
	}
	return 2 * (s*s + c*c) / (all * float64(len(y)))
}

// listener decodes what comes out.
type listener struct {
	ear   *voice.Ear
	p     voice.Packet
	heard []int16
}

func newListener(t *testing.T, c media.Codec) *listener {
	t.Helper()
	ear, err := voice.NewEar(c, voice.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	return &listener{ear: ear}
}

func (l *listener) hear(payload []byte, span uint32) {
	l.p.Seq++
	l.p.Timestamp += span
	if payload != nil {
		l.p.Payload = payload
		l.ear.Put(&l.p)
	}
	frame := make([]int16, l.ear.Rate()/50)
	l.ear.Hear(frame)
	l.heard = append(l.heard, frame...)
}

func TestEveryPairCarriesTones(t *testing.T) {
	names := []string{codec.PCMA, codec.PCMU, codec.G722, codec.Opus}
	for _, from := range names {
		for _, to := range names {
			t.Run(fmt.Sprint(from, " to ", to), func(t *testing.T) {
				in, out := named(t, from), named(t, to)
				mouth, err := voice.NewMouth(in)
				if err != nil {
					t.Fatal(err)
				}
				line, err := NewLine(in, out)
				if err != nil {
					t.Fatal(err)
				}
				l := newListener(t, out)
				src := tone{rate: float64(mouth.Rate()), hertz: 1000, left: 60}
				frame, p := make([]int16, mouth.Rate()/50), voice.Packet{}
				for src.Read(frame) {
					p.Seq++
					p.Timestamp += mouth.Span()
					p.Payload = mouth.Say(frame)
					line.Put(&p)
					l.hear(line.Frame(), line.Span())
				}
				if got := share(l.heard[len(l.heard)/2:], 1000, l.ear.Rate()); got < 0.95 {
					t.Errorf("%.3f of the power is in the tone", got)
				}
				for range 20 {
					line.Frame()
				}
				if line.Frame() != nil {
					t.Error("something is said long after the last packet")
				}
			})
		}
	}
}

func TestPlayer(t *testing.T) {
	for _, name := range []string{codec.G722, codec.Opus} {
		c := named(t, name)
		p, err := NewPlayer(&tone{rate: 8000, hertz: 425, left: 50}, c)
		if err != nil {
			t.Fatal(err)
		}
		l := newListener(t, c)
		frames := 0
		for payload, more := p.Frame(); more; payload, more = p.Frame() {
			l.hear(payload, p.Span())
			frames++
		}
		if got := share(l.heard[len(l.heard)/2:], 425, l.ear.Rate()); got < 0.95 || frames != 50 {
			t.Errorf("%s: %d frames, %.3f of the power is in the tone", name, frames, got)
		}
	}
}

func TestUnknownCodec(t *testing.T) {
	g729, pcma := media.Codec{Name: "G729", ClockRate: 8000}, named(t, codec.PCMA)
	if _, err := NewLine(g729, pcma); err == nil {
		t.Error("G729 is heard")
	}
	if _, err := NewLine(pcma, g729); err == nil {
		t.Error("G729 is said")
	}
	if _, err := NewPlayer(nil, g729); err == nil {
		t.Error("G729 is played")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	line, err := NewLine(named(t, codec.PCMA), named(t, codec.Opus))
	if err != nil {
		t.Fatal(err)
	}
	p := voice.Packet{Payload: make([]byte, 160)}
	step := func() {
		p.Seq++
		p.Timestamp += 160
		line.Put(&p)
		line.Frame()
	}
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations in a frame", n)
	}
}

// job counts its runs and ends after some.
type job struct {
	runs atomic.Int32
	left int
	done chan struct{}
}

func (j *job) Run() bool {
	j.runs.Add(1)
	j.left--
	if j.left == 0 {
		close(j.done)
	}
	return j.left != 0
}

func TestCrew(t *testing.T) {
	ticks := make(chan time.Time)
	stopped := make(chan struct{}, 10)
	c := NewCrew(2, func() (<-chan time.Time, func()) { return ticks, func() { stopped <- struct{}{} } })
	defer c.Close()
	var jobs []*job
	for i := range 5 {
		j := &job{left: 3 + i, done: make(chan struct{})}
		jobs = append(jobs, j)
		if !c.Add(j) {
			t.Fatal("a job was not taken")
		}
	}
	gone := make(chan struct{})
	go func() { // two workers take turns at one channel: give until nobody takes
		defer close(gone)
		for range 2 {
			for open := true; open; {
				select {
				case ticks <- time.Time{}:
				case <-stopped:
					open = false
				}
			}
		}
	}()
	<-gone
	for i, j := range jobs {
		<-j.done
		if n := j.runs.Load(); n != int32(3+i) {
			t.Errorf("job %d ran %d times, want %d", i, n, 3+i)
		}
	}
	if n := c.Jobs(); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
}

// TestCrewCloses: jobs that would go on for ever end with the crew.
func TestCrewCloses(t *testing.T) {
	c := NewCrew(2, nil)
	for range 4 {
		c.Add(&job{left: -1})
	}
	if n := c.Jobs(); n != 4 {
		t.Errorf("%d jobs, want 4", n)
	}
	c.Close()
	c.Close()
	if c.Add(&job{left: 1}) {
		t.Error("a closed crew took a job")
	}
}

func BenchmarkLine(b *testing.B) {
	for _, way := range [][2]string{{codec.PCMA, codec.G722}, {codec.G722, codec.PCMA}, {codec.PCMA, codec.Opus}, {codec.Opus, codec.PCMA}} {
		b.Run(way[0]+" to "+way[1], func(b *testing.B) {
			in, out := named(b, way[0]), named(b, way[1])
			mouth, err := voice.NewMouth(in)
			if err != nil {
				b.Fatal(err)
			}
			line, err := NewLine(in, out)
			if err != nil {
				b.Fatal(err)
			}
			frame := make([]int16, mouth.Rate()/50)
			(&tone{rate: float64(mouth.Rate()), hertz: 1000, left: 1}).Read(frame)
			payload := mouth.Say(frame)
			p := voice.Packet{Payload: payload}
			for b.Loop() {
				p.Seq++
				p.Timestamp += mouth.Span()
				line.Put(&p)
				line.Frame()
			}
		})
	}
}
