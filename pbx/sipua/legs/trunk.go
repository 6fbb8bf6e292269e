package legs

import (
	"context"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/exchange"
	"github.com/dipcast/dipcast/pbx/sipua/message"
)

// acquire takes one of the trunk's call slots, once; legs of phones need none.
func (l *sipLeg) acquire(name string) bool {
	if name == "" || l.counted {
		return true
	}
	release, ok := l.t.cfg.Trunks.Acquire(name)
	if ok {
		l.release, l.counted = release, true
	}
	return ok
}

// trunkPlaces are the addresses of the trunk's hosts in order of trial.
func (l *sipLeg) trunkPlaces() []exchange.Place {
	ctx, cancel := context.WithTimeout(l.t.ctx, l.t.cfg.Timers.Host)
	defer cancel()
	hosts := l.t.cfg.Trunks.Hosts(l.trunk)
	places, err := exchange.Places(ctx, l.t.cfg.Sender, hosts, l.uac.d.Target.Number, l.port.Local().Addr())
	if err != nil {
		l.log().Warn("a host of the trunk has no address", "error", err)
	}
	return places
}

// hostFailed tells the trunk that a host did not answer.
func (l *sipLeg) hostFailed(a *attempt) {
	if a.at.Host != nil {
		l.t.cfg.Trunks.Failed(l.trunk, *a.at.Host)
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

// invitation is what an INVITE of ours to a place says.
func (l *sipLeg) invitation(p exchange.Place) message.Invitation {
	i := message.Invitation{Dial: l.uac.d, Domain: l.doc.Tenant.Domain, URI: p.URI}
	if l.trunk != "" {
		tr, _ := l.t.cfg.Trunks.Trunk(l.trunk)
		i.Trunk, i.Host, i.Own = &tr, p.Host.Host, message.HostOf(l.t.cfg.Sender.Contact(p.To))
	}
	return i
}

// incoming is what the receiver is told of an INVITE: who sent it, as far as
// admission proved it, and the called number as it came.
func (l *sipLeg) incoming(req *sip.Request, id edge.Identity) leg.Incoming {
	tr, _ := l.t.cfg.Trunks.Trunk(id.Trunk)
	in := leg.Incoming{
		Leg: l, Codec: l.sdp.Stream.Codec.Name, MaxForwards: message.MaxForwards(req),
		From: message.From(req, l.doc, id.Extension, id.Trunk), Dialled: message.Called(req, tr.CalledFrom),
	}
	in.Emergency = l.doc.Numbering.IsEmergency(in.Dialled)
	return in
}
