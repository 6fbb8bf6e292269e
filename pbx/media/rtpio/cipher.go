package rtpio

import (
	"log/slog"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/srtp"
)

// cipher are the first and the last stage of a port whose stream is SRTP. Keys
// that stay keep their state: it counts how often the sequence numbers have
// rolled over. One without a sealer or opener lets nothing through.
type cipher struct {
	keys media.Crypto
	seal *srtp.Sealer
	open *srtp.Opener
}

// newCipher returns the cipher of the keys, nil for plain RTP; old may be nil.
func (p *Port) newCipher(keys media.Crypto, old *cipher) *cipher {
	switch {
	case keys == media.Crypto{}:
		return nil
	case old != nil && old.keys == keys:
		return old
	}
	c := &cipher{keys: keys}
	same := old != nil && old.keys.Suite == keys.Suite
	var err error
	switch c.seal, err = srtp.NewSealer(keys.Suite, keys.Local); {
	case err != nil || old == nil || old.seal == nil || old.keys.Local != keys.Local:
	case same:
		c.seal = old.seal
	default: // suites that differ in the seal alone make the same key stream of a key
		c.seal.Follow(old.seal)
	}
	if err == nil {
		if c.open, err = srtp.NewOpener(keys.Suite, keys.Remote); same && old.keys.Remote == keys.Remote {
			c.open = old.open
		}
	}
	if err != nil {
		p.pool.log.Error("a call's audio cannot be encrypted and is not carried", slog.Any("local", p.local), slog.Any("error", err))
		return &cipher{keys: keys}
	}
	return c
}

// opened returns a packet of the peer as plain RTP. Bad ones are counted and
// do nothing else: whoever sends them must not be able to end a call.
func (p *Port) opened(c *cipher, b []byte) ([]byte, bool) {
	if c == nil {
		return b, true
	}
	if c.open != nil {
		if plain, err := c.open.RTP(b); err == nil {
			return plain, true
		}
	}
	p.drops.sealed.Add(1)
	return nil, false
}

// openedControl is opened for RTCP.
func (p *Port) openedControl(b []byte) ([]byte, bool) {
	c := p.settings.Load().cipher
	if c == nil {
		return b, true
	}
	if c.open != nil {
		if plain, err := c.open.RTCP(b); err == nil {
			return plain, true
		}
	}
	p.drops.sealed.Add(1)
	return nil, false
}

// sealed returns a packet as the peer is to get it.
func (p *Port) sealed(b []byte) ([]byte, bool) {
	c := p.settings.Load().cipher
	if c == nil {
		return b, true
	}
	if c.seal == nil {
		return nil, false
	}
	out, err := c.seal.RTP(b)
	return out, err == nil
}

// sealedControl is sealed for RTCP.
func (p *Port) sealedControl(b []byte) ([]byte, bool) {
	c := p.settings.Load().cipher
	if c == nil {
		return b, true
	}
	if c.seal == nil {
		return nil, false
	}
	out, err := c.seal.RTCP(b)
	return out, err == nil
}

// indexes are those of the newest packets of two streams; 0 if they are not
// encrypted, or nothing went by yet.
func (c *cipher) indexes(out, in uint32) (sealed, opened uint32) {
	if c == nil || c.seal == nil || c.open == nil {
		return 0, 0
	}
	return c.seal.Index(out), c.open.Index(in)
}

// resume takes the counters over that an earlier process has reached. They are
// not those of the streams: a new key begins at 0 in the midst of them.
func (c *cipher) resume(p *Port, s *media.PortState, now time.Time) {
	if c == nil || c.seal == nil || c.open == nil {
		return
	}
	near := func(index, saved, restored uint32) uint32 {
		if index == 0 { // nothing was counted yet
			index = uint32(uint16(saved))
		}
		return index + restored - saved
	}
	out, in := p.output.Save(p.pool.clock()), &p.intake.Figures
	c.seal.Resume(out.SSRC, near(s.Out.Index, s.Out.Highest, out.Highest), uint32(now.Unix())&0x7FFFFFFF)
	if p.intake.Source() != 0 {
		c.open.Resume(in.SSRC.Load(), near(s.In.Index, s.In.Highest, in.Highest.Load()))
	}
}
