package mailbox

import (
	"testing"
	"testing/synctest"
	"time"
)

// next waits for the next message.
func next(b *Box) func() {
	for {
		if f, ok := b.Take(); ok {
			return f
		}
		<-b.queue.Ready()
	}
}

func TestOrderBoundAndEnd(t *testing.T) {
	b := New()
	var got []int
	b.Post(func() { got = append(got, 1) })
	for i := range limit {
		if ok := b.PostBounded(func() {}); ok != (i < limit-1) {
			t.Fatalf("message %d was taken: %v", i, ok)
		}
	}
	b.Post(func() { got = append(got, 2) }) // not bounded
	for range limit + 1 {
		next(b)()
	}
	if len(got) != 2 || got[0] != 1 || got[1] != 2 {
		t.Errorf("order is %v", got)
	}
	if _, ok := b.Take(); ok {
		t.Error("took from an empty box")
	}
	b.Close()
	if b.PostBounded(func() {}) {
		t.Error("a closed box takes messages")
	}
}

func TestAStoppedAlarmIsSilentAlthoughItRang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		a := Alarm{Box: b}
		rang := 0
		a.Set(time.Second, func() { rang++ })
		<-time.After(2 * time.Second)
		a.Stop()
		a.Set(time.Second, func() { rang += 10 })
		for range 2 {
			next(b)()
		}
		if rang != 10 {
			t.Errorf("rang %d", rang)
		}
	})
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New()
		r := Backoff{Alarm{Box: b}}
		start, times, over := time.Now(), []time.Duration{}, false
		r.Start(time.Second, 10*time.Second, 4*time.Second,
			func() { times = append(times, time.Since(start)) }, func() { over = true })
		for !over {
			next(b)()
		}
		want := []time.Duration{time.Second, 3 * time.Second, 7 * time.Second}
		if len(times) != len(want) || times[0] != want[0] || times[1] != want[1] || times[2] != want[2] {
			t.Errorf("again at %v", times)
		}
		if got := time.Since(start); got != 10*time.Second {
			t.Errorf("gave up after %v", got)
		}
	})
}
