package sdp

import (
	"strconv"
	"strings"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/codec"
)

// formats resolves the payload types of an audio line. A static payload type
// needs no rtpmap (RFC 3551 §6).
func formats(raw []string, maps map[uint8]Format) []Format {
	var out []Format
	for _, r := range raw {
		pt, err := strconv.ParseUint(r, 10, 7)
		if err != nil {
			continue
		}
		if f, ok := maps[uint8(pt)]; ok {
			out = append(out, f)
			continue
		}
		if c, ok := codec.Static(uint8(pt)); ok {
			out = append(out, Format{PayloadType: uint8(pt), Name: c.Name, ClockRate: c.ClockRate})
		}
	}
	return out
}

// codecs returns the audio formats of the line that we can speak, in the
// peer's order, with the peer's payload types.
func (l Line) codecs() []media.Codec {
	var out []media.Codec
	for _, f := range l.Formats {
		c, ok := codec.Named(f.Name)
		if !ok || c.ClockRate != f.ClockRate {
			continue
		}
		c.PayloadType = f.PayloadType
		out = append(out, c)
	}
	return out
}

// events returns the payload type of telephone-event/8000, 0 if there is none.
func (l Line) events() uint8 {
	for _, f := range l.Formats {
		if strings.EqualFold(f.Name, codec.TelephoneEvent) && f.ClockRate == codec.ClockRate {
			return f.PayloadType
		}
	}
	return 0
}

// choose picks one of the peer's codecs: the first of the wanted names that is
// among them and that we allow.
func choose(from []media.Codec, allowed []string, wanted ...string) (media.Codec, bool) {
	for _, name := range append(wanted, allowed...) {
		for _, c := range from {
			if c.Name == name && contains(allowed, name) {
				return c, true
			}
		}
	}
	return media.Codec{}, false
}

func contains(list []string, name string) bool {
	for _, s := range list {
		if s == name {
			return true
		}
	}
	return false
}

// preferred returns the allowed names that we know, the first hint in front.
func preferred(allowed []string, first string) []string {
	var out []string
	if contains(allowed, first) {
		out = append(out, first)
	}
	for _, name := range allowed {
		if _, ok := codec.Named(name); ok && !contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
