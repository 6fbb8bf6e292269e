package legs

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/message"
	"github.com/dipcast/dipcast/pbx/trunk"
)

// trunkHost is a trunk's host as the leg knows it.
type trunkHost = conf.TrunkHost

// acquire takes one of the trunk's call slots; legs of phones need none.
func (l *sipLeg) acquire(name string) bool {
	if name == "" {
		return true
	}
	release, ok := l.t.cfg.Trunks.Acquire(name)
	if ok {
		l.release = release
	}
	return ok
}

// trunkAddr is the address that decides the family of the leg's media port.
func (l *sipLeg) trunkAddr() netip.Addr {
	for _, h := range l.t.cfg.Trunks.Hosts(l.trunk) {
		if len(h.Addrs) > 0 {
			return h.Addrs[0].Addr()
		}
	}
	return netip.Addr{}
}

// trunkPlaces are the addresses of the trunk's hosts in order of trial, those
// of another family than our media port left out.
func (l *sipLeg) trunkPlaces() []place {
	var out []place
	local := l.port.Local().Addr().Unmap()
	for _, h := range l.t.cfg.Trunks.Hosts(l.trunk) {
		uri := sip.Uri{Scheme: "sip", User: message.UserPart(l.uac.d.Target.Number), Host: h.Host, Port: h.Port}
		host := h.TrunkHost
		for _, to := range l.hopsOf(h, uri) {
			if !local.IsValid() || local.Is4() == to.Addr.Addr().Unmap().Is4() {
				out = append(out, place{uri: uri.String(), to: to, host: &host})
			}
		}
	}
	return out
}

// hopsOf returns a host's addresses, looked up if the trunk does not know them.
func (l *sipLeg) hopsOf(h trunk.Host, uri sip.Uri) []edge.Hop {
	transport := strings.ToUpper(h.Transport)
	if transport == "" {
		transport = "UDP"
	}
	var out []edge.Hop
	for _, a := range h.Addrs {
		out = append(out, edge.Hop{Transport: transport, Addr: netip.AddrPortFrom(a.Addr().Unmap(), a.Port())})
	}
	if len(out) > 0 {
		return out
	}
	ctx, cancel := context.WithTimeout(l.t.ctx, l.t.cfg.Timers.Host)
	defer cancel()
	out, err := l.t.cfg.Sender.Resolve(ctx, &uri, transport)
	if err != nil {
		l.log().Warn("a host of the trunk has no address", "host", h.Host, "error", err)
	}
	return out
}

// hostFailed tells the trunk that a host did not answer.
func (l *sipLeg) hostFailed(a *attempt) {
	if a.at.host != nil {
		l.t.cfg.Trunks.Failed(l.trunk, *a.at.host)
	}
}

// trunkCredentials answers a challenge with the trunk's password: only on a
// leg of a trunk, only to one of the trunk's own addresses, only for its realm.
func (l *sipLeg) trunkCredentials(req *sip.Request, res *sip.Response, to edge.Hop) (sip.Header, bool) {
	if l.trunk == "" {
		return nil, false
	}
	tr, ok := l.t.cfg.Trunks.Trunk(l.trunk)
	if !ok {
		return nil, false
	}
	if owner, ok := l.t.cfg.Trunks.Match(to.Addr.Addr()); !ok || owner != l.trunk {
		l.log().Warn("a challenge from outside of the trunk was not answered", "from", to.Addr.String())
		return nil, false
	}
	h, ok := message.Credentials(req, res, tr.Username, tr.Password.Reveal(), l.t.cfg.NewID(), func(realm string) bool {
		return l.t.cfg.Trunks.PermitRealm(l.trunk, realm)
	})
	if !ok {
		l.log().Warn("a challenge for another realm than the trunk's was not answered")
	}
	return h, ok
}

// parties are From and To of an INVITE of ours to a place.
func (l *sipLeg) parties(p place) (local, remote dialog.Party) {
	d, domain := l.uac.d, l.doc.Tenant.Domain
	if l.trunk == "" {
		user := message.UserPart(d.From.Number)
		if d.From.Extension != "" {
			user = message.UserPart(d.From.Extension)
		}
		local = dialog.Party{Display: message.OrElse(d.From.Name, d.From.Number), URI: "sip:" + user + "@" + domain, Tag: l.localTag}
		if user == "" {
			local = message.Anonymous(l.localTag)
		}
		return local, dialog.Party{URI: "sip:" + message.UserPart(d.Target.Contact.Extension) + "@" + domain}
	}
	remote = dialog.Party{URI: p.uri}
	if d.From.Number == "" {
		return message.Anonymous(l.localTag), remote
	}
	return dialog.Party{URI: l.callerURI(p), Tag: l.localTag}, remote
}

// callerURI names the caller towards a trunk: a number that the trunk permits
// at the carrier's host, if we are registered there, else at our own address.
func (l *sipLeg) callerURI(p place) string {
	tr, _ := l.t.cfg.Trunks.Trunk(l.trunk)
	host := l.contactAddr(p.to)
	if tr.Register {
		host = p.host.Host
		if a, err := netip.ParseAddr(host); err == nil {
			host = message.Bracketed(a)
		}
	}
	return "sip:" + message.UserPart(trunk.Present(tr, l.uac.d.From.Number)) + "@" + host
}

// decorate adds what a first INVITE says beyond the dialog.
func (l *sipLeg) decorate(req *sip.Request, p place) {
	d, domain := l.uac.d, l.doc.Tenant.Domain
	if m := req.MaxForwards(); m != nil && d.MaxForwards > 0 && d.MaxForwards < 70 {
		*m = sip.MaxForwardsHeader(d.MaxForwards)
	}
	if l.trunk != "" {
		tr, _ := l.t.cfg.Trunks.Trunk(l.trunk)
		if tr.Identity == "PAssertedIdentity" {
			req.AppendHeader(sip.NewHeader("P-Asserted-Identity", "<"+l.callerURI(p)+">"))
		}
	}
	if d.From.Number == "" && d.From.Extension == "" {
		req.AppendHeader(sip.NewHeader("Privacy", "id"))
	}
	if div := message.UserPart(d.Diverted); div != "" {
		at := domain
		if l.trunk != "" {
			at = l.contactAddr(p.to)
		}
		uri := "<sip:" + div + "@" + at + ">"
		req.AppendHeader(sip.NewHeader("Diversion", uri+";reason=unknown"))
		req.AppendHeader(sip.NewHeader("History-Info", uri+";index=1, <"+p.uri+">;index=1.1;mp=1"))
	}
	if d.AutoAnswer {
		req.AppendHeader(sip.NewHeader("Answer-Mode", "Auto"))
		req.AppendHeader(sip.NewHeader("Call-Info", "<sip:"+domain+">;answer-after=0"))
		req.AppendHeader(sip.NewHeader("Alert-Info", "<http://"+domain+">;info=alert-autoanswer;delay=0"))
	}
}

// incoming is what the receiver is told of an INVITE: who sent it, as far as
// admission proved it, and the called number as it came.
func (l *sipLeg) incoming(req *sip.Request, id edge.Identity) leg.Incoming {
	in := leg.Incoming{Leg: l, Codec: l.sdp.Stream.Codec.Name, MaxForwards: message.MaxForwards(req)}
	if id.Extension != "" {
		in.From = pbx.Party{Number: id.Extension, Extension: id.Extension}
		for i := range l.doc.Extensions {
			if e := &l.doc.Extensions[i]; e.Number == id.Extension {
				in.From.Name = e.DisplayName
				break
			}
		}
		in.Dialled = message.Called(req, "")
	} else {
		in.From = message.Caller(req, id.Trunk)
		tr, _ := l.t.cfg.Trunks.Trunk(id.Trunk)
		in.Dialled = message.Called(req, tr.CalledFrom)
	}
	in.Emergency = l.emergency(in.Dialled)
	return in
}

// emergency reports whether an emergency number was dialled, with or without
// the outside prefix.
func (l *sipLeg) emergency(n string) bool {
	num := l.doc.Numbering
	return slices.Contains(num.Emergency, n) ||
		(num.OutsidePrefix != "" && slices.Contains(num.Emergency, strings.TrimPrefix(n, num.OutsidePrefix)))
}
