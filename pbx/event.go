package pbx

import "time"

// EventType says what happened to a call.
type EventType string

// The events of a call, in the order in which a plain call has them.
const (
	// EventStarted: an INVITE was accepted for routing.
	EventStarted EventType = "started"
	// EventOffered: the call begins to ring the extension in Event.Extension,
	// whether or not a phone of it is registered. The bot sends its card now.
	EventOffered EventType = "offered"
	// EventRinging: the leg in Event.Leg reports that it rings.
	EventRinging EventType = "ringing"
	// EventAnswered: the leg in Event.Leg talks with the caller for the first
	// time in this call.
	EventAnswered EventType = "answered"
	// EventPulling: a pull was accepted; the target in Event.PullTo rings.
	EventPulling EventType = "pulling"
	// EventPulled: a pull succeeded, the caller talks with its target.
	EventPulled EventType = "pulled"
	// EventPullFailed: a pull came to nothing and the call went back to where
	// it was; Event.Err says why.
	EventPullFailed EventType = "pull-failed"
	// EventResumed: another process began the call, and this one goes on with
	// it. It comes in place of those that were told before.
	EventResumed EventType = "resumed"
	// EventLegEnded: the leg in Event.Leg is over; its quality is final.
	EventLegEnded EventType = "leg-ended"
	// EventUnanswered: the extension in Event.Extension was offered the call
	// and somebody gave up before it was answered by anybody: a missed call.
	EventUnanswered EventType = "unanswered"
	// EventEnded: every leg is over. The last event of a call.
	EventEnded EventType = "ended"
)

// Event is one fact about one call. Call is the snapshot right after it.
type Event struct {
	Type      EventType `json:"type"`
	Time      time.Time `json:"time"`
	Call      Call      `json:"call"`
	Leg       LegID     `json:"leg,omitempty"`
	Extension string    `json:"extension,omitempty"`
	PullTo    PullTo    `json:"pullTo,omitempty"`
	Err       *Error    `json:"error,omitempty"`
}

// EventSink receives the events of all calls of a tenant in order per call.
// Handle must not block and must not keep the call's goroutine waiting: a
// slow consumer queues or drops by itself.
type EventSink interface {
	Handle(Event)
}

// EventSinks hands each event to every sink in turn.
type EventSinks []EventSink

// Handle implements EventSink.
func (s EventSinks) Handle(e Event) {
	for _, sink := range s {
		sink.Handle(e)
	}
}
