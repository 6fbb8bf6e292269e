package leg

import (
	"context"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media"
)

// Leg is one dialog with one peer. Its methods return at once and never fail:
// what comes of them is told to the leg's Listener. Each may be called in any
// state; one that makes no sense in the leg's state does nothing.
//
// Offer/answer, PRACK, UPDATE, session timers, glare and hold are the leg's
// own affair: it answers them towards its peer and tells the engine only what
// changed for people (LegHeld).
type Leg interface {
	ID() pbx.LegID
	// SIPCallID is the Call-ID of the leg's dialog, for traces.
	SIPCallID() string
	// Media is the leg's end of the audio path; never nil. It is closed by
	// the leg itself after LegOver was told.
	Media() media.Port

	// Ring answers an incoming leg with 180.
	Ring()
	// Progress opens early media towards an incoming leg's peer: 183 with SDP.
	Progress()
	// Prefer names the codec that the other side of the call speaks: SDP that
	// this leg has not answered with yet takes it if the peer offered it, so
	// that nothing must be converted.
	Prefer(codec string)
	// Answer accepts an incoming leg with 200.
	Answer()
	// End ends the leg in the way that its state asks for: a final response,
	// CANCEL or BYE with a Reason header (RFC 3326). The leg tells LegOver
	// when its dialog is over, at the latest after the transaction's timers.
	End(cause pbx.Cause)
	// Present tells the peer who it talks with now (UPDATE or re-INVITE with
	// P-Asserted-Identity, RFC 3325), where the peer supports it.
	Present(p pbx.Party)
	// SendDigit sends one key press by the way the peer negotiated.
	SendDigit(digit rune)
}

// Listener is told what happens on a leg, in order, from the leg's goroutine.
// LegOver is told exactly once and is the last call.
type Listener interface {
	// LegRinging: 180, or 183 without media.
	LegRinging(id pbx.LegID)
	// LegProgress: the peer sends early media (18x with SDP).
	LegProgress(id pbx.LegID)
	// LegAnswered: 2xx on an outgoing leg; on an incoming leg the ACK came.
	LegAnswered(id pbx.LegID)
	// LegHeld: the peer put us on hold or took us back.
	LegHeld(id pbx.LegID, held bool)
	// LegDigit: the peer pressed a key. inRTP: it came as RFC 4733 events,
	// which the media plane has relayed if the other side takes them; else it
	// came by INFO.
	LegDigit(id pbx.LegID, digit rune, inRTP bool)
	// LegSilent: no RTP for 30 s although media is expected; told again every
	// few seconds while that lasts.
	LegSilent(id pbx.LegID)
	// LegPlayed: the source given to Media().Play came to its end.
	LegPlayed(id pbx.LegID)
	// LegMoved: the peer answered with a redirection to another number of
	// ours or of the outside (3xx); the leg is over right after it.
	LegMoved(id pbx.LegID, number string)
	// LegOver: the dialog is over; the port's counters are final.
	LegOver(id pbx.LegID, cause pbx.Cause, q pbx.Quality)
}

// Target is where an outgoing leg goes: Contact for a phone, Trunk and Number
// for the outside.
type Target struct {
	Contact pbx.Contact // used if Trunk is empty
	Trunk   string
	Number  string // national digits or international digits with a leading +
}

// Dial asks for an outgoing leg.
type Dial struct {
	Leg    pbx.LegID
	Call   pbx.CallID
	Target Target
	From   pbx.Party // who is shown to the peer
	// Diverted is the number that the call was diverted from, if any
	// (Diversion and History-Info headers).
	Diverted   string
	AutoAnswer bool   // ask the phone to answer by itself (RFC 5373, Alert-Info)
	Codec      string // the other side's codec, offered first to spare transcoding; may be empty
	// MaxForwards is Incoming.MaxForwards of the leg that this one continues,
	// less one, so that loops over trunks end (RFC 3261 §16.3); 0 = 70.
	MaxForwards int
	Emergency   bool // the trunk's MaxCalls does not stand in its way
	// MoreWays says that another trunk is tried if this one fails, so that a
	// trunk that says nothing at all is given up soon.
	MoreWays bool
}

// Dialer makes outgoing legs.
type Dialer interface {
	// Dial begins a leg and returns it at once. Everything that can go wrong
	// is told as LegOver, also a target that cannot be reached at all.
	Dial(d Dial, l Listener) Leg
	// TakeUp goes on with an answered leg of an earlier process: its dialog and its
	// media go on. It reports false if nothing is known of it. A leg whose peer
	// turns out to be gone tells LegOver, as any other does.
	TakeUp(id pbx.LegID, l Listener) (Leg, bool)
	// Contacts returns the unexpired bindings of an extension.
	Contacts(extension string) []pbx.Contact
	// TrunkUp reports whether the trunk can take a call now: it exists, is
	// registered or answers, and is below its MaxCalls.
	TrunkUp(trunk string) bool
}

// Incoming is a call attempt: an INVITE that passed admission (digest or the
// trunk's address) and created a dialog.
type Incoming struct {
	Leg  Leg
	From pbx.Party // Extension or Trunk is set by who was authenticated
	// Dialled are the digits of the called number as they came.
	Dialled   string
	Emergency bool
	Codec     string // the first codec of ours that the peer offered, may be empty
	// MaxForwards is what the INVITE's header said, at least 1; 70 without one.
	MaxForwards int
}

// Receiver takes incoming calls; the engine implements it, the SIP side calls it.
type Receiver interface {
	// Receive takes the leg over and returns its listener, or an error whose
	// cause the caller answers with (limits, draining). It does not block.
	Receive(ctx context.Context, in Incoming) (Listener, *Refusal)
}

// Refusal says with which response an INVITE is refused before it becomes a
// call.
type Refusal struct {
	Cause      pbx.Cause
	RetryAfter int // seconds, 0 = none
}
