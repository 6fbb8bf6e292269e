package record

import (
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media"
)

// BenchmarkCallSecond is one second of one recorded call: 50 packets of each
// side, and its share of what is written, among 500 calls. The writer's time
// is in it: cpu-ms is what the process spent, system calls included.
func BenchmarkCallSecond(b *testing.B) {
	const calls = 500
	ticks := make(chan time.Time)
	var clock struct {
		sync.Mutex
		now time.Time
	}
	clock.now = began
	now := func() time.Time {
		clock.Lock()
		defer clock.Unlock()
		return clock.now
	}
	r, err := New(Options{Dir: b.TempDir(), Now: now, Ticks: ticks})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	taps := make([]media.Tap, calls)
	for i := range taps {
		taps[i], _ = r.Start(pbx.CallID("call-"+strconv.Itoa(i)), began)
	}
	payload := make([]byte, 160)
	seconds, frames := 0, uint32(0)
	second := func() {
		for n := range 50 {
			clock.Lock()
			clock.now = clock.now.Add(frame)
			clock.Unlock()
			at := time.Duration(frames) * frame
			for _, tap := range taps {
				tap.Audio(media.Said, media.FormatALaw, frames*160, at, payload)
				tap.Audio(media.Heard, media.FormatULaw, frames*160, at, payload)
			}
			frames++
			if n%5 == 4 {
				ticks <- time.Time{}
			}
		}
		seconds++
	}
	second()
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu(b)
	for i := 0; i < b.N; i += calls {
		second()
	}
	ticks <- time.Time{}
	spent := cpu(b) - before
	b.ReportMetric(float64(spent.Microseconds())/1000/float64((seconds-1)*calls), "cpu-ms/call-s")
	b.ReportMetric(0, "ns/op")
	if s := r.Stats(); s.Lost+s.Late != 0 {
		b.Errorf("%+v", s)
	}
}

// cpu is what this process has spent.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAudio is what the media plane spends on one packet.
func BenchmarkAudio(b *testing.B) {
	r := newRecorder(Options{Dir: b.TempDir()}, newQuota(1<<30))
	defer r.Close()
	tap, _ := r.Start(id, time.Now())
	payload := make([]byte, 160)
	t := tap.(*take)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		tap.Audio(media.Said, media.FormatALaw, uint32(i)*160, time.Duration(i)*frame, payload)
		if i%20 == 19 { // what the writer does, without its cost in time
			for p, ok := t.sides[0].queue.peek(&r.memory); ok; p, ok = t.sides[0].queue.peek(&r.memory) {
				t.sides[0].queue.drop(p)
			}
		}
	}
}
