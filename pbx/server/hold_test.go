package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
)

// switchboard is engine and SIP side in one that only remembers.
type switchboard struct {
	mu       sync.Mutex
	calls    int
	refusing bool // the engine's
	drained  bool // the SIP side's
	ended    int
}

func (s *switchboard) Hold(onlyIfIdle bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if onlyIfIdle && s.calls > 0 {
		return false
	}
	s.refusing = true
	return true
}

func (s *switchboard) EndCalls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.calls
	s.calls, s.ended = 0, s.ended+told
	return told
}

func (s *switchboard) Resume() { s.set(&s.refusing, false) }

func (s *switchboard) set(field *bool, to bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*field = to
}

// sipSide is the other half of the switchboard.
type sipSide struct{ *switchboard }

func (s sipSide) Drain()  { s.set(&s.drained, true) }
func (s sipSide) Resume() { s.set(&s.drained, false) }

func (s *switchboard) want(t *testing.T, when string, refusing bool, ended int) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusing != refusing || s.drained != refusing || s.ended != ended {
		t.Errorf("%s: engine refuses %t, SIP side %t, %d calls were ended; want %t and %d", when, s.refusing, s.drained, s.ended, refusing, ended)
	}
}

// onHold runs a test in a bubble, where time passes when everybody waits.
func onHold(t *testing.T, calls int, f func(t *testing.T, h *holder, s *switchboard)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &switchboard{calls: calls}
		h := &holder{calls: s, edge: sipSide{s}, log: slog.New(slog.DiscardHandler)}
		f(t, h, s)
		h.end()
		s.want(t, "at the end", true, s.ended)
	})
}

func begin(t *testing.T, h *holder, d conf.Drain) {
	t.Helper()
	if err := h.begin(d); err != nil {
		t.Fatal(err)
	}
}

func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // time is the bubble's own

func TestHoldEndsByItself(t *testing.T) {
	onHold(t, 2, func(t *testing.T, h *holder, s *switchboard) {
		begin(t, h, conf.Drain{Hold: conf.Duration(time.Minute)})
		s.want(t, "at once", true, 0)
		pass(time.Minute - time.Millisecond)
		s.want(t, "before its end", true, 0)
		pass(time.Millisecond)
		s.want(t, "at its end", false, 0)
	})
}

func TestHoldEndsCallsAndThenItself(t *testing.T) {
	onHold(t, 2, func(t *testing.T, h *holder, s *switchboard) {
		begin(t, h, conf.Drain{Hold: conf.Duration(5 * time.Minute), EndCallsAfter: conf.Duration(20 * time.Second)})
		pass(20*time.Second - time.Millisecond)
		s.want(t, "before calls end", true, 0)
		pass(time.Millisecond)
		s.want(t, "when calls end", true, 2)
		pass(280*time.Second - time.Millisecond)
		s.want(t, "before its end", true, 2)
		pass(time.Millisecond)
		s.want(t, "at its end", false, 2)
	})
}

func TestSecondHoldTakesThePlaceOfTheFirst(t *testing.T) {
	onHold(t, 1, func(t *testing.T, h *holder, s *switchboard) {
		begin(t, h, conf.Drain{Hold: conf.Duration(30 * time.Second), EndCallsAfter: conf.Duration(10 * time.Second)})
		pass(5 * time.Second)
		begin(t, h, conf.Drain{Hold: conf.Duration(time.Minute)})
		pass(59 * time.Second)
		s.want(t, "after the first's moments", true, 0)
		pass(time.Second)
		s.want(t, "at the second's end", false, 0)
	})
}

func TestHoldIfIdleThatIsRefusedChangesNothing(t *testing.T) {
	onHold(t, 1, func(t *testing.T, h *holder, s *switchboard) {
		idle := conf.Drain{IfIdle: true, Hold: conf.Duration(time.Hour)}
		if err := h.begin(idle); !errors.Is(err, errCallsUp) {
			t.Errorf("error %v", err)
		}
		s.want(t, "with a call", false, 0)
		begin(t, h, conf.Drain{Hold: conf.Duration(time.Minute)})
		if err := h.begin(idle); !errors.Is(err, errCallsUp) {
			t.Errorf("error %v", err)
		}
		pass(time.Minute)
		s.want(t, "at the end of the hold that was in force", false, 0)
	})
}

func TestResume(t *testing.T) {
	onHold(t, 1, func(t *testing.T, h *holder, s *switchboard) {
		h.resume() // nothing to end
		s.want(t, "without a hold", false, 0)
		begin(t, h, conf.Drain{Hold: conf.Duration(time.Minute), EndCallsAfter: conf.Duration(time.Second)})
		h.resume()
		s.want(t, "after it was taken back", false, 0)
		pass(time.Hour)
		s.want(t, "after its moments", false, 0)
	})
}

func TestNothingComesAfterTheEnd(t *testing.T) {
	onHold(t, 1, func(t *testing.T, h *holder, s *switchboard) {
		begin(t, h, conf.Drain{Hold: conf.Duration(time.Minute)})
		h.end()
		h.resume()
		begin(t, h, conf.Drain{Hold: conf.Duration(time.Second)})
		pass(time.Hour)
		s.want(t, "when the process ends", true, 0)
	})
}

func TestReportsDoNotWaitForADeadDatabaseEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, dead := 0, errors.New("dead")
		d := watchedDatabase{ping: func(ctx context.Context) error {
			asked++
			if dead != nil {
				<-ctx.Done()
			}
			return dead
		}}
		for range 10 {
			if d.up() {
				t.Error("a dead database is up")
			}
		}
		if asked != 1 {
			t.Errorf("a dead database was asked %d times at once", asked)
		}
		dead = nil
		pass(databaseRests + time.Millisecond)
		if !d.up() || asked != 2 {
			t.Errorf("a database that has come back is down (asked %d times)", asked)
		}
	})
}

func TestFinalDrainIsTakenBack(t *testing.T) {
	onHold(t, 1, func(t *testing.T, h *holder, _ *switchboard) {
		final := conf.Drain{Final: true, Hold: conf.Duration(time.Minute)}
		begin(t, h, final)
		if !h.goesForGood() {
			t.Error("a final drain is not final")
		}
		begin(t, h, conf.Drain{Hold: conf.Duration(time.Minute)})
		if h.goesForGood() {
			t.Error("the drain in its place is final, too")
		}
		begin(t, h, final)
		h.resume()
		if h.goesForGood() {
			t.Error("a drain that was taken back is final")
		}
		begin(t, h, final)
		pass(time.Minute)
		synctest.Wait()
		if h.goesForGood() {
			t.Error("a drain that has run out is final")
		}
	})
}
