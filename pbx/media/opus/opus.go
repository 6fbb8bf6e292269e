package opus

import (
	"errors"
	"fmt"

	"github.com/thesyncim/gopus"
)

// bitrate is what a call is worth, in bit/s: wideband speech without artefacts.
const bitrate = 24000

// complexity 0..10 is the encoder's effort; 5 costs two thirds of the default
// and nobody hears it at this bitrate.
const complexity = 5

// Encoder turns 16 kHz samples into packets.
type Encoder struct{ e *gopus.Encoder }

// NewEncoder returns an encoder for speech.
func NewEncoder() (*Encoder, error) {
	e, err := gopus.NewEncoder(gopus.EncoderConfig{SampleRate: SampleRate, Channels: 1, Application: gopus.ApplicationVoIP})
	if err != nil {
		return nil, fmt.Errorf("opus encoder: %w", err)
	}
	if err := errors.Join(e.SetBitrate(bitrate), e.SetComplexity(complexity)); err != nil {
		return nil, fmt.Errorf("opus encoder: %w", err)
	}
	return &Encoder{e: e}, nil
}

// Encode writes one packet of 20 ms (320 samples) to dst, which holds at least
// 400 octets, and returns its length.
func (e *Encoder) Encode(dst []byte, samples []int16) (int, error) {
	return e.e.EncodeInt16(samples, dst)
}

// Decoder turns packets into 16 kHz samples.
type Decoder struct{ d *gopus.Decoder }

// NewDecoder returns a decoder.
func NewDecoder() (*Decoder, error) {
	cfg := gopus.DecoderConfig{SampleRate: SampleRate, Channels: 1, MaxPacketSamples: MaxSamples, MaxPacketBytes: maxPacket}
	d, err := gopus.NewDecoder(cfg)
	if err != nil {
		return nil, fmt.Errorf("opus decoder: %w", err)
	}
	return &Decoder{d: d}, nil
}

// Decode writes the samples of a packet to dst, which holds MaxSamples, and
// returns how many there are. An error means that the packet is none; the
// decoder can go on.
func (d *Decoder) Decode(dst []int16, packet []byte) (int, error) {
	if Span(packet) == 0 {
		return 0, ErrPacket
	}
	return d.d.DecodeInt16(packet, dst)
}

// Conceal writes what may have been in a lost packet to dst: as much as the
// last packet held.
func (d *Decoder) Conceal(dst []int16) (int, error) { return d.d.DecodeInt16(nil, dst) }

// ErrPacket tells octets that are no Opus packet.
var ErrPacket = errors.New("not an Opus packet: the frames that its first octet names cannot be")

// Span returns the duration of a packet in units of the RTP clock, 0 if it is
// none (RFC 6716 §3.1 and the rules R1, R2 and R5).
func Span(packet []byte) uint32 {
	if len(packet) == 0 || len(packet) > maxPacket {
		return 0
	}
	frames := uint32(2)
	switch packet[0] & 3 {
	case 0:
		frames = 1
	case 3:
		if len(packet) < 2 {
			return 0
		}
		frames = uint32(packet[1] & 0x3F)
	}
	span := frames * frameSpan(packet[0]>>3)
	if span > ClockRate/1000*120 {
		return 0
	}
	return span
}

// frameSpan is the length of a frame by its configuration (RFC 6716 table 2).
func frameSpan(config byte) uint32 {
	const ms = ClockRate / 1000
	switch {
	case config < 12: // SILK
		return [4]uint32{10 * ms, 20 * ms, 40 * ms, 60 * ms}[config&3]
	case config < 16: // hybrid
		return [2]uint32{10 * ms, 20 * ms}[config&1]
	}
	return ms * 5 / 2 << (config & 3) // CELT: 2.5, 5, 10, 20 ms
}
