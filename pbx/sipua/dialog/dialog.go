package dialog

import (
	"slices"
	"strings"
)

// State is how far a dialog has come. It moves forward only.
type State string

// The states of a dialog. New is a UAC's before the first response with a tag.
const (
	New        State = "new"
	Early      State = "early"
	Confirmed  State = "confirmed"
	Terminated State = "terminated"
)

// Party is one end of a dialog: the name-addr and tag of From or To.
type Party struct {
	Display string `json:"display,omitempty"`
	URI     string `json:"uri"`
	Tag     string `json:"tag,omitempty"`
}

// Dialog is one dialog from our side.
type Dialog struct {
	CallID string `json:"callID"`
	Local  Party  `json:"local"`
	Remote Party  `json:"remote"`
	// Caller is true if we sent the INVITE that made the dialog: we then own
	// the Call-ID, which decides glare (RFC 3261 §14.1).
	Caller bool  `json:"caller"`
	State  State `json:"state"`
	// Target is the peer's Contact, the Request-URI of our requests; Routes
	// is the route set in the order in which we write it.
	Target string   `json:"target"`
	Routes []string `json:"routes,omitempty"`
	Secure bool     `json:"secure,omitempty"` // made by a sips: URI (§12.1)

	LocalSeq  uint32 `json:"localSeq"`  // last CSeq number that we used
	RemoteSeq uint32 `json:"remoteSeq"` // last CSeq number of the peer, 0 = none
	// InviteSeq is the CSeq number of our last INVITE: what its ACK carries.
	InviteSeq uint32 `json:"inviteSeq,omitempty"`

	Reliable Reliable `json:"reliable,omitzero"`
	Offer    Offer    `json:"offer,omitzero"`
	Timer    Timer    `json:"timer,omitzero"`

	// Allow and Supported are what the peer last said of itself.
	Allow     []string `json:"allow,omitempty"`
	Supported []string `json:"supported,omitempty"`
}

// NewCaller returns the dialog of an INVITE that we are about to send: the
// first Request has sequence number seq.
func NewCaller(callID string, local, remote Party, target string, routes []string, seq uint32) *Dialog {
	return &Dialog{
		CallID: callID, Local: local, Remote: remote, Caller: true, State: New,
		Target: target, Routes: routes, LocalSeq: seq - 1,
		Secure: strings.HasPrefix(strings.ToLower(target), "sips:"),
	}
}

// NewCallee returns the early dialog that an INVITE makes at its receiver
// (§12.1.1). recordRoute is in the order of the request.
func NewCallee(callID string, local, remote Party, target string, recordRoute []string, seq uint32, secure bool) *Dialog {
	return &Dialog{
		CallID: callID, Local: local, Remote: remote, State: Early,
		Target: target, Routes: slices.Clone(recordRoute), RemoteSeq: seq, Secure: secure,
	}
}

// Response is what a dialog takes from a response to our INVITE.
type Response struct {
	Status      int
	Tag         string // of To
	Contact     string // empty if there is none
	RecordRoute []string
}

// Fork returns the dialog that a response with a To tag makes (§12.1.2), a
// copy of d: a forked INVITE makes several. Responses without a tag are
// tolerated as peers of RFC 2543 send them.
func (d *Dialog) Fork(r Response) *Dialog {
	f := d.Clone()
	f.Remote.Tag = r.Tag
	f.Reliable = Reliable{}
	f.State = Early
	f.Routes = slices.Clone(r.RecordRoute)
	slices.Reverse(f.Routes)
	if r.Contact != "" {
		f.Target = r.Contact
	}
	if r.Status >= 200 {
		f.State = Confirmed
	}
	return f
}

// Confirm moves an early dialog of our INVITE to confirmed. The route set is
// computed again, for proxies of RFC 2543 (§13.2.2.4).
func (d *Dialog) Confirm(r Response) {
	d.State = Confirmed
	d.Routes = slices.Clone(r.RecordRoute)
	slices.Reverse(d.Routes)
	if r.Contact != "" {
		d.Target = r.Contact
	}
}

// Clone returns a deep copy.
func (d *Dialog) Clone() *Dialog {
	c := *d
	c.Routes = slices.Clone(d.Routes)
	c.Allow = slices.Clone(d.Allow)
	c.Supported = slices.Clone(d.Supported)
	return &c
}

// Request is the dialog's part of a request of ours.
type Request struct {
	Method string
	URI    string
	Routes []string
	Seq    uint32
}

// Request returns the next request in the dialog (§12.2.1.1) and counts it.
// ACK carries the number of the INVITE; CANCEL is no request of a dialog.
func (d *Dialog) Request(method string) Request {
	r := Request{Method: method, URI: d.Target, Routes: slices.Clone(d.Routes)}
	if method == "ACK" {
		r.Seq = d.InviteSeq
	} else {
		d.LocalSeq++
		r.Seq = d.LocalSeq
	}
	if method == "INVITE" {
		d.InviteSeq = r.Seq
	}
	// A first proxy without lr is a strict router: it wants to find itself in
	// the Request-URI and the target at the end of the routes.
	if len(r.Routes) > 0 && !loose(r.Routes[0]) && d.State != New {
		r.URI = strings.Trim(r.Routes[0], "<> ")
		r.Routes = append(r.Routes[1:], "<"+d.Target+">")
	}
	return r
}

// loose reports whether a route's URI has the lr parameter.
func loose(route string) bool {
	if i := strings.IndexByte(route, '>'); i >= 0 {
		route = route[:i]
	}
	for _, p := range strings.Split(route, ";")[1:] {
		name, _, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "lr") {
			return true
		}
	}
	return false
}

// Allows reports whether the peer said that it takes a method.
func (d *Dialog) Allows(method string) bool { return slices.Contains(d.Allow, method) }

// Supports reports whether the peer named an option tag.
func (d *Dialog) Supports(option string) bool { return slices.Contains(d.Supported, option) }
