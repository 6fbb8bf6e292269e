package record

import (
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
)

const (
	// holdback is how long after its time a sample is written: so long packets
	// may be out of order or late.
	holdback = Rate * 400 / 1000
	// windowSize is what lies between the first sample that is not written
	// and the last that may be placed: 4 s; stride is what is written at once.
	windowSize = 4 * Rate
	stride     = windowSize / 2
)

// running is the end of a take that has none yet.
const running = -1

// take is the recording of one call. It is the call's media.Tap.
type take struct {
	r     *Recorder
	name  string
	began time.Time     // as the call says
	zero  time.Duration // the same moment by the recorder's clock
	sides [2]side
	end   atomic.Int64 // in samples; running
	gone  atomic.Int64 // samples that could not be written

	// The writer's alone:
	file   file
	disk   int64 // samples in the file
	cursor int64 // the next sample to write
	top    int64 // behind the last sample that was placed
	tail   []byte
	failed bool
}

// side is one channel.
type side struct {
	busy  atomic.Bool // a producer is in it, or it is closed for good
	set   bool
	skew  time.Duration // from the tap's clock to the recorder's
	queue queue

	// The writer's alone:
	anchor  anchor
	decoder decoder
	decodes media.Format
	next    packet // taken off the queue's end but not placed
	have    bool
	at      int64 // where next belongs
}

// Audio implements media.Tap.
func (t *take) Audio(which media.Side, format media.Format, timestamp uint32, at time.Duration, payload []byte) {
	if len(payload) == 0 || len(payload) > maxPayload || t.end.Load() != running {
		return
	}
	s := &t.sides[which&1]
	if !s.busy.CompareAndSwap(false, true) {
		t.r.stats.lost.Add(1)
		return
	}
	if !s.set { // the tap's clock begins anywhere
		s.set, s.skew = true, t.r.clock()-at
	}
	if !s.queue.put(&t.r.memory, format, timestamp, at+s.skew, payload) {
		t.r.stats.lost.Add(1)
	}
	s.busy.Store(false)
}

// pass writes what is due and reports whether the take is at its end. With
// all it waits for nothing that may be late.
func (t *take) pass(now time.Duration, all bool) (over bool) {
	due := samples(now - t.zero)
	if !all {
		due -= holdback
	}
	if end := t.end.Load(); end != running && (due >= end || all) {
		due, over = end, true
	}
	due = min(due, maxSamples)
	w := t.r.window
	w.take(t.tail)
	for {
		t.collect(w)
		n := int(max(0, min(due-t.cursor, stride)))
		t.write(w.octets(n))
		w.forward(n)
		if t.cursor >= due {
			break
		}
	}
	t.tail = append(t.tail[:0], w.octets(int(max(0, t.top-t.cursor)))...)
	w.clear()
	if !over {
		return false
	}
	t.close(true)
	return true
}

// collect places what both sides have sent, as far as the window reaches.
func (t *take) collect(w *window) {
	for i := range t.sides {
		s := &t.sides[i]
		for t.look(s) && s.at < t.cursor+windowSize-maxPayload {
			t.put(w, s, i)
			s.queue.drop(s.next)
			s.have = false
		}
	}
}

// look finds the side's next packet and where it belongs.
func (t *take) look(s *side) bool {
	if !s.have {
		if s.next, s.have = s.queue.peek(&t.r.memory); s.have {
			s.at = s.anchor.place(s.next.format, s.next.stamp, samples(s.next.at-t.zero))
		}
	}
	return s.have
}

// put writes a packet into its channel of the window, as far as it is not too
// late.
func (t *take) put(w *window, s *side, channel int) {
	octets, table := t.octets(s)
	from := s.at - t.cursor
	if from < 0 {
		t.r.stats.late.Add(1)
		octets = octets[min(int64(len(octets)), -from):]
		from = 0
	}
	w.put(from, channel, octets, table)
	t.top = max(t.top, t.cursor+from+int64(len(octets)))
}

// octets returns the packet's samples in a companding law, and the table that
// makes them A-law. What cannot be decoded is silence.
func (t *take) octets(s *side) ([]byte, *codec.Table) {
	switch f := s.next.format; f {
	case media.FormatALaw:
		return s.next.payload, nil
	case media.FormatULaw:
		return s.next.payload, codec.Transcoder(codec.ULaw, codec.ALaw)
	default:
		if s.decoder == nil || s.decodes != f {
			s.decoder, s.decodes = t.r.decoder(f), f
		}
		n, err := s.decoder.decode(t.r.pcm[:], t.r.wide[:], s.next.payload)
		if err != nil {
			t.r.stats.undecoded.Add(1)
			return nil, nil
		}
		return t.r.octets[:codec.ALaw.Encode(t.r.octets[:], t.r.pcm[:n])], nil
	}
}

// write appends a block to the file at the cursor. What cannot be written is
// lost to the recording, and silent in it once the file can be written again.
func (t *take) write(b []byte) {
	if len(b) == 0 {
		return
	}
	n := int64(len(b) / frameSize)
	err := t.store(b)
	t.cursor += n
	t.r.trouble(t, err)
	if err != nil {
		t.gone.Add(n)
		t.r.stats.gone.Add(n)
	}
}

func (t *take) store(b []byte) error {
	if t.r.full {
		return errFull
	}
	if t.file == nil {
		f, size, err := t.r.files.open(t.name)
		if err != nil {
			return err
		}
		if t.disk, err = adopt(f, size); err != nil {
			return errors.Join(err, f.Close())
		}
		t.file = f
	}
	for t.disk < t.cursor { // after a crash, or when the disk was full
		gap := t.r.window.silent[:min(t.cursor-t.disk, windowSize)*frameSize]
		if err := t.writeAt(gap, t.disk); err != nil {
			return err
		}
	}
	if err := t.writeAt(b, t.cursor); err != nil {
		return err
	}
	return t.label(t.disk)
}

// writeAt writes samples and notes how many there are now, also if the disk
// took only a part.
func (t *take) writeAt(b []byte, at int64) error {
	n, err := t.file.WriteAt(b, headerSize+at*frameSize)
	t.disk = max(t.disk, at+int64(n/frameSize))
	t.r.stats.octets.Add(int64(n))
	return err
}

// label writes the header for so many samples.
func (t *take) label(n int64) error {
	h := header(n)
	_, err := t.file.WriteAt(h[:], 0)
	return err
}

// adopt says how many samples are in a file: none in a new one, and in one
// that a crash broke off as many as its length says.
func adopt(f file, size int64) (int64, error) {
	if size < headerSize {
		return 0, nil
	}
	var h [headerSize]byte
	if _, err := f.ReadAt(h[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if !isHeader(h) {
		return 0, errNotOurs
	}
	return (size - headerSize) / frameSize, nil
}

// close gives everything back. A file that has come to its end gets its exact
// length; one that is to be gone on with keeps what it has.
func (t *take) close(over bool) {
	for i := range t.sides {
		s := &t.sides[i]
		for !s.busy.CompareAndSwap(false, true) { // and it stays so
			runtime.Gosched() // a producer is copying one packet
		}
		s.queue.close(&t.r.memory)
	}
	t.r.forget(t)
	if t.file == nil {
		return
	}
	var err error
	if n := min(t.disk, t.end.Load()); over {
		err = errors.Join(t.file.Truncate(headerSize+n*frameSize), t.label(n))
	}
	if err = errors.Join(err, t.file.Close()); err != nil {
		t.r.opts.Log.Error("a recording did not close", "file", t.name, "error", err)
	}
	t.file = nil
}

// samples turns time into samples; time before the beginning is none.
func samples(d time.Duration) int64 {
	return int64(max(d, 0) / (time.Second / Rate))
}

// span turns samples into time.
func span(n int64) time.Duration { return time.Duration(n) * (time.Second / Rate) }
