package edge

import (
	"net/netip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/sipua/digest"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// helpRate and helpBurst limit, per second and at once, the logins for calls to
// emergency numbers that are looked at although their user is banned at that
// source, or the source narrowed: a call for help must find its way, and not be
// a way to guess.
const (
	helpRate  = 0.5
	helpBurst = 10
)

// hear decides whether a login is looked at from a source where logins failed.
// Others may be behind the same address as a phone, and say to be it; so a phone
// at the very socket that it registered from is counted apart from them: who is
// what its failures are counted as.
func (e *Edge) hear(idx *index, m *gate.Message, f *gate.Flow, user string) (who string, heard bool) {
	source, now, bans := gate.Network(f.Remote.Addr()), e.cfg.Now(), e.gate.Bans()
	own, near := e.lives(user, f)
	who = user
	if own {
		who += "@" + f.Remote.String()
	}
	switch {
	case bans.User(source, who, now):
	case near || bans.Guess(source, now):
		return who, true
	}
	help := m.Method == "INVITE" && idx.emergencyCall(m)
	return who, help && e.helps.Take(source.String(), now)
}

// lives reports whether an extension is registered from the very socket at
// the other end of a flow, or at least from that source.
func (e *Edge) lives(extension string, f *gate.Flow) (own, near bool) {
	for _, c := range e.cfg.Registrar.Contacts(extension) {
		own = own || c.Source == f.Remote && c.Transport == f.Transport
		near = near || gate.Network(c.Source.Addr()) == gate.Network(f.Remote.Addr())
	}
	return own, near
}

// home reports whether phones are registered or talk at a source.
func (e *Edge) home(source netip.Addr) bool {
	at := func(a netip.Addr) bool { return gate.Network(a) == source }
	return e.cfg.Registrar.Any(func(c *pbx.Contact) bool { return at(c.Source.Addr()) }) || e.cfg.Talks(at)
}

// failed counts a failed login.
func (e *Edge) failed(source netip.Addr, who string) {
	now, bans := e.cfg.Now(), e.gate.Bans()
	if !bans.Failed(source, who, now) {
		return
	}
	e.gate.Counters.Bans.Add(1)
	switch {
	case bans.Source(source, now):
		e.cfg.Log.Warn("source banned after failed logins of many users", "source", source)
		if e.cfg.Banned != nil {
			e.cfg.Banned(source, bans.For())
		}
	case bans.User(source, who, now):
		e.cfg.Log.Warn("user banned at a source after failed logins", "source", source, "user", clean(who))
	default:
		e.cfg.Log.Warn("few logins of a source are looked at after those of many users failed: phones are registered or talk there", "source", source)
	}
}

// cost is how many messages a proof took: the request, and where the challenge
// is new the one that was challenged, with the ACK of that answer.
func cost(m *gate.Message, c *digest.Credentials) int {
	switch {
	case !c.First():
		return 1
	case m.Method == "INVITE":
		return 3
	}
	return 2
}
