package call

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media"
)

// shelf is a recorder of which only the books are kept.
type shelf struct {
	mu      sync.Mutex
	full    bool
	running map[pbx.CallID]time.Time
	done    map[pbx.CallID]pbx.Recording
}

func newShelf() *shelf {
	return &shelf{running: map[pbx.CallID]time.Time{}, done: map[pbx.CallID]pbx.Recording{}}
}

// label is a tap that is only a name.
type label pbx.CallID

func (label) Audio(media.Side, media.Format, uint32, time.Duration, []byte) {}

func (s *shelf) Start(id pbx.CallID, began time.Time) (media.Tap, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return nil, ""
	}
	s.running[id] = began
	return label(id), string(id) + ".wav"
}

func (s *shelf) Stop(id pbx.CallID, at time.Time) pbx.Recording {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := s.running[id]
	delete(s.running, id)
	s.done[id] = pbx.Recording{File: string(id) + ".wav", Started: began, Duration: at.Sub(began)}
	return s.done[id]
}

func (f *fakeLeg) tapped() media.Tap {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tap
}

// taped is a drama of a company that records.
func taped(t *testing.T, extensions []string, f func(*rig, *shelf)) {
	t.Helper()
	s := newShelf()
	drama(t, extensions, func(r *rig) {
		r.e.cfg.Recordings = s
		doc := *r.doc
		doc.Recording.Mode = "All"
		r.doc = &doc
		f(r, s)
	})
	if len(s.running) > 0 {
		t.Errorf("%d recordings run on", len(s.running))
	}
}

func TestTheCallerIsTapedThroughAPull(t *testing.T) {
	taped(t, []string{"101", "102"}, func(r *rig, s *shelf) {
		in := r.outside("025550101")
		desk := r.w.to(t, "101")
		r.pass(3 * time.Second)
		if in.tapped() != nil || len(s.running) != 0 {
			t.Error("a call is recorded before it is answered")
		}
		r.answers(desk)
		id := r.only().ID
		if in.tapped() != label(id) || desk.tapped() != nil {
			t.Error("the caller's leg is not tapped, or another one is")
		}
		if rec := r.only().Recording; rec.File != string(id)+".wav" || !rec.Started.Equal(r.only().Answered) {
			t.Errorf("the live call says %+v", rec)
		}
		r.pass(4 * time.Second)
		if err := r.pull("101", pbx.ToMobile); err != nil {
			t.Fatal(err)
		}
		mobile := r.w.to(t, "01012345678")
		r.answers(mobile)
		r.press(mobile, '1')
		r.wantTalk(in, mobile)
		r.pass(6 * time.Second)
		if in.tapped() == nil || len(s.running) != 1 {
			t.Error("the pull ended the recording")
		}
		mobile.hangUp(pbx.Cause{SIP: 200, Q850: 16})
		r.pass(0)
		if in.tapped() != nil {
			t.Error("the tap hangs on the leg of an ended call")
		}
		rec := r.wantEvents(pbx.EventEnded, 1)[0].Call.Recording
		if rec.Duration != 10*time.Second || rec != s.done[id] {
			t.Errorf("the record says %+v, the recorder %+v", rec, s.done[id])
		}
	})
}

// In a call back the phone that was lifted is the caller.
func TestACallBackIsTaped(t *testing.T) {
	taped(t, []string{"101", "102"}, func(r *rig, s *shelf) {
		if _, err := r.e.CallBack(context.Background(), pbx.CallBack{Extension: "101", Number: "102"}); err != nil {
			t.Fatal(err)
		}
		r.pass(0)
		first := r.w.to(t, "101")
		r.answers(first)
		if first.tapped() != nil {
			t.Error("ringback is recorded")
		}
		r.answers(r.w.to(t, "102"))
		if first.tapped() == nil || r.w.to(t, "102").tapped() != nil {
			t.Error("the caller's leg is not tapped, or another one is")
		}
	})
}

func TestOthersAreNotTaped(t *testing.T) {
	for name, change := range map[string]func(*rig, *shelf){
		"off":         func(r *rig, _ *shelf) { r.doc.Recording.Mode = "Off" },
		"on demand":   func(r *rig, _ *shelf) { r.doc.Recording.Mode = "OnDemand" },
		"no recorder": func(r *rig, _ *shelf) { r.e.cfg.Recordings = nil },
		"it refuses":  func(_ *rig, s *shelf) { s.full = true },
	} {
		t.Run(name, func(t *testing.T) {
			taped(t, []string{"101", "102"}, func(r *rig, s *shelf) {
				change(r, s)
				in := r.extension("101", "102")
				r.answers(r.w.to(t, "102"))
				if in.tapped() != nil || r.only().Recording != (pbx.Recording{}) {
					t.Errorf("the call is recorded: %+v", r.only().Recording)
				}
				in.hangUp(pbx.Cause{SIP: 200, Q850: 16})
				r.pass(0)
				if rec := r.wantEvents(pbx.EventEnded, 1)[0].Call.Recording; rec != (pbx.Recording{}) || len(s.done) != 0 {
					t.Errorf("the record says %+v", rec)
				}
			})
		})
	}
}

// A call that ends by a fault of ours keeps what was recorded.
func TestAFaultEndsTheRecording(t *testing.T) {
	taped(t, []string{"101", "102"}, func(r *rig, s *shelf) {
		r.extension("101", "102")
		r.answers(r.w.to(t, "102"))
		r.pass(2 * time.Second)
		r.e.mu.Lock()
		call := r.e.calls[r.idOnly()]
		r.e.mu.Unlock()
		call.put(fault{})
		r.pass(0)
		if rec := r.wantEvents(pbx.EventEnded, 1)[0].Call.Recording; rec.Duration != 2*time.Second {
			t.Errorf("the record says %+v", rec)
		}
	})
}

func (r *rig) idOnly() pbx.CallID {
	for id := range r.e.calls {
		return id
	}
	return ""
}

// fault is a bug.
type fault struct{}

func (fault) apply(*machine) { panic("a bug") }
