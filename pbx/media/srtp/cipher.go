package srtp

import "github.com/dipcast/dipcast/pbx/media"

// Cipher is both directions of a stream. A nil one is plain RTP: what is given
// to it comes back. The zero value has no keys and lets nothing through.
type Cipher struct {
	keys media.Crypto
	seal *Sealer
	open *Opener
}

// NewCipher returns the cipher of the keys, nil for plain RTP. Keys that stay
// keep the state that old, which may be nil, has of them: it counts how often
// the sequence numbers have rolled over. With an error, as in NewSealer, comes
// a cipher that lets nothing through.
func NewCipher(keys media.Crypto, old *Cipher) (*Cipher, error) {
	switch {
	case keys == media.Crypto{}:
		return nil, nil
	case old != nil && old.keys == keys:
		return old, nil
	}
	c := &Cipher{keys: keys}
	same := old != nil && old.keys.Suite == keys.Suite
	var err error
	switch c.seal, err = NewSealer(keys.Suite, keys.Local); {
	case err != nil || old == nil || old.seal == nil || old.keys.Local != keys.Local:
	case same:
		c.seal = old.seal
	default: // suites that differ in the seal alone make the same key stream of a key
		c.seal.Follow(old.seal)
	}
	if err == nil {
		if c.open, err = NewOpener(keys.Suite, keys.Remote); same && old.keys.Remote == keys.Remote {
			c.open = old.open
		}
	}
	if err != nil {
		return &Cipher{keys: keys}, err
	}
	return c, nil
}

// Keys are the keys that it was made of.
func (c *Cipher) Keys() media.Crypto {
	if c == nil {
		return media.Crypto{}
	}
	return c.keys
}

// Open returns a packet of the peer as plain RTP, in place; false for one that
// is not the peer's.
func (c *Cipher) Open(b []byte) ([]byte, bool) {
	if c == nil {
		return b, true
	}
	if c.open == nil {
		return nil, false
	}
	plain, err := c.open.RTP(b)
	return plain, err == nil
}

// OpenControl is Open for RTCP.
func (c *Cipher) OpenControl(b []byte) ([]byte, bool) {
	if c == nil {
		return b, true
	}
	if c.open == nil {
		return nil, false
	}
	plain, err := c.open.RTCP(b)
	return plain, err == nil
}

// Seal returns a packet as the peer is to get it, in place as Sealer.RTP does.
func (c *Cipher) Seal(b []byte) ([]byte, bool) {
	if c == nil {
		return b, true
	}
	if c.seal == nil {
		return nil, false
	}
	out, err := c.seal.RTP(b)
	return out, err == nil
}

// SealControl is Seal for RTCP.
func (c *Cipher) SealControl(b []byte) ([]byte, bool) {
	if c == nil {
		return b, true
	}
	if c.seal == nil {
		return nil, false
	}
	out, err := c.seal.RTCP(b)
	return out, err == nil
}

// Indexes are those of the newest packets of our stream and of the peer's; 0 if
// they are not encrypted, or nothing went by yet.
func (c *Cipher) Indexes(out, in uint32) (sealed, opened uint32) {
	if c == nil || c.seal == nil || c.open == nil {
		return 0, 0
	}
	return c.seal.Index(out), c.open.Index(in)
}

// ResumeOut goes on with our stream as Sealer.Resume does.
func (c *Cipher) ResumeOut(ssrc, extended, index uint32) {
	if c != nil && c.seal != nil {
		c.seal.Resume(ssrc, extended, index)
	}
}

// ResumeIn goes on with the peer's stream as Opener.Resume does.
func (c *Cipher) ResumeIn(ssrc, extended uint32) {
	if c != nil && c.open != nil {
		c.open.Resume(ssrc, extended)
	}
}

// Near is the index of a packet near the next one of a stream that was saved
// with an index and a sequence number and goes on near another. Indexes are not
// those numbers: a new key begins at 0 in the midst of a stream.
func Near(index, saved, restored uint32) uint32 {
	if index == 0 { // nothing was counted yet
		index = uint32(uint16(saved))
	}
	return index + restored - saved
}
