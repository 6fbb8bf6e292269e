package dialog

import "errors"

// OfferState says whose offer waits for an answer.
type OfferState string

// The states of offer and answer.
const (
	Stable OfferState = ""
	Local  OfferState = "local"  // we offered
	Remote OfferState = "remote" // the peer offered
)

// Offer is the state of offer and answer in a dialog, and the INVITE
// transactions that it may hang on. At most one offer is open at a time.
type Offer struct {
	State OfferState `json:"state,omitempty"`
	// LocalInvite and RemoteInvite: an INVITE of that side inside the dialog
	// has no final response yet, or its 2xx no ACK.
	LocalInvite  bool `json:"localInvite,omitempty"`
	RemoteInvite bool `json:"remoteInvite,omitempty"`
}

// ErrOpen is what an offer gets while another one is open.
var ErrOpen = errors.New("another offer is open")

// ErrNone is what an answer gets if there is no offer that it could answer.
var ErrNone = errors.New("there is no offer to answer")

// Send notes that we send an offer.
func (o *Offer) Send() error { return o.open(Local) }

// Receive notes that an offer came.
func (o *Offer) Receive() error { return o.open(Remote) }

func (o *Offer) open(by OfferState) error {
	if o.State != Stable {
		return ErrOpen
	}
	o.State = by
	return nil
}

// Answered notes that the answer to our offer came, Answer that we answered
// the peer's.
func (o *Offer) Answered() error { return o.end(Local) }

// Answer notes that we answered the peer's offer.
func (o *Offer) Answer() error { return o.end(Remote) }

func (o *Offer) end(by OfferState) error {
	if o.State != by {
		return ErrNone
	}
	o.State = Stable
	return nil
}

// Refused closes whatever offer is open: a final response other than 2xx.
func (o *Offer) Refused() { o.State = Stable }

// MayInvite reports whether a re-INVITE of ours may be sent now
// (RFC 3261 §14.1).
func (d *Dialog) MayInvite() bool {
	return d.State == Confirmed && d.Offer == Offer{}
}

// MayUpdate reports whether an UPDATE of ours may be sent now: with an offer
// if body is true (RFC 3311 §5.1).
func (d *Dialog) MayUpdate(body bool) bool {
	if d.State == New || d.State == Terminated || !d.Allows("UPDATE") {
		return false
	}
	return !body || (d.Offer.State == Stable && !d.Offer.RemoteInvite)
}
