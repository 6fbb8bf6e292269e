package call

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call/state"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/dialplan"
	"github.com/dipcast/dipcast/pbx/leg"
)

// eager is a world whose phones ring and answer at once, each leg from a
// goroutine of its own, and whose caller hangs up when it is answered.
type eager struct {
	*world
	t       testing.TB
	running sync.WaitGroup
	ended   chan pbx.Event
	callers sync.Map // CallID to *fakeLeg
	hold    bool     // calls stay up
	up      chan pbx.CallID
}

func newEager(t testing.TB, room int) *eager {
	w := &eager{world: newWorld("101", "102"), t: t, ended: make(chan pbx.Event, room), up: make(chan pbx.CallID, room)}
	w.register("102", "app")
	return w
}

func (w *eager) Dial(d leg.Dial, l leg.Listener) leg.Leg {
	f := &fakeLeg{id: d.Leg, dial: d, listener: l, world: w.world}
	w.running.Go(func() {
		l.LegRinging(d.Leg)
		l.LegAnswered(d.Leg)
	})
	return f
}

func (w *eager) Handle(e pbx.Event) {
	switch e.Type {
	case pbx.EventAnswered:
		if w.hold {
			w.up <- e.Call.ID
			return
		}
		w.running.Go(func() {
			if c, ok := w.callers.Load(e.Call.Legs[0].ID); ok { // none in a call back
				c.(*fakeLeg).hangUp(pbx.Cause{Q850: 16})
			}
		})
	case pbx.EventEnded:
		w.ended <- e
	}
}

// call lets a caller arrive.
func (w *eager) call(e *Engine, i int) {
	f := &fakeLeg{id: pbx.LegID(fmt.Sprintf("in-%d", i)), world: w.world}
	w.callers.Store(f.id, f)
	listener := &late{ready: make(chan struct{})}
	f.listener = listener
	l, refusal := e.Receive(context.Background(), leg.Incoming{Leg: f, From: pbx.Party{Extension: "101"}, Dialled: "102"})
	if refusal != nil {
		w.t.Errorf("refused: %+v", refusal)
		return
	}
	listener.Listener = l
	close(listener.ready)
}

// late is a listener that is known only after the leg was handed over.
type late struct {
	leg.Listener
	ready chan struct{}
}

func (l *late) LegOver(id pbx.LegID, c pbx.Cause, q pbx.Quality) {
	<-l.ready
	l.Listener.LegOver(id, c, q)
}

func eagerEngine(w *eager, calls int) *Engine {
	doc := document()
	doc.Limits.ConcurrentCalls = calls
	return New(Config{Document: func() *conf.Document { return doc }, Dialer: w, Sink: w, Sounds: sounds{}})
}

func TestManyCallsAtOnce(t *testing.T) {
	const n = 300
	w := newEager(t, n)
	e := eagerEngine(w, n)
	defer e.Close()
	var callers sync.WaitGroup
	for i := range n {
		callers.Go(func() { w.call(e, i) })
	}
	callers.Wait()
	timeout := time.After(30 * time.Second)
	for range n {
		select {
		case ev := <-w.ended:
			if ev.Call.Answered.IsZero() || len(ev.Call.Legs) != 3 {
				t.Errorf("call %+v", ev.Call)
			}
		case <-timeout:
			t.Fatalf("%d calls have not ended", e.Active())
		}
	}
	w.running.Wait()
}

func TestPressesRaceWithEverything(t *testing.T) {
	const n = 50
	w := newEager(t, n+1)
	e := eagerEngine(w, n)
	defer e.Close()
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { w.call(e, i) })
		running.Go(func() {
			calls, _ := e.Calls(context.Background())
			for _, c := range calls {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				if err := e.Pull(ctx, pbx.Pull{Call: c.ID, Extension: "102", To: pbx.ToDesk}); context.Cause(ctx) != nil {
					t.Errorf("a press was not answered: %v", err)
				}
				_ = e.Hangup(ctx, c.ID)
				cancel()
			}
		})
	}
	running.Wait()
	if _, err := e.CallBack(context.Background(), pbx.CallBack{Extension: "102", Number: "101"}); err != nil {
		t.Error(err)
	}
	e.Close()
	w.running.Wait()
}

func TestNamesFromTheNetwork(t *testing.T) {
	doc := document()
	for in, want := range map[string]string{
		"홍길동": "홍길동", "a\r\nb\x00\u202ec": "abc", "\xff\xfe": "", strings.Repeat("x", 1000): strings.Repeat("x", 64), "\x00 y": "y",
	} {
		got := dialplan.Caller(doc, pbx.Party{Trunk: "one", Number: "sip:drop table", Name: in})
		if got.Name != want || got.Number != "" {
			t.Errorf("%q becomes %+v", in, got)
		}
	}
}

func TestDefaults(t *testing.T) {
	doc := document()
	e := New(Config{Document: func() *conf.Document { return doc }, Dialer: newWorld(), Sink: pbx.EventSinks{}})
	defer e.Close()
	if a, b := e.cfg.NewID(), e.cfg.NewID(); a == b || len(a) < 26 {
		t.Errorf("IDs %q and %q", a, b)
	}
	r := newRun(e, doc, State{})
	if r.sound(SoundHold) != nil {
		t.Error("a sound without sounds")
	}
}

func TestAFloodOfKeysIsBounded(t *testing.T) {
	w := newWorld()
	e := New(Config{Document: document, Dialer: w, Sink: w})
	defer e.Close()
	r := newRun(e, document(), state.New("c", morning, "101", dialplan.Plan{}))
	for range 10 * sparable {
		r.LegDigit("in", '1', true)
	}
	r.LegOver("in", pbx.Cause{}, pbx.Quality{})
	if n := r.box.Len(); n != sparable+1 {
		t.Errorf("%d inputs wait", n)
	}
}

func BenchmarkStep(b *testing.B) {
	m := arrive(outsider, "025550100")
	m.feed(start{})
	b.ReportAllocs()
	for b.Loop() {
		step(&m.s, m.now, legRinging{"c-1"})
	}
}

// BenchmarkCall is one whole call on three legs: ringing, answer, hang-up.
func BenchmarkCall(b *testing.B) {
	w := newEager(b, 1)
	e := eagerEngine(w, 10)
	defer e.Close()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.call(e, i)
		<-w.ended
		i++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	w.running.Wait()
}

// BenchmarkMemory measures what one answered call holds in the engine, the
// fake legs included.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		const n = 2000
		w := newEager(b, n)
		w.hold = true
		e := eagerEngine(w, n)
		before := heap()
		for i := range n {
			w.call(e, i)
		}
		for range n {
			<-w.up
		}
		w.running.Wait()
		b.ReportMetric(float64(heap()-before)/n, "B/call")
		e.Close()
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

func TestHopsAreCounted(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		r.hops = 1
		if _, refusal := r.try(pbx.Party{Extension: "101"}, "102"); refusal == nil || refusal.Cause.SIP != 483 {
			t.Errorf("the last hop: %+v, want 483", refusal)
		}
		r.hops = 7
		r.extension("101", "102")
		if got := r.w.to(t, "102").dial.MaxForwards; got != 6 {
			t.Errorf("Max-Forwards of the next leg is %d, want 6", got)
		}
	})
}
