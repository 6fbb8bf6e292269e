package record

import (
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media"
)

const (
	// Each recording is written once in so many ticks, a part of them at each.
	slots    = 10
	tickTime = 100 * time.Millisecond
	// mostMemory bounds what waits to be written, in octets: about half a
	// minute of 100 calls.
	mostMemory = 64 << 20
)

// Options is what a Recorder is made of. Dir must be set.
type Options struct {
	Dir   string           // the folder of recordings, made if it is missing
	Now   func() time.Time // nil: time.Now
	Ticks <-chan time.Time // nil: every 100 ms
	Log   *slog.Logger     // nil: no log
}

// Stats are a recorder's figures.
type Stats struct {
	Running   int    // recordings that are not at their end
	Failing   int    // of them, those whose file cannot be written
	Octets    uint64 // written
	Missing   time.Duration
	Lost      uint64 // packets for which there was no memory
	Late      uint64 // packets that came after their place was written
	Undecoded uint64 // packets that are silence in the recording
}

// Recorder writes the calls of one tenant. Its methods may be called from any
// goroutine and never wait for the disk, but for Close.
type Recorder struct {
	opts   Options
	files  files
	start  time.Time
	memory memory
	wake   chan struct{} // the first recording after none
	stop   chan struct{}
	done   chan struct{}

	stats struct {
		octets, gone, lost, late, undecoded, failing atomic.Int64
	}

	mu     sync.Mutex
	closed bool
	takes  map[pbx.CallID]*take
	slots  [slots][]*take
	next   int // the slot of the next take

	// The writer's alone:
	full   bool    // the disk has only its reserve left
	window *window // made for the first recording
	batch  []*take
	pcm    [maxPayload]int16
	wide   [wideSamples]int16
	octets [maxPayload]byte
}

// New opens the folder and starts the writer; Close ends it.
func New(o Options) (*Recorder, error) {
	f, err := openFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	return newRecorder(o, f), nil
}

func newRecorder(o Options, f files) *Recorder {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Recorder{
		opts: o, files: f, start: o.Now(), takes: make(map[pbx.CallID]*take),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	r.memory.most = mostMemory / (chunkSize + 16)
	go r.run()
	return r
}

// clock is the time since the recorder was made.
func (r *Recorder) clock() time.Duration { return r.opts.Now().Sub(r.start) }

// Start records a call into the file that the result names, below the folder,
// from the moment `began` on; it may be in the past. What the file already
// holds of the call stays: so a call that outlived its process is recorded on,
// with silence for the time between. The tap is nil, and nothing is recorded,
// for a call that is recorded already, that cannot name a file, or after Close.
func (r *Recorder) Start(id pbx.CallID, began time.Time) (media.Tap, string) {
	name, err := nameOf(id, began)
	if err != nil {
		r.opts.Log.Error("a call cannot be recorded", "error", err)
		return nil, ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.takes[id] != nil {
		return nil, ""
	}
	now := r.opts.Now()
	zero := now.Sub(r.start) - max(0, now.Sub(began))
	t := &take{r: r, name: name, began: began, zero: zero}
	t.cursor = samples(now.Sub(r.start) - zero)
	t.end.Store(running)
	r.takes[id] = t
	r.slots[r.next] = append(r.slots[r.next], t)
	r.next = (r.next + 1) % slots
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return t, name
}

// Stop ends the recording of a call at that moment and returns what is known
// of it; the last second of it is written after that. The zero result means
// that the call is not recorded.
func (r *Recorder) Stop(id pbx.CallID, at time.Time) pbx.Recording {
	r.mu.Lock()
	t := r.takes[id]
	delete(r.takes, id)
	r.mu.Unlock()
	if t == nil {
		return pbx.Recording{}
	}
	n := min(samples(at.Sub(t.began)), maxSamples)
	t.end.Store(n)
	return pbx.Recording{File: t.name, Started: t.began.UTC(), Duration: span(n), Missing: span(t.gone.Load())}
}

// Open opens a recording by the name that Start and Stop gave, for reading.
// One that has just ended is whole a second and a half later.
func (r *Recorder) Open(name string) (fs.File, error) { return r.files.read(name) }

// Stats returns the figures.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	n := len(r.takes)
	r.mu.Unlock()
	return Stats{
		Running: n, Failing: int(r.stats.failing.Load()),
		Octets: uint64(r.stats.octets.Load()), Missing: span(r.stats.gone.Load()),
		Lost: uint64(r.stats.lost.Load()), Late: uint64(r.stats.late.Load()), Undecoded: uint64(r.stats.undecoded.Load()),
	}
}

// Close writes everything up to this moment and ends the writer. Recordings
// that were not stopped stay as they are: Start of another process goes on
// with them.
func (r *Recorder) Close() {
	r.mu.Lock()
	again := r.closed
	r.closed = true
	r.mu.Unlock()
	if !again {
		close(r.stop)
	}
	<-r.done
}

// run is the writer. It sleeps while nothing is recorded.
func (r *Recorder) run() {
	defer close(r.done)
	ticker := time.NewTicker(tickTime)
	defer ticker.Stop()
	ticks := r.opts.Ticks
	if ticks == nil {
		ticks = ticker.C
	}
	for n := 0; ; n = (n + 1) % slots {
		select {
		case <-r.wake:
			ticker.Reset(tickTime)
		case <-ticks:
			if n == 0 {
				room, err := r.files.room()
				r.full = err == nil && room < reserve
			}
			if r.pass(n, false); r.idle() {
				ticker.Stop()
			}
		case <-r.stop:
			for n := range slots {
				r.pass(n, true)
			}
			if err := r.files.Close(); err != nil {
				r.opts.Log.Error("the folder of recordings did not close", "error", err)
			}
			return
		}
	}
}

// idle reports whether nothing is left to write.
func (r *Recorder) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.slots {
		if len(r.slots[i]) > 0 {
			return false
		}
	}
	return true
}

// pass writes the recordings of one slot; with all it also closes them.
func (r *Recorder) pass(slot int, all bool) {
	r.mu.Lock()
	r.batch = append(r.batch[:0], r.slots[slot]...)
	r.mu.Unlock()
	if len(r.batch) > 0 && r.window == nil {
		r.window = newWindow()
	}
	over := 0
	for i, t := range r.batch {
		switch {
		case t.pass(r.clock(), all):
			r.batch[i], over = nil, over+1
		case all:
			t.close(false)
		}
	}
	if over > 0 {
		r.leave(slot)
	}
	clear(r.batch) // an ended call must not be kept alive
}

// leave takes the recordings that the batch found over out of their slot.
func (r *Recorder) leave(slot int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.slots[slot][:0]
	for i, t := range r.slots[slot] {
		if i >= len(r.batch) || r.batch[i] != nil { // those behind the batch are new
			kept = append(kept, t)
		}
	}
	clear(r.slots[slot][len(kept):])
	r.slots[slot] = kept
}

// trouble notes whether a recording's file can be written, and tells it when
// that changes for the first or the last of them: a full disk is told once.
func (r *Recorder) trouble(t *take, err error) {
	switch failed := err != nil; {
	case failed && !t.failed:
		if r.stats.failing.Add(1) == 1 {
			r.opts.Log.Error("calls go on without being recorded until the disk can be written", "file", t.name, "error", err)
		}
	case !failed && t.failed:
		if r.stats.failing.Add(-1) == 0 {
			r.opts.Log.Info("calls are recorded again", "file", t.name)
		}
	}
	t.failed = err != nil
}

// forget takes an ended recording out of the count of those that fail.
func (r *Recorder) forget(t *take) {
	if t.failed {
		r.stats.failing.Add(-1)
	}
}

// decoder returns a decoder for the format.
func (r *Recorder) decoder(f media.Format) decoder {
	d, err := newDecoder(f)
	if err != nil {
		r.opts.Log.Error("a stream is silent in its recording", "error", err)
	}
	return d
}
