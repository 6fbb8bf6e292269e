package srtp

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/pion/rtp"
	pion "github.com/pion/srtp/v3"

	"github.com/dipcast/dipcast/pbx/media"
)

// maxSealed is the size of the largest RTP packet that is sealed in place: what
// fits into one Ethernet frame with the seal.
const maxSealed = 1500 - Overhead

// replays is how far a packet may come late, in packets (RFC 3711 §3.3.2).
const replays = 128

// rolling brings a stream's roll-over counter in line with the extended
// sequence number that it goes on with after a restart.
type rolling struct {
	pending bool
	ssrc    uint32
	near    uint32 // the extended sequence number that is expected
}

// before sets the counter for a packet; it does so again for each until one
// went through.
func (r *rolling) before(c *pion.Context, b []byte) {
	if !r.pending || len(b) < 12 || binary.BigEndian.Uint32(b[8:]) != r.ssrc {
		return
	}
	step := int16(binary.BigEndian.Uint16(b[2:]) - uint16(r.near))
	c.SetROC(r.ssrc, uint32(int64(r.near)+int64(step))>>16)
}

// newest is the index of the newest packet of a stream, with its SSRC above it.
// It is written by whoever holds the context, and read by anybody.
type newest struct{ v atomic.Uint64 }

func (n *newest) note(c *pion.Context, h *rtp.Header) {
	roc, _ := c.ROC(h.SSRC)
	n.set(h.SSRC, roc<<16|uint32(h.SequenceNumber))
}

func (n *newest) set(ssrc, index uint32) { n.v.Store(uint64(ssrc)<<32 | uint64(index)) }

// of returns the index of a stream, 0 for one that is not the newest packet's.
func (n *newest) of(ssrc uint32) uint32 {
	if v := n.v.Load(); uint32(v>>32) == ssrc {
		return uint32(v)
	}
	return 0
}

// ErrTooLong tells a packet that is too long to be sealed.
var ErrTooLong = errors.New("the packet is too long to be encrypted")

// Sealer encrypts what we send.
type Sealer struct {
	mu      sync.Mutex
	rtp     *pion.Context
	header  rtp.Header
	rolling rolling
	newest  newest

	control sync.Mutex
	rtcp    *pion.Context
}

// NewSealer returns a sealer. The error tells a suite that is not served or a
// key that does not fit.
func NewSealer(suite string, key media.Key) (*Sealer, error) {
	s := &Sealer{}
	var err error
	if s.rtp, err = context(suite, key); err != nil {
		return nil, err
	}
	s.rtcp, err = context(suite, key)
	return s, err
}

// Resume goes on with a stream of ours: extended is the sequence number, with
// the roll-over counter before it, of a packet near the next one; index is the
// next SRTCP index.
func (s *Sealer) Resume(ssrc, extended, index uint32) {
	s.mu.Lock()
	s.rolling = rolling{pending: true, ssrc: ssrc, near: extended}
	s.newest.set(ssrc, extended)
	s.mu.Unlock()
	s.control.Lock()
	defer s.control.Unlock()
	s.rtcp.SetIndex(ssrc, index)
}

// Index is how many packets of a stream of ours have been counted, up to the
// newest: its sequence number, with the low half of the roll-over counter before
// it; 0 if another stream was sealed last, or none.
func (s *Sealer) Index(ssrc uint32) uint32 { return s.newest.of(ssrc) }

// Follow goes on with the streams of another sealer of the same key.
func (s *Sealer) Follow(old *Sealer) {
	if v := old.newest.v.Load(); v != 0 {
		old.control.Lock()
		index, _ := old.rtcp.Index(uint32(v >> 32))
		old.control.Unlock()
		s.Resume(uint32(v>>32), uint32(v), index)
	}
}

// RTP seals a packet in place; b's array should have room for Overhead more.
func (s *Sealer) RTP(b []byte) ([]byte, error) {
	if len(b) > maxSealed {
		return nil, ErrTooLong
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rolling.before(s.rtp, b)
	s.rolling.pending = false
	out, err := s.rtp.EncryptRTP(b, b, &s.header)
	if err == nil {
		s.newest.note(s.rtp, &s.header)
	}
	return out, err
}

// RTCP returns a sealed compound packet.
func (s *Sealer) RTCP(b []byte) ([]byte, error) {
	s.control.Lock()
	defer s.control.Unlock()
	return s.rtcp.EncryptRTCP(nil, b, nil)
}

// Opener decrypts what the peer sends.
type Opener struct {
	rtp     *pion.Context
	header  rtp.Header
	rolling rolling
	newest  newest

	control sync.Mutex
	rtcp    *pion.Context
}

// NewOpener returns an opener; the error is as in NewSealer.
func NewOpener(suite string, key media.Key) (*Opener, error) {
	o := &Opener{}
	var err error
	if o.rtp, err = context(suite, key, pion.SRTPReplayProtection(replays)); err != nil {
		return nil, err
	}
	o.rtcp, err = context(suite, key, pion.SRTCPReplayProtection(replays))
	return o, err
}

// Resume goes on with the peer's stream: extended is the sequence number, with
// the roll-over counter before it, of a packet near the next one. It must be
// called before the first packet.
func (o *Opener) Resume(ssrc, extended uint32) {
	o.rolling = rolling{pending: true, ssrc: ssrc, near: extended}
	o.newest.set(ssrc, extended)
}

// RTP checks and opens a packet in place. An error says that it is not the
// peer's, or one that came before.
func (o *Opener) RTP(b []byte) ([]byte, error) {
	o.rolling.before(o.rtp, b)
	plain, err := o.rtp.DecryptRTP(b, b, &o.header)
	if err != nil {
		return plain, err
	}
	if o.rolling.pending && o.header.SSRC == o.rolling.ssrc {
		o.rolling.pending = false
	}
	o.newest.note(o.rtp, &o.header)
	return plain, nil
}

// Index is that of the newest packet of the peer's stream, as the Sealer's.
// Any goroutine may ask.
func (o *Opener) Index(ssrc uint32) uint32 { return o.newest.of(ssrc) }

// RTCP checks a compound packet and returns it opened.
func (o *Opener) RTCP(b []byte) ([]byte, error) {
	o.control.Lock()
	defer o.control.Unlock()
	return o.rtcp.DecryptRTCP(nil, b, nil)
}
