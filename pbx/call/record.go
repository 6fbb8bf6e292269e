package call

import (
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/media"
)

// Recordings writes calls to files. Its methods do not wait for a disk.
type Recordings interface {
	// Start records a call from the moment it began on, and goes on with a
	// recording that another process began then. The name says where it lies;
	// the tap is nil if the call cannot be recorded.
	Start(id pbx.CallID, began time.Time) (tap media.Tap, name string)
	// Stop ends a recording at that moment and says what has come of it.
	Stop(id pbx.CallID, at time.Time) pbx.Recording
}

// records says whether a new call is to be recorded.
func (e *Engine) records(doc *conf.Document) bool {
	return e.cfg.Recordings != nil && doc.Recording.Mode == "All"
}

// record begins the recording with the first answer: one of the caller, who
// stays when the call moves. A call that another process has begun to record
// is recorded on.
func (m *machine) record() {
	s := m.s
	if !s.Record {
		return
	}
	if !s.Taping {
		s.Taping, s.Recording.Started = true, m.now
	}
	m.do(record{Leg: s.Caller, Since: s.Recording.Started})
}

func (m *machine) endRecording() {
	if m.s.Taping {
		m.do(endRecording{Leg: m.s.Caller, At: m.now})
	}
}

func (in recording) apply(m *machine) {
	s := m.s
	if s.Recording.File = in.File; in.File == "" {
		s.Taping, s.Recording = false, pbx.Recording{}
	}
}

func (in recorded) apply(m *machine) {
	m.s.Taping, m.s.Recording = false, in.Recording
}

// record hangs the recorder on the caller's port.
func (r *run) record(a record) recording {
	tap, name := r.e.cfg.Recordings.Start(r.state.ID, a.Since)
	if tap == nil {
		return recording{}
	}
	r.on(a.Leg, func(l leg.Leg) { l.Media().Tap(tap) })
	return recording{File: name}
}

func (r *run) endRecording(a endRecording) recorded {
	r.on(a.Leg, func(l leg.Leg) { l.Media().Tap(nil) })
	return recorded{r.e.cfg.Recordings.Stop(r.state.ID, a.At)}
}
