package audiofile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
)

// Rate is the only sampling rate, in Hz.
const Rate = 8000

// MaxSize bounds a file: about half an hour of 16-bit samples.
const MaxSize = 32 << 20

// WAVE format tags (RFC 2361).
const (
	tagPCM        = 0x0001
	tagALaw       = 0x0006
	tagULaw       = 0x0007
	tagExtensible = 0xFFFE
)

// Format is how samples are written into a file.
type Format uint16

// The formats that Write knows.
const (
	PCM16 Format = tagPCM
	ALaw  Format = tagALaw
	ULaw  Format = tagULaw
)

var errNoData = errors.New("no data chunk: the file is cut off or not a sound")

// Sound is audio in memory: 8 kHz mono. It is immutable.
type Sound struct{ samples []int16 }

// NewSound makes a sound of 8 kHz samples, which must not be changed after.
func NewSound(samples []int16) *Sound { return &Sound{samples: samples} }

// Samples returns the samples; they are shared and must not be changed.
func (s *Sound) Samples() []int16 { return s.samples }

// Source returns a source that plays the sound once. The last frame is filled
// up with silence.
func (s *Sound) Source() media.Source { return &player{samples: s.samples} }

// Loop returns a source that plays the sound over and over without a gap; an
// empty sound ends at once.
func (s *Sound) Loop() media.Source { return &player{samples: s.samples, loop: true} }

type player struct {
	samples []int16
	at      int
	loop    bool
}

// Read implements media.Source.
func (p *player) Read(frame []int16) bool {
	if len(p.samples) == 0 || p.at >= len(p.samples) {
		return false
	}
	for n := 0; n < len(frame); {
		c := copy(frame[n:], p.samples[p.at:])
		n, p.at = n+c, p.at+c
		if p.at < len(p.samples) {
			continue
		}
		if !p.loop {
			clear(frame[n:])
			break
		}
		p.at = 0
	}
	return true
}

// Read reads a WAV file. Errors name the file and say how to convert it.
func Read(path string) (*Sound, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sound: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("sound %s: %w", path, err)
	}
	s, err := Decode(b)
	if err != nil {
		return nil, fmt.Errorf("sound %s: %w", path, err)
	}
	return s, nil
}

// Decode reads a WAV file from memory: 8 kHz, mono, 16-bit PCM, A-law or
// µ-law. Other rates and channel counts are an error that says how to convert
// the file: resampling is a matter for the studio, once, not for each start.
func Decode(b []byte) (*Sound, error) {
	if len(b) > MaxSize {
		return nil, fmt.Errorf("the file has more than %d MiB: cut it into shorter ones", MaxSize>>20)
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, errors.New("not a WAV file: it must begin with RIFF and WAVE")
	}
	var h header
	for rest := b[12:]; len(rest) >= 8; {
		name, size := string(rest[:4]), uint64(binary.LittleEndian.Uint32(rest[4:]))
		rest = rest[8:]
		body := rest[:min(size, uint64(len(rest)))]
		switch name {
		case "fmt ":
			if err := h.parse(body); err != nil {
				return nil, err
			}
		case "data":
			return h.decode(body)
		}
		rest = rest[min(size+size&1, uint64(len(rest))):]
	}
	return nil, errNoData
}

// header is the fmt chunk.
type header struct {
	tag, channels, bits uint16
	rate                uint32
}

func (h *header) parse(b []byte) error {
	if len(b) < 16 {
		return fmt.Errorf("the fmt chunk has %d bytes, want 16 or more", len(b))
	}
	le := binary.LittleEndian
	h.tag, h.channels, h.rate, h.bits = le.Uint16(b), le.Uint16(b[2:]), le.Uint32(b[4:]), le.Uint16(b[14:])
	if h.tag == tagExtensible && len(b) >= 26 {
		h.tag = le.Uint16(b[24:]) // the first two bytes of the sub-format's GUID
	}
	known := h.tag == tagPCM && h.bits == 16 || (h.tag == tagALaw || h.tag == tagULaw) && h.bits == 8
	if h.rate != Rate || h.channels != 1 || !known {
		return fmt.Errorf("%d Hz, %d channels, %d bits, format %#04x: "+
			"want 8000 Hz, mono, 16-bit PCM, A-law or µ-law; convert it with: sox IN.wav -r 8000 -c 1 -b 16 -e signed OUT.wav",
			h.rate, h.channels, h.bits, h.tag)
	}
	return nil
}

func (h *header) decode(b []byte) (*Sound, error) {
	switch h.tag {
	case tagPCM:
		s := make([]int16, len(b)/2)
		for i := range s {
			s[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
		}
		return NewSound(s), nil
	case tagALaw, tagULaw:
		s := make([]int16, len(b))
		law(Format(h.tag)).Decode(s, b)
		return NewSound(s), nil
	}
	return nil, errors.New("no fmt chunk before the data chunk")
}

// Write writes the sound as a WAV file.
func Write(w io.Writer, s *Sound, f Format) error {
	width, data := 2, make([]byte, 0, 2*len(s.samples))
	switch f {
	case PCM16:
		for _, v := range s.samples {
			data = binary.LittleEndian.AppendUint16(data, uint16(v))
		}
	case ALaw, ULaw:
		width, data = 1, data[:len(s.samples)]
		law(f).Encode(data, s.samples)
	default:
		return fmt.Errorf("sound format %d: want PCM16, ALaw or ULaw", f)
	}
	le := binary.LittleEndian
	b := append(make([]byte, 0, 46+len(data)), "RIFF"...)
	b = le.AppendUint32(b, uint32(38+len(data)+len(data)&1))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 18)
	b = le.AppendUint16(b, uint16(f))
	b = le.AppendUint16(b, 1)
	b = le.AppendUint32(b, Rate)
	b = le.AppendUint32(b, uint32(Rate*width))
	b = le.AppendUint16(b, uint16(width))
	b = le.AppendUint16(b, uint16(8*width))
	b = le.AppendUint16(b, 0)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	if len(data)&1 == 1 {
		b = append(b, 0)
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write a sound: %w", err)
	}
	return nil
}

func law(f Format) codec.Law {
	if f == ALaw {
		return codec.ALaw
	}
	return codec.ULaw
}
