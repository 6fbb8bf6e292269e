package call

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call/outcome"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/dialplan"
	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/pbxtest/memjournal"
)

// throughTheJournal is the state as another process reads it.
func throughTheJournal(t interface{ Fatal(...any) }, s State) State {
	store := &memjournal.Journal{}
	table := journal.NewTable[State](store, Kind)
	k := s.Kept()
	if _, err := table.Put(string(s.ID), &k, 0); err != nil {
		t.Fatal(err)
	}
	return *table.All()[string(s.ID)]
}

// talking is a call from outside that 101 has answered; "c-1" talks.
func talking() *sim {
	m := arrive(outsider, "025550101")
	m.feed(start{})
	m.feed(legAnswered{"c-1"})
	m.feed(legOver{Leg: "c-2"}) // the other phone of 101
	return m
}

// backTo is a call back of 103 whose phone was lifted: "c-1" is the caller.
func backTo(number string) *sim {
	m := newSim(pbx.Party{Extension: "103", Number: "103"}, number, true)
	m.s.Back = &Back{Phone: dialplan.Phone{Extension: "103"}}
	m.feed(start{})
	m.feed(legAnswered{"c-1"})
	return m
}

// restarted is a call at a crash, and what another process does with it.
type restarted struct {
	call  *sim
	first func(*sim)
	live  []pbx.LegID
	want  []string
}

// restarts are the phases that a call can be in.
func restarts() map[string]restarted {
	return map[string]restarted{
		"two who talk go on": {
			call: talking(), live: []pbx.LegID{"in", "c-1"},
			want: []string{"event resumed", "hear in -> c-1", "hear c-1 -> in"},
		},
		"one who holds": {
			call: talking(), first: func(m *sim) { m.feed(legHeld{"c-1", true}) }, live: []pbx.LegID{"in", "c-1"},
			want: []string{"event resumed", "hear in -> c-1", "play in hold", "hear c-1 -> in"},
		},
		"the callee is lost": {
			call: talking(), live: []pbx.LegID{"in"},
			want: []string{
				"event resumed", "hear c-1 -> nobody", "hear in -> nobody", "event leg-ended c-1",
				"end in 503 " + outcome.LostLeg.Text,
			},
		},
		"the caller is lost": {
			call: talking(), live: []pbx.LegID{"c-1"},
			want: []string{
				"event resumed", "hear in -> nobody", "hear c-1 -> nobody", "event leg-ended in",
				"end c-1 503 " + outcome.LostLeg.Text,
			},
		},
		"both are lost": {
			call: talking(), live: nil,
			want: []string{
				"event resumed", "hear in -> nobody", "hear c-1 -> nobody", "event leg-ended in",
				"event leg-ended c-1", "event ended",
			},
		},
		"a call that was ending": {
			call: talking(), first: func(m *sim) { m.feed(legOver{Leg: "c-1", Cause: pbx.Cause{Q850: 16, Text: "hung up"}}) },
			live: []pbx.LegID{"in"}, want: []string{"event resumed", "end in 0 hung up"},
		},
	}
}

// restartsOfPulls are those of a call that is being moved, or called back.
func restartsOfPulls() map[string]restarted {
	moving := func(to pbx.PullTo) *sim {
		m := talking()
		m.feed(m.press("101", to))
		return m
	}
	return map[string]restarted{
		"a pull to the mobile rings": {
			call: moving(pbx.ToMobile), live: []pbx.LegID{"in", "c-1"},
			want: []string{
				"event resumed", "hear in -> c-1", "hear c-1 -> in", "event leg-ended c-3",
				"event pull-failed 101 mobile failed",
			},
		},
		"a pull to the desk rings, whose presser hung up": {
			call: moving(pbx.ToDesk), first: func(m *sim) { m.feed(legOver{Leg: "c-1"}) }, live: []pbx.LegID{"in"},
			want: []string{
				"event resumed", "play in ringback", "event leg-ended c-3",
				"event pull-failed 101 desk failed", "play in nothing", "end in 480 " + outcome.NotMoved.Text,
			},
		},
		"the mobile is to confirm": {
			call: moving(pbx.ToMobile), first: func(m *sim) { m.feed(legAnswered{"c-3"}) },
			live: []pbx.LegID{"in", "c-1", "c-3"},
			want: []string{"event resumed", "hear in -> c-1", "hear c-1 -> in", "play c-3 confirm", "meter c-3 true"},
		},
		"the mobile is to confirm while the caller rings elsewhere": {
			call: func() *sim {
				m := arrive(outsider, "025550101")
				m.feed(start{})
				m.feed(m.press("101", pbx.ToMobile))
				m.feed(legAnswered{"c-3"})
				return m
			}(),
			live: []pbx.LegID{"c-3"},
			want: []string{
				"event resumed", "event leg-ended in", "event leg-ended c-1", "event leg-ended c-2", "play c-3 confirm", "meter c-3 true",
				"play c-3 nothing", "end c-3 503 " + outcome.LostLeg.Text, "event pull-failed 101 mobile gone", "event unanswered 101",
			},
		},
		"a call back rings its other party": {
			call: backTo("102"), live: []pbx.LegID{"c-1"},
			want: []string{"event resumed", "play c-1 ringback", "event leg-ended c-2", "lookUp", "dial c-3 102-a from 103"},
		},
		"an outside call back that talks": {
			call: backTo("01099998888"), first: func(m *sim) { m.feed(legAnswered{"c-2"}) }, live: []pbx.LegID{"c-1", "c-2"},
			want: []string{"event resumed", "hear c-1 -> c-2", "hear c-2 -> c-1", "meter c-2 true"},
		},
	}
}

func TestRestart(t *testing.T) {
	all := restarts()
	maps.Copy(all, restartsOfPulls())
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			m := c.call
			if c.first != nil {
				c.first(m)
			}
			m.s = throughTheJournal(t, m.s)
			m.now = m.now.Add(3 * time.Second)
			var got []string
			for _, a := range m.feed(restart{c.live}) {
				switch a := a.(type) {
				case lookUp:
					got = append(got, "lookUp")
				case meter:
					if a.Running {
						if !a.Since.Equal(morning) {
							t.Errorf("the minutes of %s begin at %s", a.Leg, a.Since)
						}
						got = append(got, "meter "+string(a.Leg)+" true")
					}
				default:
					got = append(got, text(a))
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got\n%q, want\n%q", got, c.want)
			}
		})
	}
}

// What the mobile confirms after the restart is the same pull.
func TestAPullIsConfirmedAfterARestart(t *testing.T) {
	m := talking()
	m.feed(m.press("101", pbx.ToMobile))
	m.feed(legAnswered{"c-3"})
	m.s = throughTheJournal(t, m.s)
	m.feed(restart{[]pbx.LegID{"in", "c-1", "c-3"}})
	m.feed(legDigit{"c-3", '1', true})
	if m.s.Peer != "c-3" || m.s.PulledTo != pbx.ToMobile || m.s.Leg("in").To != "c-3" {
		t.Errorf("%+v", m.s)
	}
}

func TestDeadlinesGoOnAfterARestart(t *testing.T) {
	m := talking()
	until := m.s.LongestAt
	m.s = throughTheJournal(t, m.s)
	m.now = until
	m.feed(restart{[]pbx.LegID{"in", "c-1"}})
	if !m.s.Ending || m.s.Cause.Q850 != 102 {
		t.Errorf("the longest duration has passed: %+v", m.s)
	}
}

// survivors is a world whose legs are found again by another engine.
type survivors struct {
	*world
	legs map[pbx.LegID]*fakeLeg
}

func (s *survivors) TakeUp(id pbx.LegID, l leg.Listener) (leg.Leg, bool) {
	old, ok := s.legs[id]
	if !ok {
		return nil, false
	}
	f := &fakeLeg{id: id, dial: old.dial, listener: l, world: s.world}
	s.legs[id] = f
	return f, true
}

// dying plays a process that dies: what f does is in the store that it gets,
// and its engine is left as a crash would leave it.
func dying(t *testing.T, store *memjournal.Journal, f func(*rig)) *survivors {
	t.Helper()
	w := newWorld("101", "102")
	w.autoEnd = false
	r := &rig{T: t, w: w, doc: document()}
	r.e = New(Config{Document: func() *conf.Document { return r.doc }, Dialer: w, Sink: w, Sounds: sounds{}, Journal: store})
	f(r)
	synctest.Wait()
	r.e.HandOver()
	s := &survivors{world: newWorld("101", "102"), legs: map[pbx.LegID]*fakeLeg{}}
	for _, l := range w.legs() {
		s.legs[l.id] = l
		if l.cause() != nil && !l.over && l.has("talks") {
			t.Errorf("leg %s was ended by the hand-over", l.id)
		}
	}
	return s
}

func another(s *survivors, store *memjournal.Journal) *Engine {
	doc := document()
	return New(Config{Document: func() *conf.Document { return doc }, Dialer: s, Sink: s.world, Sounds: sounds{}, Journal: store})
}

func TestAnotherEngineGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memjournal.Journal{}
		var caller, callee *fakeLeg
		s := dying(t, store, func(r *rig) {
			caller = r.outside("025550101")
			if store.Len() != 0 {
				t.Error("a call that rings is in the journal")
			}
			callee = r.w.to(t, "101")
			r.answers(callee)
		})
		s.legs[caller.id] = caller
		e := another(s, store)
		defer e.Close()
		if n := e.TakeUp(); n != 1 {
			t.Fatalf("%d calls are taken up", n)
		}
		synctest.Wait()
		a, b := s.legs[caller.id], s.legs[callee.id]
		if a.heardBy() != b || b.heardBy() != a {
			t.Error("the two do not hear each other")
		}
		if len(s.all(pbx.EventResumed)) != 1 || len(s.all(pbx.EventStarted)) != 0 || len(s.all(pbx.EventOffered)) != 0 || e.Active() != 1 {
			t.Errorf("events %v, %d calls", s.events, e.Active())
		}
		b.hangUp(pbx.Cause{Q850: 16, Text: "hung up"})
		synctest.Wait()
		ended := s.all(pbx.EventEnded)
		if len(ended) != 1 || ended[0].Call.Cause.Text != "hung up" || ended[0].Call.Answered.IsZero() || store.Len() != 1 {
			t.Fatalf("ended %+v, %d records", ended, store.Len())
		}
		// The record was not safe when this process died, too.
		again := another(&survivors{world: newWorld()}, store)
		defer again.Close()
		if n := again.TakeUp(); n != 0 {
			t.Errorf("%d calls that were over are taken up", n)
		}
		sink := again.cfg.Sink.(*world)
		if told := sink.all(pbx.EventEnded); len(told) != 1 || told[0].Call.ID != ended[0].Call.ID || !told[0].Call.Ended.Equal(ended[0].Call.Ended) {
			t.Errorf("told again: %+v", told)
		}
		again.Recorded(ended[0].Call.ID)
		if store.Len() != 0 {
			t.Error("the call is still in the journal")
		}
	})
}

// Who hands over lets calls end that nobody has answered.
func TestHandOverEndsWhatRings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memjournal.Journal{}
		w := newWorld("101", "102")
		r := &rig{T: t, w: w, doc: document()}
		r.e = New(Config{Document: func() *conf.Document { return r.doc }, Dialer: w, Sink: w, Sounds: sounds{}, Journal: store})
		caller := r.outside("025550101")
		phone := w.to(t, "101")
		r.e.HandOver()
		for _, l := range []*fakeLeg{caller, phone} {
			if c := l.cause(); c == nil || c.SIP != 503 {
				t.Errorf("leg %s: %+v", l.id, c)
			}
		}
		if store.Len() != 0 || len(w.all(pbx.EventEnded)) != 1 {
			t.Errorf("%d records, %v", store.Len(), w.events)
		}
	})
}

// Whoever hands over can see that help is on its way.
func TestHelpIsNear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("101", "102")
		r := &rig{T: t, w: w, doc: document()}
		r.e = New(Config{Document: func() *conf.Document { return r.doc }, Dialer: w, Sink: w, Sounds: sounds{}, Journal: &memjournal.Journal{}})
		defer r.e.Close()
		r.outside("025550101")
		synctest.Wait()
		if r.e.HelpIsNear() {
			t.Error("a call to a phone is taken for one to an emergency number")
		}
		r.extension("104", "119")
		synctest.Wait()
		if !r.e.HelpIsNear() {
			t.Error("a call to 119 is not noticed")
		}
		r.answers(w.to(t, "119"))
		synctest.Wait()
		if r.e.HelpIsNear() {
			t.Error("119 has answered")
		}
	})
}

// A journal that fails costs nothing but what it is for, and is tried again.
func TestAFailingJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memjournal.Journal{}
		store.Fail(errors.New("no space left"))
		w := newWorld("101")
		r := &rig{T: t, w: w, doc: document()}
		r.e = New(Config{Document: func() *conf.Document { return r.doc }, Dialer: w, Sink: w, Sounds: sounds{}, Journal: store})
		defer r.e.Close()
		caller := r.outside("025550101")
		callee := w.to(t, "101")
		r.answers(callee)
		r.wantTalk(caller, callee)
		store.Fail(nil)
		callee.listener.LegHeld(callee.id, true)
		synctest.Wait()
		if store.Len() != 1 {
			t.Error("the call is not in the journal")
		}
		writes := store.Writes()
		callee.listener.LegHeld(callee.id, true)
		synctest.Wait()
		if store.Writes() != writes {
			t.Error("what has not changed was written again")
		}
	})
}

func TestGarbageInTheJournal(t *testing.T) {
	store := &memjournal.Journal{}
	if err := store.PutAll(
		journal.Record{Kind: Kind, ID: "a", Value: []byte("\xff\xff")},
		journal.Record{Kind: Kind, ID: "b", Value: []byte{0}},
	); err != nil {
		t.Fatal(err)
	}
	e := another(&survivors{world: newWorld()}, store)
	defer e.Close()
	if n := e.TakeUp(); n != 0 || e.Active() != 0 {
		t.Errorf("%d calls of garbage", n)
	}
}

// BenchmarkKeep is what the journal costs a plain call: answered, ending, over.
func BenchmarkKeep(b *testing.B) {
	j, err := journal.Open(b.Context(), filepath.Join(b.TempDir(), "journal"), make([]byte, 32), journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	m := talking()
	states := []State{m.s.Kept()}
	m.feed(legOver{Leg: "c-1"})
	states = append(states, m.s.Kept())
	m.feed(legOver{Leg: "in"})
	states = append(states, m.s.Kept())
	table := journal.NewTable[State](j, Kind)
	for i := 0; b.Loop(); i++ {
		id := strconv.Itoa(i)
		for k := range states {
			if _, err := table.Put(id, &states[k], 0); err != nil {
				b.Fatal(err)
			}
		}
		table.Delete(id)
	}
}
