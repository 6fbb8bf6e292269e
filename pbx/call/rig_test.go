package call

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/leg"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is an engine in a world, inside a synctest bubble: time passes when
// every goroutine waits.
type rig struct {
	*testing.T
	e    *Engine
	w    *world
	doc  *conf.Document
	n    int
	hops int // Max-Forwards of the calls that arrive
}

// play runs a test in a bubble. Extensions are those with one phone.
func drama(t *testing.T, extensions []string, f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, w: newWorld(extensions...), doc: document()}
		r.e = New(Config{Document: func() *conf.Document { return r.doc }, Dialer: r.w, Sink: r.w, Sounds: sounds{}})
		defer func() {
			r.e.Close()
			r.checkEnds()
		}()
		f(r)
	})
}

// checkEnds holds for every call of every test.
func (r *rig) checkEnds() {
	r.Helper()
	started, ended := r.w.all(pbx.EventStarted), r.w.all(pbx.EventEnded)
	if len(started) != len(ended) {
		r.Errorf("%d calls started, %d ended", len(started), len(ended))
	}
	if n := r.e.Active(); n != 0 {
		r.Errorf("%d calls are left", n)
	}
	if n := r.e.legs.Load(); n != 0 {
		r.Errorf("%d legs are still counted", n)
	}
	for _, f := range r.w.legs() {
		if f.cause() == nil && !f.over {
			r.Errorf("leg %s was never ended", f.id)
		}
		if f.heardBy() != nil || f.plays() != "" {
			r.Errorf("leg %s still has media", f.id)
		}
	}
}

// incoming is a call that arrives; it fails the test if it is refused.
func (r *rig) incoming(from pbx.Party, dialled string) *fakeLeg {
	r.Helper()
	f, refusal := r.try(from, dialled)
	if refusal != nil {
		r.Fatalf("the call is refused: %+v", refusal)
	}
	return f
}

func (r *rig) try(from pbx.Party, dialled string) (*fakeLeg, *leg.Refusal) {
	r.n++
	f := &fakeLeg{id: pbx.LegID("in-" + string(rune('a'+r.n))), world: r.w}
	listener := &late{ready: make(chan struct{})}
	f.listener = listener
	l, refusal := r.e.Receive(context.Background(), leg.Incoming{Leg: f, From: from, Dialled: dialled, MaxForwards: r.hops})
	listener.Listener = l
	close(listener.ready)
	synctest.Wait()
	return f, refusal
}

func (r *rig) extension(from, dialled string) *fakeLeg {
	r.Helper()
	return r.incoming(pbx.Party{Extension: from}, dialled)
}

func (r *rig) outside(dialled string) *fakeLeg {
	r.Helper()
	return r.incoming(pbx.Party{Trunk: "one", Number: "01099998888", Name: "홍길동\n\u202e"}, dialled)
}

func (r *rig) ringing(f *fakeLeg) { f.listener.LegRinging(f.id); synctest.Wait() }
func (r *rig) answers(f *fakeLeg) { f.listener.LegAnswered(f.id); synctest.Wait() }

// press presses a key the way that the peer negotiated.
func (r *rig) press(f *fakeLeg, d rune) {
	f.listener.LegDigit(f.id, d, f.events)
	synctest.Wait()
}

func (r *rig) fails(f *fakeLeg, status int) {
	f.hangUp(pbx.Cause{SIP: status})
	synctest.Wait()
}
func (r *rig) pass(d time.Duration) { time.Sleep(d); synctest.Wait() } //nolint:forbidigo // time is the bubble's own

// only returns the one call there is.
func (r *rig) only() pbx.Call {
	r.Helper()
	calls, err := r.e.Calls(context.Background())
	if err != nil || len(calls) != 1 {
		r.Fatalf("%d calls (%v), want one", len(calls), err)
	}
	return calls[0]
}

func (r *rig) pull(extension string, to pbx.PullTo) error {
	r.Helper()
	err := r.e.Pull(context.Background(), pbx.Pull{Call: r.only().ID, Extension: extension, To: to})
	synctest.Wait()
	return err
}

func (r *rig) wantCode(err error, code pbx.Code) {
	r.Helper()
	if err == nil || pbx.CodeOf(err) != code {
		r.Errorf("error %v, want code %s", err, code)
	}
}

func (r *rig) wantTalk(a, b *fakeLeg) {
	r.Helper()
	if a.heardBy() != b || b.heardBy() != a {
		r.Errorf("%s and %s do not talk", a.id, b.id)
	}
	if a.plays() != "" || b.plays() != "" {
		r.Errorf("a sound is in the way: %q %q", a.plays(), b.plays())
	}
}

func (r *rig) wantSilence(f *fakeLeg) {
	r.Helper()
	if f.heardBy() != nil {
		r.Errorf("%s is heard", f.id)
	}
}

// wantEnd checks how a leg was ended by the engine; status 0 means it lives.
func (r *rig) wantEnd(f *fakeLeg, status int, elsewhere bool) {
	r.Helper()
	switch c := f.cause(); {
	case c == nil && status != 0:
		r.Errorf("leg %s lives, want end with %d", f.id, status)
	case c != nil && (c.SIP != status || c.Elsewhere != elsewhere):
		r.Errorf("leg %s ended with %+v, want %d elsewhere %t", f.id, *c, status, elsewhere)
	}
}

func (r *rig) wantEvents(t pbx.EventType, n int) []pbx.Event {
	r.Helper()
	events := r.w.all(t)
	if len(events) != n {
		r.Fatalf("%d events %s, want %d", len(events), t, n)
	}
	return events
}

// wantFailed checks that one pull failed for that reason.
func (r *rig) wantFailed(code pbx.Code) pbx.Event {
	r.Helper()
	e := r.wantEvents(pbx.EventPullFailed, 1)[0]
	if e.Err == nil || e.Err.Code != code {
		r.Errorf("pull failed with %v, want %s", e.Err, code)
	}
	return e
}
