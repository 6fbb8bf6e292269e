package message

import (
	"net/netip"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
	"github.com/dipcast/dipcast/pbx/trunk"
)

// Invitation is what a first INVITE of ours says of the two who are to talk.
type Invitation struct {
	Dial   leg.Dial
	Domain string      // the tenant's
	Trunk  *conf.Trunk // nil for a phone
	URI    string      // where it goes
	Host   string      // of the trunk, as the document names it
	Own    string      // our own address as that place must see it
}

// Parties are From and To; tag is ours.
func (i *Invitation) Parties(tag string) (local, remote dialog.Party) {
	from := i.Dial.From
	if i.Trunk == nil {
		user := UserPart(from.Number)
		if from.Extension != "" {
			user = UserPart(from.Extension)
		}
		local = dialog.Party{Display: OrElse(from.Name, from.Number), URI: "sip:" + user + "@" + i.Domain, Tag: tag}
		if user == "" {
			local = Anonymous(tag)
		}
		return local, dialog.Party{URI: "sip:" + UserPart(i.Dial.Target.Contact.Extension) + "@" + i.Domain}
	}
	remote = dialog.Party{URI: i.URI}
	if from.Number == "" {
		return Anonymous(tag), remote
	}
	return dialog.Party{URI: i.caller(), Tag: tag}, remote
}

// caller names the caller towards a trunk: a number that the trunk permits at
// the carrier's host, if we are registered there, else at our own address.
func (i *Invitation) caller() string {
	host := i.Own
	if i.Trunk.Register {
		host = i.Host
		if a, err := netip.ParseAddr(host); err == nil {
			host = Bracketed(a)
		}
	}
	return "sip:" + UserPart(trunk.Present(*i.Trunk, i.Dial.From.Number)) + "@" + host
}

// Decorate adds what the INVITE says beyond the dialog.
func (i *Invitation) Decorate(req *sip.Request) {
	d := &i.Dial
	if m := req.MaxForwards(); m != nil && d.MaxForwards > 0 && d.MaxForwards < 70 {
		*m = sip.MaxForwardsHeader(d.MaxForwards)
	}
	if i.Trunk != nil && i.Trunk.Identity == "PAssertedIdentity" {
		req.AppendHeader(sip.NewHeader("P-Asserted-Identity", "<"+i.caller()+">"))
	}
	if d.From.Number == "" && d.From.Extension == "" {
		req.AppendHeader(sip.NewHeader("Privacy", "id"))
	}
	if div := UserPart(d.Diverted); div != "" {
		at := i.Domain
		if i.Trunk != nil {
			at = i.Own
		}
		uri := "<sip:" + div + "@" + at + ">"
		req.AppendHeader(sip.NewHeader("Diversion", uri+";reason=unknown"))
		req.AppendHeader(sip.NewHeader("History-Info", uri+";index=1, <"+i.URI+">;index=1.1;mp=1"))
	}
	if d.AutoAnswer {
		req.AppendHeader(sip.NewHeader("Answer-Mode", "Auto"))
		req.AppendHeader(sip.NewHeader("Call-Info", "<sip:"+i.Domain+">;answer-after=0"))
		req.AppendHeader(sip.NewHeader("Alert-Info", "<http://"+i.Domain+">;info=alert-autoanswer;delay=0"))
	}
}
