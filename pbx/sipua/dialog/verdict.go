package dialog

import (
	"strings"
	"time"
)

// Incoming is what the judgement of a request inside the dialog needs.
type Incoming struct {
	Method  string
	Seq     uint32
	FromTag string
	Body    bool // it carries a session description
	// Contact is the new target of a target refresh; empty = unchanged.
	Contact string
	RAck    string   // of PRACK
	Require []string // option tags
	Session SessionExpires
}

// Verdict says how to answer a request. Status 0 means: take it.
type Verdict struct {
	Status      int
	RetryAfter  time.Duration // Retry-After of a 500
	MinSE       time.Duration // Min-SE of a 422
	Unsupported []string      // Unsupported of a 420
}

// OK reports whether the request may be taken.
func (v Verdict) OK() bool { return v.Status == 0 }

// Unknown returns the option tags of a Require header that we cannot honour.
func Unknown(require []string) []string {
	var out []string
	for _, r := range require {
		if r != "100rel" && r != "timer" {
			out = append(out, r)
		}
	}
	return out
}

// Methods are the methods that we take inside a dialog, as an Allow header
// names them.
const Methods = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO"

func serves(method string) bool {
	for m := range strings.SplitSeq(Methods, ", ") {
		if m == method {
			return true
		}
	}
	return false
}

// OnRequest judges a request inside the dialog and, if it may be taken, counts
// its sequence number and takes over its target. pick(n) returns a random
// number in [0, n).
func (d *Dialog) OnRequest(in Incoming, pick func(n int) int) Verdict {
	switch {
	case d.State == Terminated:
		return Verdict{Status: 481}
	case in.FromTag != d.Remote.Tag:
		return Verdict{Status: 481}
	case in.Method == "ACK":
		return Verdict{}
	case d.RemoteSeq != 0 && in.Seq <= d.RemoteSeq:
		// Retransmissions never come here: the transaction layer takes them.
		return Verdict{Status: 500}
	}
	d.RemoteSeq = in.Seq
	if !serves(in.Method) {
		return Verdict{Status: refusal(in.Method)}
	}
	if u := Unknown(in.Require); len(u) > 0 {
		return Verdict{Status: 420, Unsupported: u}
	}
	v := d.judge(in, pick)
	if v.OK() && (in.Method == "INVITE" || in.Method == "UPDATE") && in.Contact != "" {
		d.Target = in.Contact
	}
	return v
}

func refusal(method string) int {
	switch method {
	case "REFER":
		return 603 // transfer by the phone is not served
	case "SUBSCRIBE", "NOTIFY", "PUBLISH", "MESSAGE":
		return 405
	}
	return 501
}

// judge applies the rules of the method.
func (d *Dialog) judge(in Incoming, pick func(n int) int) Verdict {
	switch in.Method {
	case "INVITE":
		return d.judgeInvite(in, pick)
	case "UPDATE":
		return d.judgeUpdate(in, pick)
	case "PRACK":
		if !d.Reliable.Acknowledge(in.RAck) {
			return Verdict{Status: 481}
		}
		if in.Body && d.Offer.State == Remote {
			return Verdict{Status: 500, RetryAfter: retryAfter(pick)}
		}
	}
	return Verdict{}
}

// judgeInvite applies RFC 3261 §14.2 and RFC 4028 §9.
func (d *Dialog) judgeInvite(in Incoming, pick func(n int) int) Verdict {
	switch {
	case d.State != Confirmed || d.Offer.RemoteInvite || d.Offer.State == Remote:
		return Verdict{Status: 500, RetryAfter: retryAfter(pick)}
	case d.Offer.LocalInvite || d.Offer.State == Local:
		return Verdict{Status: 491}
	}
	return d.Timer.judge(in.Session)
}

// judgeUpdate applies RFC 3311 §5.2. An UPDATE without an offer meets no offer.
func (d *Dialog) judgeUpdate(in Incoming, pick func(n int) int) Verdict {
	if in.Body {
		switch {
		case d.Offer.State == Local:
			return Verdict{Status: 491}
		case d.Offer.State == Remote || d.Offer.RemoteInvite:
			return Verdict{Status: 500, RetryAfter: retryAfter(pick)}
		}
	}
	return d.Timer.judge(in.Session)
}

// retryAfter is 0 to 10 whole seconds, chosen at random (RFC 3261 §14.2).
func retryAfter(pick func(n int) int) time.Duration {
	return time.Duration(pick(11)) * time.Second
}

// Glare returns how long to wait after a 491 before the request is tried again
// (RFC 3261 §14.1), in steps of 10 ms: 2.1 to 4 s for the owner of the
// Call-ID, 0 to 2 s for the other side.
func (d *Dialog) Glare(pick func(n int) int) time.Duration {
	if d.Caller {
		return 2100*time.Millisecond + time.Duration(pick(191))*10*time.Millisecond
	}
	return time.Duration(pick(201)) * 10 * time.Millisecond
}
