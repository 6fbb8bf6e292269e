// Package opus is the Opus codec (RFC 6716) as a telephone needs it: one
// channel, 16 kHz, speech. A peer may send any Opus packet, stereo and full
// band as well: the decoder gives one channel of 16 kHz of it.
//
// The work is done by a library in pure Go; nobody else imports it, so that
// another can take its place. An encoder and a decoder hold about 220 KiB each
// and cost 0.5..1 % and 0.1 % of a core: calls are settled so that Opus is
// rarely converted (docs/decisions/0007).
//
// Values are not safe for concurrent use; the package starts no goroutine.
// RTP counts Opus at 48000 Hz whatever is in it (RFC 7587 §4.1).
package opus

// SampleRate is the rate of the audio in Hz.
const SampleRate = 16000

// ClockRate is the RTP clock in Hz.
const ClockRate = 48000

// MaxSamples is the most that one packet holds: 120 ms.
const MaxSamples = SampleRate / 1000 * 120

// maxPacket is the size of the largest packet that is decoded.
const maxPacket = 1500
