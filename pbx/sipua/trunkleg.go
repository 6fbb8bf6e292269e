package sipua

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
	"github.com/dipcast/dipcast/pbx/trunk"
)

// trunkHost is a trunk's host as the leg knows it.
type trunkHost = conf.TrunkHost

// acquire takes one of the trunk's call slots; legs of phones need none.
func (l *sipLeg) acquire(name string) bool {
	if name == "" {
		return true
	}
	release, ok := l.t.cfg.trunks.Acquire(name)
	if ok {
		l.release = release
	}
	return ok
}

// trunkAddr is the address that decides the family of the leg's media port.
func (l *sipLeg) trunkAddr() netip.Addr {
	for _, h := range l.t.cfg.trunks.Hosts(l.trunk) {
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
	for _, h := range l.t.cfg.trunks.Hosts(l.trunk) {
		uri := sip.Uri{Scheme: "sip", User: userPart(l.uac.d.Target.Number), Host: h.Host, Port: h.Port}
		host := h.TrunkHost
		for _, to := range l.hopsOf(h, uri) {
			if !local.IsValid() || local.Is4() == to.addr.Addr().Unmap().Is4() {
				out = append(out, place{uri: uri.String(), to: to, host: &host})
			}
		}
	}
	return out
}

// hopsOf returns a host's addresses, looked up if the trunk does not know them.
func (l *sipLeg) hopsOf(h trunk.Host, uri sip.Uri) []hop {
	transport := strings.ToUpper(h.Transport)
	if transport == "" {
		transport = "UDP"
	}
	var out []hop
	for _, a := range h.Addrs {
		out = append(out, hop{transport, netip.AddrPortFrom(a.Addr().Unmap(), a.Port())})
	}
	if len(out) > 0 {
		return out
	}
	ctx, cancel := context.WithTimeout(l.t.ctx, l.t.cfg.timers.host)
	defer cancel()
	out, err := l.t.cfg.sender.resolve(ctx, uri, transport)
	if err != nil {
		l.log.Warn("a host of the trunk has no address", "host", h.Host, "error", err)
	}
	return out
}

// hostFailed tells the trunk that a host did not answer.
func (l *sipLeg) hostFailed(a *attempt) {
	if a.at.host != nil {
		l.t.cfg.trunks.Failed(l.trunk, *a.at.host)
	}
}

// trunkCredentials answers a challenge with the trunk's password: only on a
// leg of a trunk, only to one of the trunk's own addresses, only for its realm.
func (l *sipLeg) trunkCredentials(req *sip.Request, res *sip.Response, to hop) (sip.Header, bool) {
	if l.trunk == "" {
		return nil, false
	}
	tr, ok := l.t.cfg.trunks.Trunk(l.trunk)
	if !ok {
		return nil, false
	}
	if owner, ok := l.t.cfg.trunks.Match(to.addr.Addr()); !ok || owner != l.trunk {
		l.log.Warn("a challenge from outside of the trunk was not answered", "from", to.addr.String())
		return nil, false
	}
	h, ok := credentials(req, res, tr.Username, tr.Password.Reveal(), l.t.cfg.newID(), func(realm string) bool {
		return l.t.cfg.trunks.PermitRealm(l.trunk, realm)
	})
	if !ok {
		l.log.Warn("a challenge for another realm than the trunk's was not answered")
	}
	return h, ok
}

// parties are From and To of an INVITE of ours to a place.
func (l *sipLeg) parties(p place) (local, remote dialog.Party) {
	d, domain := l.uac.d, l.doc.Tenant.Domain
	if l.trunk == "" {
		user := userPart(d.From.Number)
		if d.From.Extension != "" {
			user = userPart(d.From.Extension)
		}
		local = dialog.Party{Display: orElse(d.From.Name, d.From.Number), URI: "sip:" + user + "@" + domain, Tag: l.localTag}
		if user == "" {
			local = anonymous(l.localTag)
		}
		return local, dialog.Party{URI: "sip:" + userPart(d.Target.Contact.Extension) + "@" + domain}
	}
	remote = dialog.Party{URI: p.uri}
	if d.From.Number == "" {
		return anonymous(l.localTag), remote
	}
	return dialog.Party{URI: l.callerURI(p), Tag: l.localTag}, remote
}

// anonymous is the From of a withheld number (RFC 3323 §4.1.1.3).
func anonymous(tag string) dialog.Party {
	return dialog.Party{Display: "Anonymous", URI: "sip:anonymous@anonymous.invalid", Tag: tag}
}

// callerURI names the caller towards a trunk: a number that the trunk permits
// at the carrier's host, if we are registered there, else at our own address.
func (l *sipLeg) callerURI(p place) string {
	tr, _ := l.t.cfg.trunks.Trunk(l.trunk)
	host := l.contactAddr(p.to)
	if tr.Register {
		host = p.host.Host
		if a, err := netip.ParseAddr(host); err == nil {
			host = bracketed(a)
		}
	}
	return "sip:" + userPart(trunk.Present(tr, l.uac.d.From.Number)) + "@" + host
}

// decorate adds what a first INVITE says beyond the dialog.
func (l *sipLeg) decorate(req *sip.Request, p place) {
	d, domain := l.uac.d, l.doc.Tenant.Domain
	if m := req.MaxForwards(); m != nil && d.MaxForwards > 0 && d.MaxForwards < 70 {
		*m = sip.MaxForwardsHeader(d.MaxForwards)
	}
	if l.trunk != "" {
		tr, _ := l.t.cfg.trunks.Trunk(l.trunk)
		if tr.Identity == "PAssertedIdentity" {
			req.AppendHeader(sip.NewHeader("P-Asserted-Identity", "<"+l.callerURI(p)+">"))
		}
	}
	if d.From.Number == "" && d.From.Extension == "" {
		req.AppendHeader(sip.NewHeader("Privacy", "id"))
	}
	if div := userPart(d.Diverted); div != "" {
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

// caller is who sent an incoming INVITE, as far as admission proved it.
func (l *sipLeg) caller(id identity) pbx.Party {
	req := l.uas.in.req
	if id.extension != "" {
		p := pbx.Party{Number: id.extension, Extension: id.extension}
		if i := slices.IndexFunc(l.doc.Extensions, func(e conf.Extension) bool { return e.Number == id.extension }); i >= 0 {
			p.Name = l.doc.Extensions[i].DisplayName
		}
		return p
	}
	p := pbx.Party{Trunk: id.trunk, Name: req.From().DisplayName, Number: req.From().Address.User}
	// A carrier's assertion is worth more than the From (RFC 3325 §9.1).
	if name, uri, ok := assertedIn(req); ok {
		p.Number = uri.User
		p.Name = orElse(name, p.Name)
		if uri.User == "" {
			p.Number = uri.Raw()
		}
	}
	p.Number, _, _ = strings.Cut(p.Number, ";")
	if withheld(req) {
		p.Number, p.Name = "", ""
	}
	return p
}

func assertedIn(req *sip.Request) (string, sip.Uri, bool) {
	for _, h := range req.GetHeaders("P-Asserted-Identity") {
		var uri sip.Uri
		params := sip.NewParams()
		name, err := sip.ParseAddressValue(h.Value(), &uri, &params)
		if err == nil && (uri.User != "" || uri.Raw() != "") {
			return name, uri, true
		}
	}
	return "", sip.Uri{}, false
}

// withheld reports whether the caller wants its number kept from the called
// party.
func withheld(req *sip.Request) bool {
	for _, p := range strings.FieldsFunc(strings.ToLower(value(req, "Privacy")), func(r rune) bool { return r == ';' || r == ',' || r == ' ' }) {
		if p == "id" || p == "user" || p == "header" {
			return true
		}
	}
	a := req.From().Address
	return strings.EqualFold(a.User, "anonymous") || strings.HasSuffix(strings.ToLower(a.Host), "anonymous.invalid") || a.User == ""
}

// dialled are the digits of the called number as they came. A trunk may name
// it elsewhere than in the Request-URI.
func (l *sipLeg) dialled() string {
	req := l.uas.in.req
	uri := req.Recipient
	if tr, ok := l.t.cfg.trunks.Trunk(l.trunk); l.trunk != "" && ok {
		switch tr.CalledFrom {
		case "To":
			uri = req.To().Address
		case "PCalledPartyID":
			var u sip.Uri
			params := sip.NewParams()
			if _, err := sip.ParseAddressValue(value(req, "P-Called-Party-ID"), &u, &params); err == nil {
				uri = u
			}
		}
	}
	user := uri.User
	if user == "" {
		user = uri.Raw() // tel:
	}
	user, _, _ = strings.Cut(user, ";")
	return strings.ReplaceAll(user, "%23", "#")
}

// emergency reports whether an emergency number was dialled, with or without
// the outside prefix.
func (l *sipLeg) emergency() bool {
	n, num := l.dialled(), l.doc.Numbering
	return slices.Contains(num.Emergency, n) ||
		(num.OutsidePrefix != "" && slices.Contains(num.Emergency, strings.TrimPrefix(n, num.OutsidePrefix)))
}
