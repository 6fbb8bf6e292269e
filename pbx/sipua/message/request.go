package message

import (
	"errors"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/sipua/dialog"
)

// ErrBadTarget is what a Request-URI that cannot be parsed leads to.
var ErrBadTarget = errors.New("the peer's contact is no URI that requests can be sent to")

// NewRequest makes a request of a dialog; contact is ours.
func NewRequest(d *dialog.Dialog, r dialog.Request, contact sip.Uri) (*sip.Request, error) {
	var uri, local, remote sip.Uri
	if sip.ParseUri(r.URI, &uri) != nil || sip.ParseUri(d.Local.URI, &local) != nil || sip.ParseUri(d.Remote.URI, &remote) != nil {
		return nil, ErrBadTarget
	}
	if uri.Scheme == "sips" {
		contact.Scheme = "sips" // RFC 3261 §8.1.1.8
	}
	req := sip.NewRequest(sip.RequestMethod(r.Method), uri)
	for _, route := range r.Routes {
		req.AppendHeader(sip.NewHeader("Route", route))
	}
	from := &sip.FromHeader{DisplayName: Quotable(d.Local.Display), Address: local, Params: sip.NewParams()}
	from.Params.Add("tag", d.Local.Tag)
	rcpt := &sip.ToHeader{DisplayName: Quotable(d.Remote.Display), Address: remote, Params: sip.NewParams()}
	if d.Remote.Tag != "" {
		rcpt.Params.Add("tag", d.Remote.Tag)
	}
	callID, forwards := sip.CallIDHeader(d.CallID), sip.MaxForwardsHeader(70)
	req.AppendHeader(from)
	req.AppendHeader(rcpt)
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: r.Seq, MethodName: req.Method})
	req.AppendHeader(&forwards)
	if req.Method == sip.INVITE || req.Method == sip.UPDATE {
		req.AppendHeader(&sip.ContactHeader{Address: contact})
		req.AppendHeader(sip.NewHeader("Allow", dialog.Methods))
		req.AppendHeader(sip.NewHeader("Supported", Supported))
		if se, minSE := d.Timer.Ask(); se != "" {
			req.AppendHeader(sip.NewHeader("Session-Expires", se))
			req.AppendHeader(sip.NewHeader("Min-SE", minSE))
		}
	}
	return req, nil
}
