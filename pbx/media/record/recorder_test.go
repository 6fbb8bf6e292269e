package record

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/g722"
	"github.com/dipcast/dipcast/pbx/media/opus"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

func TestEachSideIsOnItsChannel(t *testing.T) {
	b := newBench(t, Options{}, nil)
	tap := b.begin()
	b.peer(tap, media.Said, media.FormatALaw, 600)
	b.peer(tap, media.Heard, media.FormatULaw, 1100)
	b.run(10 * time.Second)
	left, right, rec := b.stop()
	if want := samples(10 * time.Second); int64(len(left)) != want || rec.Duration != 10*time.Second || rec.Missing != 0 || !rec.Started.Equal(began) {
		t.Errorf("%d samples, want %d; %+v", len(left), want, rec)
	}
	wantTone(t, "left", left, 600, 0.99)
	wantTone(t, "right", right, 1100, 0.99)
	if f, err := b.Open(rec.File); err != nil || f.Close() != nil {
		t.Errorf("it cannot be opened: %v", err)
	}
	wantFile(t, filepath.Join(b.dir, rec.File), 0o600)
	wantFile(t, filepath.Join(b.dir, "2026"), 0o700)
	wantFile(t, filepath.Join(b.dir, "2026", "11"), 0o700)
	if s := b.Stats(); s.Running != 0 || s.Lost+s.Late+s.Undecoded != 0 || s.Failing != 0 || s.Octets < 160_000 {
		t.Errorf("%+v", s)
	}
	if live := b.memory.live.Load(); live != 0 {
		t.Errorf("%d chunks are not given back", live)
	}
}

func wantFile(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if i, err := os.Stat(path); err != nil || i.Mode().Perm() != mode {
		t.Errorf("%s: %v, %v: want mode %o", path, i, err, mode)
	}
}

// A link that loses, delays and reorders leaves holes where packets are lost
// and nothing anywhere else: what is left of the tone is in phase.
func TestLossAndReordering(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	b := newBench(t, Options{}, nil)
	tap := b.begin()
	p := b.peer(tap, media.Said, media.FormatALaw, 600)
	lost := 0
	p.delay = func(int) time.Duration {
		if rng.Float64() < 0.05 {
			lost++
			return -1
		}
		return time.Duration(rng.IntN(100)) * time.Millisecond // up to five packets out of order
	}
	b.run(20 * time.Second)
	left, right, _ := b.stop()
	wantSilence(t, "right", right)
	quiet := 0
	for i := 0; i+160 <= len(left); i += 160 {
		if s := left[i : i+160]; tone.Share(s, 600) < 0.5 {
			quiet++
		}
	}
	if quiet < lost-10 || quiet > lost+15 {
		t.Errorf("%d frames are silent, %d were lost", quiet, lost)
	}
	// A packet out of place would turn the phase: the energy of a second would
	// not add up at the frequency.
	wantTone(t, "a second of the middle", part(left, 10*time.Second, 11*time.Second), 600, 0.85)
}

// What is heard comes from the pacer and from other legs in turn; a peer may
// begin a stream with any timestamp, and fall silent.
func TestSourcesThatChange(t *testing.T) {
	b := newBench(t, Options{}, nil)
	tap := b.begin()
	b.run(500 * time.Millisecond) // nothing yet
	first := b.peer(tap, media.Heard, media.FormatALaw, 600)
	b.run(3 * time.Second)
	b.peers = nil
	b.run(2 * time.Second) // nobody
	second := b.peer(tap, media.Heard, media.FormatULaw, 1100)
	second.stamp = 0x40000000
	b.run(3 * time.Second)
	first.next = time.Duration(b.since.Load())
	b.peers = []*peer{first} // goes on with its timestamp as if no time had passed
	b.run(3 * time.Second)
	left, right, rec := b.stop()
	wantSilence(t, "left", left)
	wantSilence(t, "before", part(right, 0, 490*time.Millisecond))
	wantTone(t, "first", part(right, 510*time.Millisecond, 3490*time.Millisecond), 600, 0.99)
	wantSilence(t, "between", part(right, 3540*time.Millisecond, 5490*time.Millisecond))
	wantTone(t, "second", part(right, 5510*time.Millisecond, 8490*time.Millisecond), 1100, 0.99)
	wantTone(t, "first again", part(right, 8700*time.Millisecond, 11490*time.Millisecond), 600, 0.99)
	if rec.Duration != 11500*time.Millisecond {
		t.Errorf("%v", rec.Duration)
	}
}

// A phone that is silent for less than a jump and goes on with its timestamp
// loses a few packets and is then where the clock is.
func TestTimestampThatStandsStill(t *testing.T) {
	b := newBench(t, Options{}, nil)
	tap := b.begin()
	p := b.peer(tap, media.Said, media.FormatALaw, 600)
	b.run(2 * time.Second)
	b.peers = nil
	b.run(2 * time.Second)
	b.peers, p.next = []*peer{p}, 4*time.Second
	b.run(2 * time.Second)
	left, _, _ := b.stop()
	wantSilence(t, "the pause", part(left, 2050*time.Millisecond, 3950*time.Millisecond))
	wantTone(t, "after", part(left, 4200*time.Millisecond, 6*time.Second), 600, 0.99)
}

// A burst that the network held back for a while belongs where it was sent.
func TestBurst(t *testing.T) {
	b := newBench(t, Options{}, nil)
	tap := b.begin()
	p := b.peer(tap, media.Said, media.FormatALaw, 600)
	p.delay = func(n int) time.Duration {
		if n >= 100 && n < 115 {
			return time.Duration(115-n) * frame
		}
		return 0
	}
	b.run(5 * time.Second)
	left, _, _ := b.stop()
	wantTone(t, "all of it", left, 600, 0.99)
}

// Over hours a sender's clock is off by more than a packet. Both channels stay
// with the wall clock within 40 ms.
func TestClocksThatDrift(t *testing.T) {
	const length = 4 * time.Minute
	for name, every := range map[string]time.Duration{
		"fast": frame - 20*time.Microsecond, // 1000 ppm: what a phone needs an hour or two for
		"slow": frame + 20*time.Microsecond,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{}, nil)
			tap := b.begin()
			p := b.peer(tap, media.Said, media.FormatALaw, 600)
			p.every = every
			b.run(length)
			// A beep at a moment that the clock knows.
			b.peers = nil
			b.run(time.Second)
			p.source, p.next = tone.Sine(1100, 0.5), time.Duration(b.since.Load())
			p.stamp += Rate // the phone's clock went on
			b.peers = []*peer{p}
			b.run(time.Second)
			left, _, rec := b.stop()
			if want := length + 2*time.Second; rec.Duration != want || int64(len(left)) != samples(want) {
				t.Errorf("%v, %d samples", rec.Duration, len(left))
			}
			at := 0
			for i, v := range left {
				if i > int(samples(length+500*time.Millisecond)) && (v > 100 || v < -100) {
					at = i
					break
				}
			}
			if off := span(int64(at)) - (length + time.Second); off < -45*time.Millisecond || off > 45*time.Millisecond {
				t.Errorf("the beep is off by %v", off)
			}
		})
	}
}

func TestKilledAndGoneOnWith(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, Options{Dir: dir}, nil)
	tap := b.begin()
	b.peer(tap, media.Said, media.FormatALaw, 600)
	b.run(10 * time.Second)
	// kill -9: what was written at this moment is what there is.
	path := filepath.Join(dir, "2026/11/call-a.wav")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	if err := os.WriteFile(path, append(whole, 1, 2, 3), 0o600); err != nil { // a torn write behind the header's sizes
		t.Fatal(err)
	}
	if had := span(int64(len(whole)-headerSize) / frameSize); had < 8500*time.Millisecond {
		t.Errorf("only %v of 10 s had been written", had)
	}

	again := newBench(t, Options{Dir: dir}, nil)
	again.since.Store(int64(13 * time.Second))
	tap, name := again.Start(id, began)
	if tap == nil || name != "2026/11/call-a.wav" {
		t.Fatalf("%v %q", tap, name)
	}
	again.peer(tap, media.Said, media.FormatALaw, 1100)
	again.run(7 * time.Second)
	left, _, rec := again.stop()
	if rec.Duration != 20*time.Second || int64(len(left)) != samples(rec.Duration) || !rec.Started.Equal(began) {
		t.Errorf("%+v, %d samples", rec, len(left))
	}
	wantTone(t, "before", part(left, 0, 8500*time.Millisecond), 600, 0.99)
	wantSilence(t, "nobody", part(left, 10*time.Second+frame, 13*time.Second-frame))
	wantTone(t, "after", part(left, 13*time.Second+frame, 20*time.Second-frame), 1100, 0.99)
}

// An orderly end loses nothing: what is there is written at once.
func TestClosedAndGoneOnWith(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, Options{Dir: dir}, nil)
	b.peer(b.begin(), media.Said, media.FormatALaw, 600)
	b.run(5 * time.Second)
	b.Close()
	b.Close()
	left, _ := readFile(t, filepath.Join(dir, "2026/11/call-a.wav"))
	if int64(len(left)) != samples(5*time.Second) {
		t.Errorf("%d samples", len(left))
	}
	wantTone(t, "all", left, 600, 0.99)
	if tap, _ := b.Start("other", began); tap != nil {
		t.Error("a closed recorder records")
	}
}

func TestForeignFileIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "2026/11/call-a.wav")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	foreign := bytes.Repeat([]byte("not ours"), 100)
	if err := os.WriteFile(path, foreign, 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, Options{Dir: dir}, nil)
	b.begin()
	b.run(3 * time.Second)
	rec := b.Stop(id, began.Add(3*time.Second))
	b.run(2 * time.Second)
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, foreign) {
		t.Errorf("the file was changed (%v)", err)
	}
	if rec.Missing < 1500*time.Millisecond {
		t.Errorf("%+v: nothing of it is missing", rec)
	}
}

func TestFullDisk(t *testing.T) {
	var log bytes.Buffer
	disk := newQuota(headerSize + int(samples(4*time.Second))*frameSize + 7)
	b := newBench(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, disk)
	tap := b.begin()
	b.peer(tap, media.Said, media.FormatALaw, 600)
	b.run(8 * time.Second)
	b.ticks <- time.Time{}
	if s := b.Stats(); s.Failing != 1 || s.Missing < 2*time.Second {
		t.Errorf("the disk is full: %+v", s)
	}
	if live := b.memory.live.Load(); live > 8 {
		t.Errorf("%d chunks wait for a disk that is full", live)
	}
	disk.grow(1 << 20)
	b.run(6 * time.Second)
	b.ticks <- time.Time{}
	if s := b.Stats(); s.Failing != 0 {
		t.Errorf("there is room again: %+v", s)
	}
	rec := b.Stop(id, b.opts.Now())
	b.run(2 * time.Second)
	path := filepath.Join(t.TempDir(), "copy.wav")
	if err := os.WriteFile(path, disk.octets(rec.File), 0o600); err != nil {
		t.Fatal(err)
	}
	left, _ := readFile(t, path)
	if int64(len(left)) != samples(14*time.Second) || rec.Duration != 14*time.Second || rec.Missing < 2*time.Second || rec.Missing > 6*time.Second {
		t.Errorf("%d samples, %+v", len(left), rec)
	}
	wantTone(t, "before", part(left, 0, 3500*time.Millisecond), 600, 0.99)
	wantSilence(t, "full", part(left, 4100*time.Millisecond, 6*time.Second))
	wantTone(t, "after", part(left, 9500*time.Millisecond, 14*time.Second), 600, 0.99)
	b.Close()
	if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "recorded again") {
		t.Errorf("the log says:\n%s", log.String())
	}
}

// The last of the disk is the database's.
func TestReserveIsLeft(t *testing.T) {
	disk := newQuota(1 << 30)
	disk.setRoom(reserve - 1)
	b := newBench(t, Options{}, disk)
	b.peer(b.begin(), media.Said, media.FormatALaw, 600)
	b.run(3 * time.Second)
	b.ticks <- time.Time{}
	if s := b.Stats(); s.Octets != 0 || s.Failing != 1 {
		t.Errorf("%+v", s)
	}
	b.Stop(id, b.opts.Now())
	b.run(2 * time.Second)
	if s := b.Stats(); s.Failing != 0 || s.Running != 0 {
		t.Errorf("the recording is over: %+v", s)
	}
	b2 := newBench(t, Options{}, nil)
	if room, err := b2.files.room(); err != nil || room == 0 {
		t.Errorf("this disk has %d octets left (%v)", room, err)
	}
}

// A disk that stands still costs memory up to the bound, then audio.
func TestMemoryIsBounded(t *testing.T) {
	b := newBench(t, Options{}, newQuota(1<<30))
	b.memory.most = 10
	p := b.peer(b.begin(), media.Said, media.FormatALaw, 600)
	for i := range 1000 { // the writer gets no tick
		p.speak(time.Duration(i) * frame)
	}
	if s := b.Stats(); s.Lost < 700 || b.memory.live.Load() > 10 {
		t.Errorf("%d chunks, %+v", b.memory.live.Load(), s)
	}
}

func TestWhatCannotBeDecodedIsSilence(t *testing.T) {
	b := newBench(t, Options{}, nil)
	tap := b.begin()
	b.peer(tap, media.Said, media.FormatOther, 600)
	b.run(3 * time.Second)
	left, _, _ := b.stop()
	wantSilence(t, "left", left)
	if s := b.Stats(); s.Undecoded < 140 {
		t.Errorf("%+v", s)
	}
}

func TestWideCodecsAreDecoded(t *testing.T) {
	b := newBench(t, Options{}, nil)
	tap := b.begin()
	said, heard := tone.Sine(600, 0.5), tone.Sine(1100, 0.5)
	g, o := g722.NewEncoder(), must(opus.NewEncoder())(t)
	for i := range uint32(250) {
		b.run(frame)
		packet := make([]byte, 400)
		n := g.Encode(packet, wide(said))
		tap.Audio(media.Said, media.FormatG722, i*160, time.Duration(i)*frame, packet[:n])
		n = must(o.Encode(packet, wide(heard)))(t)
		tap.Audio(media.Heard, media.FormatOpus, i*960, time.Duration(i)*frame, packet[:n])
	}
	tap.Audio(media.Heard, media.FormatOpus, 250*960, 250*frame, []byte{3})
	left, right, _ := b.stop()
	wantTone(t, "left", part(left, 2*frame, 5*time.Second), 600, 0.99)
	wantTone(t, "right", part(right, 500*time.Millisecond, 5*time.Second), 1100, 0.98)
	if s := b.Stats(); s.Undecoded != 1 {
		t.Errorf("%+v: one packet was none", s)
	}
}

// wide is 20 ms at 16 kHz of a tone: its source, made for 8 kHz, read slowly.
func wide(s media.Source) []int16 {
	var narrow [160]int16
	s.Read(narrow[:])
	out := make([]int16, 320)
	for i, v := range narrow {
		out[2*i], out[2*i+1] = v, v
	}
	return out
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestNamesStayInTheFolder(t *testing.T) {
	b := newBench(t, Options{}, nil)
	for _, bad := range []pbx.CallID{"", ".", "..", "../x", "a/b", "/etc/x"} {
		if tap, name := b.Start(bad, began); tap != nil || name != "" {
			t.Errorf("call %q is recorded into %q", bad, name)
		}
	}
	for _, bad := range []string{"../recorder_test.go", "/etc/hostname", "2026/../../x"} {
		if f, err := b.Open(bad); err == nil {
			t.Errorf("%s was opened: %v", bad, f)
		}
	}
	b.begin()
	if tap, _ := b.Start(id, began); tap != nil {
		t.Error("a call is recorded twice")
	}
	if rec := b.Stop("unknown", began); rec != (pbx.Recording{}) {
		t.Errorf("%+v", rec)
	}
}

// A recorder that keeps the time by itself.
func TestRealClock(t *testing.T) {
	r, err := New(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	tap, name := r.Start(id, now)
	tap.Audio(media.Said, media.FormatALaw, 0, time.Minute, make([]byte, 160))
	r.Stop(id, now.Add(50*time.Millisecond))
	r.Close()
	left, _ := readFile(t, filepath.Join(r.opts.Dir, name))
	if len(left) != 400 {
		t.Errorf("%d samples, want 400", len(left))
	}
}
