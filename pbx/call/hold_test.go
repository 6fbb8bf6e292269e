package call

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/leg"
)

func TestHoldIsTakenBack(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		if !r.e.Hold(true) || !r.e.Draining() {
			t.Error("an idle engine does not hold")
		}
		if _, refusal := r.try(pbx.Party{Extension: "101"}, "102"); refusal == nil || refusal.Cause.SIP != 503 {
			t.Errorf("refusal %+v", refusal)
		}
		r.e.Resume()
		call := r.extension("101", "102")
		if r.e.Hold(true) || r.e.Draining() {
			t.Error("an engine with a call was held although it had to be idle")
		}
		second := r.extension("104", "102") // nothing was changed
		r.fails(second, 487)
		r.fails(call, 487)
		r.e.Close()
		r.e.Resume()
		if !r.e.Draining() {
			t.Error("a closed engine takes calls again")
		}
	})
}

// A call that begins at the moment of the question is either up before the
// answer, or refused after it.
func TestHoldIfIdleRacesWithACall(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		held, up := 0, 0
		for round := range 400 {
			f := &fakeLeg{id: pbx.LegID("race-" + string(rune('a'+round))), world: r.w}
			listener := &late{ready: make(chan struct{})}
			f.listener = listener
			var (
				both    sync.WaitGroup
				begin   = make(chan struct{})
				refusal *leg.Refusal
				idle    bool
			)
			sides := []func(){func() {
				<-begin
				listener.Listener, refusal = r.e.Receive(context.Background(),
					leg.Incoming{Leg: f, From: pbx.Party{Extension: "101"}, Dialled: "102"})
				close(listener.ready)
			}, func() {
				<-begin
				idle = r.e.Hold(true)
			}}
			for i := range sides { // the scheduler favours the last one
				both.Go(sides[(i+round)%2])
			}
			close(begin)
			both.Wait()
			synctest.Wait()
			switch {
			case idle && refusal != nil && r.e.Active() == 0:
				held++
			case !idle && refusal == nil && r.e.Active() == 1 && !r.e.Draining():
				up++
				r.fails(f, 487)
			default:
				t.Fatalf("held %t, refusal %+v, %d calls, draining %t", idle, refusal, r.e.Active(), r.e.Draining())
			}
			if refusal != nil {
				f.over = true // its side ends a refused call by itself
			}
			r.e.Resume()
		}
		if held == 0 || up == 0 {
			t.Errorf("%d times held, %d times a call was up: nothing raced", held, up)
		}
	})
}

func TestEndCallsSparesEmergencies(t *testing.T) {
	drama(t, []string{"101", "102"}, func(r *rig) {
		caller, emergency := r.extension("101", "102"), r.extension("104", "112")
		r.e.Hold(false)
		if told := r.e.EndCalls(); told != 1 {
			t.Errorf("%d calls were ended, want the one", told)
		}
		synctest.Wait()
		r.wantEnd(caller, 503, false)
		if n := r.e.Active(); n != 1 {
			t.Errorf("%d calls are up, want the one to 112", n)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		r.wantCode(r.e.Idle(ctx), pbx.CodeDraining)
		r.fails(emergency, 487)
		if err := r.e.Idle(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
