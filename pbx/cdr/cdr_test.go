package cdr

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/pbxtest/memjournal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var seoul = time.FixedZone("KST", 9*3600)

func call(id string, change ...func(*pbx.Call)) pbx.Call {
	c := pbx.Call{
		ID: pbx.CallID(id), Direction: pbx.Inbound, State: pbx.CallOver,
		From:    pbx.Party{Number: "010-1234-5678", Trunk: "kt"},
		To:      pbx.Party{Number: "101", Extension: "101"},
		Dialled: "025550101",
		Offered: []string{"101"},
		Started: time.Date(2026, 11, 23, 10, 0, 0, 0, seoul),
		Ended:   time.Date(2026, 11, 23, 10, 2, 0, 0, seoul),
		Legs: []pbx.Leg{{
			ID: "a", Role: pbx.RoleCaller, State: pbx.LegEnded,
			Created: time.Date(2026, 11, 23, 10, 0, 0, 0, seoul),
			Ended:   time.Date(2026, 11, 23, 10, 2, 0, 0, seoul),
		}},
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func TestFoldTakesTheLastEventOnly(t *testing.T) {
	for _, typ := range []pbx.EventType{
		pbx.EventStarted, pbx.EventOffered, pbx.EventRinging, pbx.EventAnswered, pbx.EventPulling,
		pbx.EventPulled, pbx.EventPullFailed, pbx.EventLegEnded, pbx.EventUnanswered,
	} {
		if _, ok := Fold(pbx.Event{Type: typ, Call: call("c")}); ok {
			t.Errorf("%s made a record", typ)
		}
	}
	got, ok := Fold(pbx.Event{Type: pbx.EventEnded, Call: call("c", func(c *pbx.Call) {
		c.Answered = time.Date(2026, 11, 23, 10, 1, 0, 0, seoul)
		c.PulledBy, c.PulledTo = "101", pbx.ToMobile
		c.Legs[0].Answered = c.Answered
		c.Recording = pbx.Recording{File: "2026/11/c.wav", Duration: time.Minute, Missing: time.Second}
	})})
	if !ok {
		t.Fatal("the last event made no record")
	}
	want := pbx.CDR{
		ID: "c", Direction: pbx.Inbound,
		From:    pbx.Party{Number: "010-1234-5678", Trunk: "kt"},
		To:      pbx.Party{Number: "101", Extension: "101"},
		Dialled: "025550101", Offered: []string{"101"},
		Started:     time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC),
		Answered:    time.Date(2026, 11, 23, 1, 1, 0, 0, time.UTC),
		Ended:       time.Date(2026, 11, 23, 1, 2, 0, 0, time.UTC),
		Disposition: pbx.Answered, PulledBy: "101", PulledTo: pbx.ToMobile,
		Recording: pbx.Recording{File: "2026/11/c.wav", Duration: time.Minute, Missing: time.Second},
		Legs: []pbx.Leg{{
			ID: "a", Role: pbx.RoleCaller, State: pbx.LegEnded,
			Created:  time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC),
			Answered: time.Date(2026, 11, 23, 1, 1, 0, 0, time.UTC),
			Ended:    time.Date(2026, 11, 23, 1, 2, 0, 0, time.UTC),
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if got.Talk() != time.Minute {
		t.Errorf("talk = %s, want 1m", got.Talk())
	}
}

func TestDisposition(t *testing.T) {
	for _, tc := range []struct {
		sip      int
		answered bool
		want     pbx.Disposition
	}{
		{200, true, pbx.Answered},
		{408, true, pbx.Answered}, // a session that timed out was still a talk
		{486, false, pbx.BusyCalled},
		{600, false, pbx.BusyCalled},
		{487, false, pbx.Missed},
		{480, false, pbx.Missed},
		{408, false, pbx.Missed},
		{603, false, pbx.Missed},
		{0, false, pbx.Missed},
		{403, false, pbx.Refused},
		{404, false, pbx.Refused},
		{503, false, pbx.FailedCall}, // no trunk is up
		{500, false, pbx.FailedCall},
		{502, false, pbx.FailedCall},
	} {
		e := pbx.Event{Type: pbx.EventEnded, Call: call("c", func(c *pbx.Call) {
			c.Cause.SIP = tc.sip
			if tc.answered {
				c.Answered = c.Started
			}
		})}
		if got, _ := Fold(e); got.Disposition != tc.want {
			t.Errorf("SIP %d, answered %t: %s, want %s", tc.sip, tc.answered, got.Disposition, tc.want)
		}
	}
}

// store is a CDRStore that fails while broken.
type store struct {
	pbx.CDRStore
	mu     sync.Mutex
	broken bool
	got    []pbx.CallID
	added  chan pbx.CallID
}

func (s *store) Add(_ context.Context, c pbx.CDR) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errors.New("disk full")
	}
	s.got = append(s.got, c.ID)
	if s.added != nil {
		s.added <- c.ID
	}
	return nil
}

func (s *store) set(broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = broken
}

func ended(id string) pbx.Event { return pbx.Event{Type: pbx.EventEnded, Call: call(id)} }

// talked is the end of a call that was answered.
func talked(id string) pbx.Event {
	return pbx.Event{Type: pbx.EventEnded, Call: call(id, func(c *pbx.Call) { c.Answered = c.Started })}
}

func TestRecorderWaitsForAFailingStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{broken: true, added: make(chan pbx.CallID, 10)}
		r := NewRecorder(s, nil, slog.New(slog.DiscardHandler), nil)
		r.Handle(ended("1"))
		r.Handle(ended("2"))
		synctest.Wait()
		if got := r.Stats(); got.Waiting != 2 || got.Written != 0 {
			t.Fatalf("stats while the store fails = %+v, want 2 waiting", got)
		}
		s.set(false)
		for _, want := range []pbx.CallID{"1", "2"} {
			if got := <-s.added; got != want {
				t.Errorf("added %s, want %s", got, want)
			}
		}
		if lost := r.Close(); lost != 0 {
			t.Errorf("lost %d records", lost)
		}
	})
}

func TestRecorderIsBoundedAndSaysWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{broken: true}
		r := newRecorder(s, nil, slog.New(slog.DiscardHandler), nil, 3)
		for i := range 5 {
			r.Handle(ended(fmt.Sprint(i)))
		}
		synctest.Wait()
		if got := r.Stats(); got.Waiting != 3 || got.Lost != 2 {
			t.Fatalf("stats = %+v, want 3 waiting and 2 lost", got)
		}
		s.set(false)
		r.Close()
		if diff := cmp.Diff([]pbx.CallID{"2", "3", "4"}, s.got); diff != "" {
			t.Errorf("the newest records must be kept (-want +got):\n%s", diff)
		}
	})
}

func TestRecorderWritesWhatWaitsAtClose(t *testing.T) {
	s := &store{}
	r := NewRecorder(s, nil, slog.New(slog.DiscardHandler), nil)
	for i := range 100 {
		r.Handle(ended(fmt.Sprint(i)))
	}
	if lost := r.Close(); lost != 0 || len(s.got) != 100 {
		t.Errorf("written %d, lost %d; want 100 and 0", len(s.got), lost)
	}
	r.Handle(ended("late"))
	if r.Stats().Lost != 1 {
		t.Error("a record after Close is not counted as lost")
	}
}

// batches is a store that takes several records at once.
type batches struct {
	store
	sizes []int
}

func (s *batches) AddAll(ctx context.Context, list []pbx.CDR) error {
	for _, c := range list {
		if err := s.Add(ctx, c); err != nil {
			return err
		}
	}
	s.sizes = append(s.sizes, len(list))
	return nil
}

func TestRecorderWritesTogetherWhatWaitsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &batches{store: store{broken: true}}
		r := newRecorder(s, nil, slog.New(slog.DiscardHandler), nil, 150)
		for i := range 160 {
			r.Handle(ended(fmt.Sprint(i)))
		}
		synctest.Wait()
		if got := r.Stats(); got.Waiting != 150 || got.Lost != 10 {
			t.Fatalf("stats while the store fails = %+v, want 150 waiting and 10 lost", got)
		}
		s.set(false)
		if lost := r.Close(); lost != 10 {
			t.Errorf("lost %d records, want the 10 for which there was no room", lost)
		}
		if diff := cmp.Diff([]int{100, 50}, s.sizes); diff != "" {
			t.Errorf("sizes of the writes (-want +got):\n%s", diff)
		}
		if len(s.got) != 150 || s.got[0] != "10" || s.got[149] != "159" {
			t.Errorf("written %d records, %s to %s; want 150, 10 to 159", len(s.got), s.got[0], s.got[len(s.got)-1])
		}
	})
}

func TestCallsThatEndTogetherAreWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &batches{}
		r := NewRecorder(s, nil, slog.New(slog.DiscardHandler), nil)
		r.Handle(ended("1"))
		time.Sleep(gather / 2) //nolint:forbidigo // synctest's clock
		r.Handle(ended("2"))
		time.Sleep(gather) //nolint:forbidigo // synctest's clock
		synctest.Wait()
		if diff := cmp.Diff([]int{2}, s.sizes); diff != "" {
			t.Errorf("sizes of the writes (-want +got):\n%s", diff)
		}
		r.Close()
	})
}

func TestWrittenDropsOnlyWhatIsStillThere(t *testing.T) {
	r := &Recorder{queue: []waits{{CDR: pbx.CDR{ID: "2"}}, {CDR: pbx.CDR{ID: "3"}}, {CDR: pbx.CDR{ID: "4"}}}}
	r.written([]pbx.CDR{{ID: "1"}, {ID: "2"}, {ID: "3"}}) // 1 was given up during the write
	if len(r.queue) != 1 || r.queue[0].ID != "4" {
		t.Errorf("left %+v, want record 4", r.queue)
	}
}

// What a store does not take outlives the process in the journal, once.
func TestRecordsOfAFailingStoreOutliveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, kept := &store{broken: true}, &memjournal.Journal{}
		var safe []pbx.CallID
		r := newRecorder(s, kept, slog.New(slog.DiscardHandler), func(id pbx.CallID) { safe = append(safe, id) }, 3)
		r.Handle(talked("1"))
		if kept.Len() != 0 {
			t.Error("an answered call is kept twice")
		}
		time.Sleep(2 * gather) //nolint:forbidigo // synctest's clock
		synctest.Wait()
		if diff := cmp.Diff([]pbx.CallID{"1"}, safe); diff != "" || kept.Len() != 1 {
			t.Fatalf("a record that is refused is not kept (-want +got):\n%s", diff)
		}
		for _, id := range []string{"2", "3", "4"} { // the store is known to fail
			r.Handle(talked(id))
		}
		if kept.Len() != 3 {
			t.Fatalf("%d records in the journal, want the newest 3", kept.Len())
		}
		crashed := kept.Copy()
		if lost := r.Close(); lost != 1 { // for want of room
			t.Errorf("lost %d records, want 1", lost)
		}

		s.set(false)
		next := NewRecorder(s, crashed, slog.New(slog.DiscardHandler), nil)
		next.Handle(talked("4")) // told again
		if next.Handle(ended("5")); crashed.Len() != 4 {
			t.Error("the record of a call that nobody has answered is in memory alone")
		}
		time.Sleep(2 * gather) //nolint:forbidigo // synctest's clock
		if lost := next.Close(); lost != 0 || crashed.Len() != 0 {
			t.Errorf("lost %d records, %d are left in the journal", lost, crashed.Len())
		}
		if diff := cmp.Diff([]pbx.CallID{"2", "3", "4", "5"}, s.got); diff != "" {
			t.Errorf("written (-want +got):\n%s", diff)
		}
	})
}

// A journal that fails, too, leaves the records in memory.
func TestRecordsWaitInMemoryIfTheJournalFailsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, kept := &store{broken: true}, &memjournal.Journal{}
		kept.Fail(errors.New("disk full"))
		r := NewRecorder(s, kept, slog.New(slog.DiscardHandler), nil)
		r.Handle(ended("1"))
		time.Sleep(2 * gather) //nolint:forbidigo // synctest's clock
		synctest.Wait()
		if r.Stats().Waiting != 1 || kept.Len() != 0 {
			t.Errorf("%+v, %d in the journal", r.Stats(), kept.Len())
		}
		s.set(false)
		if lost := r.Close(); lost != 0 || len(s.got) != 1 {
			t.Errorf("lost %d, written %v", lost, s.got)
		}
	})
}
