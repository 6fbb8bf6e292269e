package phone

import (
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/phone/audio"
	"github.com/dipcast/dipcast/pbx/phone/session"
)

// offer returns our description as an offer; the lock is held.
func (c *Call) offer() []byte {
	c.sdpNow++
	l := session.Local{
		Addr: c.audio.Local(), ID: c.sdpID, Version: c.sdpNow, Laws: c.phone.laws,
		Sends: true, Hears: !c.state.Holding,
	}
	if !c.phone.cfg.NoDTMF {
		l.DTMF = codec.PayloadTelephoneEvent
	}
	return l.Text()
}

// answerTo returns our description as the answer to the peer's offer; the lock
// is held. Errors: nothing in common.
func (c *Call) answerTo(offer session.Remote) ([]byte, error) {
	law, ok := offer.Common(c.phone.laws)
	if !ok {
		return nil, errNothingInCommon
	}
	c.sdpNow++
	l := session.Local{
		Addr: c.audio.Local(), ID: c.sdpID, Version: c.sdpNow, Laws: []codec.Law{law}, DTMF: offer.DTMF,
		Sends: offer.Hears, Hears: offer.Sends && !c.state.Holding, Others: offer.Streams, At: offer.Audio,
	}
	if c.phone.cfg.NoDTMF {
		l.DTMF = 0
	}
	return l.Text(), nil
}

// apply takes the peer's description; the lock is held. It reports whether the
// peer's hold began or ended, which only an offer of the peer can tell.
func (c *Call) apply(b session.Remote, offered bool) (turned bool) {
	law, ok := b.Common(c.phone.laws)
	if !ok {
		return false
	}
	c.peer = b
	c.flow = audio.Flow{Remote: b.Addr, RTCP: b.RTCP, Law: law, DTMF: b.DTMF, Send: b.Hears && !c.state.Holding, Receive: b.Sends}
	if c.phone.cfg.NoDTMF {
		c.flow.DTMF = 0
	}
	c.audio.Apply(c.flow)
	// A peer that puts us on hold says sendonly or inactive.
	held := c.state.Held
	if offered {
		held = !b.Hears
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
