package phone

import (
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/phone/audio"
)

// offer returns our description as an offer; the lock is held.
func (c *Call) offer() []byte {
	c.sdpNow++
	l := local{
		addr: c.audio.Local(), id: c.sdpID, version: c.sdpNow, laws: c.phone.laws,
		sends: true, hears: !c.state.Holding,
	}
	if !c.phone.cfg.NoDTMF {
		l.dtmf = codec.PayloadTelephoneEvent
	}
	return l.text()
}

// answerTo returns our description as the answer to the peer's offer; the lock
// is held. Errors: nothing in common.
func (c *Call) answerTo(offer body) ([]byte, error) {
	law, ok := offer.common(c.phone.laws)
	if !ok {
		return nil, errNothingInCommon
	}
	c.sdpNow++
	l := local{
		addr: c.audio.Local(), id: c.sdpID, version: c.sdpNow, laws: []codec.Law{law}, dtmf: offer.dtmf,
		sends: offer.hears, hears: offer.sends && !c.state.Holding, others: offer.streams, at: offer.audio,
	}
	if c.phone.cfg.NoDTMF {
		l.dtmf = 0
	}
	return l.text(), nil
}

// apply takes the peer's description; the lock is held. It reports whether the
// peer's hold began or ended, which only an offer of the peer can tell.
func (c *Call) apply(b body, offered bool) (turned bool) {
	law, ok := b.common(c.phone.laws)
	if !ok {
		return false
	}
	c.peer = b
	c.flow = audio.Flow{Remote: b.remote, RTCP: b.rtcp, Law: law, DTMF: b.dtmf, Send: b.hears && !c.state.Holding, Receive: b.sends}
	if c.phone.cfg.NoDTMF {
		c.flow.DTMF = 0
	}
	c.audio.Apply(c.flow)
	// A peer that puts us on hold says sendonly or inactive.
	held := c.state.Held
	if offered {
		held = !b.hears
	}
	turned = held != c.state.Held
	c.set(func(s *State) { s.Held, s.Codec = held, law.String() })
	return turned
}

func (c *Call) tellHold(turned bool) {
	if !turned {
		return
	}
	kind := EventResumed
	if c.State().Held {
		kind = EventHeld
	}
	c.phone.notify(Event{Call: c, Kind: kind})
}
