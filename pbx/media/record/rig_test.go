package record

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	frame = 20 * time.Millisecond
	id    = pbx.CallID("call-a")
)

// began is when the calls of these tests are answered.
var began = time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)

// bench is a recorder whose clock goes when a test says so.
type bench struct {
	*testing.T
	*Recorder
	dir   string
	since atomic.Int64 // since began
	ticks chan time.Time
	peers []*peer
}

func newBench(t *testing.T, o Options, f files) *bench {
	t.Helper()
	b := &bench{T: t, dir: o.Dir, ticks: make(chan time.Time)}
	if b.dir == "" {
		b.dir = t.TempDir()
	}
	o.Dir, o.Ticks = b.dir, b.ticks
	o.Now = func() time.Time { return began.Add(time.Duration(b.since.Load())) }
	if f != nil {
		b.Recorder = newRecorder(o, f)
	} else {
		r, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		b.Recorder = r
	}
	t.Cleanup(b.Close)
	return b
}

// begin records the call from now on.
func (b *bench) begin() media.Tap {
	b.Helper()
	tap, name := b.Start(id, b.opts.Now())
	if tap == nil || name != "2026/11/call-a.wav" {
		b.Fatalf("the recording is %v, %q", tap, name)
	}
	return tap
}

// run lets time pass: peers speak, the writer works.
func (b *bench) run(d time.Duration) {
	const step = time.Millisecond
	for range d / step {
		now := time.Duration(b.since.Add(int64(step)))
		for _, p := range b.peers {
			p.speak(now)
		}
		if now%tickTime == 0 {
			b.ticks <- time.Time{}
		}
	}
}

// stop ends the recording, lets the writer finish and returns the channels.
func (b *bench) stop() (left, right []int16, rec pbx.Recording) {
	b.Helper()
	rec = b.Stop(id, b.opts.Now())
	b.peers = nil
	b.run(2 * time.Second)
	left, right = readFile(b.T, filepath.Join(b.dir, rec.File))
	return left, right, rec
}

// peer sends a tone to a tap, like a phone or the relay.
type peer struct {
	tap    media.Tap
	side   media.Side
	format media.Format
	source media.Source
	stamp  uint32
	every  time.Duration // between two packets by the recorder's clock: another than 20 ms is a clock that drifts
	next   time.Duration
	delay  func(n int) time.Duration // of packet n; negative: lost
	n      int
	sent   []sent
	skew   time.Duration // of the tap's clock
}

type sent struct {
	arrives time.Duration
	stamp   uint32
	payload []byte
}

func (b *bench) peer(tap media.Tap, side media.Side, format media.Format, freq float64) *peer {
	p := &peer{
		tap: tap, side: side, format: format, source: tone.Sine(freq, 0.5), every: frame,
		stamp: 0xFFFFFF00, skew: time.Hour, next: time.Duration(b.since.Load()),
	}
	b.peers = append(b.peers, p)
	return p
}

func (p *peer) speak(now time.Duration) {
	for p.next <= now {
		p.packet(p.next)
		p.next += p.every
	}
	kept := p.sent[:0]
	for _, s := range p.sent {
		if s.arrives <= now {
			p.tap.Audio(p.side, p.format, s.stamp, now+p.skew, s.payload)
		} else {
			kept = append(kept, s)
		}
	}
	p.sent = kept
}

func (p *peer) packet(at time.Duration) {
	var pcm [codec.FrameSamples]int16
	p.source.Read(pcm[:])
	law := codec.ALaw
	if p.format == media.FormatULaw {
		law = codec.ULaw
	}
	b := make([]byte, len(pcm))
	law.Encode(b, pcm[:])
	late := time.Duration(0)
	if p.delay != nil {
		late = p.delay(p.n)
	}
	if late >= 0 {
		p.sent = append(p.sent, sent{at + late, p.stamp, b})
	}
	p.n++
	p.stamp += codec.FrameSamples
}

// readFile reads a recording and fails unless its header is exact.
func readFile(t *testing.T, path string) (left, right []int16) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < headerSize {
		t.Fatalf("the file has %d octets", len(b))
	}
	data := b[headerSize:]
	want := header(int64(len(data) / frameSize))
	if string(b[:headerSize]) != string(want[:]) || len(data)%frameSize != 0 {
		t.Errorf("the header % x is not that of %d octets of sound", b[:headerSize], len(data))
	}
	if size := binary.LittleEndian.Uint32(b[4:]); int(size) != len(b)-8 {
		t.Errorf("RIFF size %d, want %d", size, len(b)-8)
	}
	law := make([][]byte, 2)
	for i, o := range data {
		law[i%2] = append(law[i%2], o)
	}
	left, right = make([]int16, len(law[0])), make([]int16, len(law[1]))
	codec.ALaw.Decode(left, law[0])
	codec.ALaw.Decode(right, law[1])
	return left, right
}

// part is the samples from one moment to another.
func part(s []int16, from, to time.Duration) []int16 {
	return s[min(int64(len(s)), samples(from)):min(int64(len(s)), samples(to))]
}

func wantTone(t *testing.T, what string, s []int16, freq, least float64) {
	t.Helper()
	if share := tone.Share(s, freq); len(s) == 0 || share < least {
		t.Errorf("%s: %d samples, %.4f of the energy is at %v Hz, want %v or more", what, len(s), share, freq, least)
	}
}

// wantSilence accepts A-law's smallest value.
func wantSilence(t *testing.T, what string, s []int16) {
	t.Helper()
	for i, v := range s {
		if v > 8 || v < -8 {
			t.Fatalf("%s: sample %d of %d is %d, want silence", what, i, len(s), v)
		}
	}
	if len(s) == 0 {
		t.Errorf("%s: nothing", what)
	}
}

// quota is a disk of a certain size in memory.
type quota struct {
	mu    sync.Mutex
	left  int
	free  uint64
	files map[string]*quotaFile
}

type quotaFile struct {
	q *quota
	b []byte
}

var errNoSpace = errors.New("no space left on device")

func newQuota(size int) *quota {
	return &quota{left: size, free: 1 << 40, files: make(map[string]*quotaFile)}
}

func (q *quota) grow(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.left += n
}

func (q *quota) setRoom(n uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free = n
}

func (q *quota) read(string) (fs.File, error) { return nil, fs.ErrNotExist }

func (q *quota) Close() error { return nil }

func (q *quota) room() (uint64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.free, nil
}

func (q *quota) open(name string) (file, int64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := q.files[name]
	if f == nil {
		f = &quotaFile{q: q}
		q.files[name] = f
	}
	return f, int64(len(f.b)), nil
}

func (q *quota) octets(name string) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]byte(nil), q.files[name].b...)
}

func (f *quotaFile) WriteAt(b []byte, at int64) (int, error) {
	f.q.mu.Lock()
	defer f.q.mu.Unlock()
	grow := int(at) + len(b) - len(f.b)
	if short := grow - f.q.left; short > 0 {
		b = b[:max(0, len(b)-short)]
		grow -= short
	}
	if grow > 0 {
		f.b = append(f.b, make([]byte, grow)...)
		f.q.left -= grow
	}
	n := copy(f.b[min(int(at), len(f.b)):], b)
	if f.q.left == 0 && grow >= 0 {
		return n, errNoSpace
	}
	return n, nil
}

func (f *quotaFile) ReadAt(b []byte, at int64) (int, error) {
	f.q.mu.Lock()
	defer f.q.mu.Unlock()
	return copy(b, f.b[at:]), nil
}

func (f *quotaFile) Truncate(size int64) error {
	f.q.mu.Lock()
	defer f.q.mu.Unlock()
	f.b = f.b[:size]
	return nil
}

func (f *quotaFile) Close() error { return nil }
