package sdp

import (
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/media"
)

// everything is a session that allows every codec.
func everything() Session {
	s := newSession()
	s.Codecs = []string{"G722", "opus", "PCMA", "PCMU"}
	return s
}

func TestOfferOfEveryCodec(t *testing.T) {
	s := everything()
	want := "m=audio 40000 RTP/AVP 9 107 8 0 101\r\n" +
		"a=rtpmap:9 G722/8000\r\n" +
		"a=rtpmap:107 opus/48000/2\r\na=fmtp:107 maxplaybackrate=16000;sprop-maxcapturerate=16000\r\n" +
		"a=rtpmap:8 PCMA/8000\r\n"
	if offer := string(s.Offer()); !strings.Contains(offer, want) {
		t.Errorf("offer lacks\n%s\n%s", want, offer)
	}
}

func TestChoiceAmongAllCodecs(t *testing.T) {
	opus := func(pt uint8) media.Codec { return media.Codec{Name: "opus", PayloadType: pt, ClockRate: 48000} }
	g722 := media.Codec{Name: "G722", PayloadType: 9, ClockRate: 8000}
	for _, tc := range []struct {
		name  string
		offer []byte
		first string
		want  media.Codec
		line  string
	}{
		{"wideband by its static type", plain("m=audio 20000 RTP/AVP 0 8 9"), "", g722, "a=rtpmap:9 G722/8000\r\n"},
		{"a browser", plain("m=audio 20000 RTP/AVP 111 0", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1"), "", opus(111), "a=rtpmap:111 opus/48000/2\r\n"},
		{"the other side's codec", plain("m=audio 20000 RTP/AVP 9 111 8", "a=rtpmap:111 OPUS/48000/2"), "opus", opus(111), "RTP/AVP 111\r\n"},
		{"stereo of another codec is none", plain("m=audio 20000 RTP/AVP 97 8", "a=rtpmap:97 G722/8000/2"), "", media.Codec{Name: "PCMA", PayloadType: 8, ClockRate: 8000}, ""},
		{"opus of another clock is none", plain("m=audio 20000 RTP/AVP 97 0", "a=rtpmap:97 opus/16000"), "", media.Codec{Name: "PCMU", ClockRate: 8000}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := everything()
			s.First = tc.first
			answer, stream, err := s.Answer(tc.offer)
			if err != nil {
				t.Fatal(err)
			}
			if stream.Codec != tc.want || !strings.Contains(string(answer), tc.line) {
				t.Errorf("%+v, want %+v\n%s", stream.Codec, tc.want, answer)
			}
		})
	}
}

// TestPreferTheOtherSide: the answer that is not told yet takes the codec that
// the other side turned out to speak, so that nothing must be converted.
func TestPreferTheOtherSide(t *testing.T) {
	s := everything()
	first, _, err := s.Answer(plain("m=audio 20000 RTP/AVP 9 8 0 101", "a=rtpmap:101 telephone-event/8000"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "G722", "opus", "G729"} {
		if answer := s.Prefer(name); answer != nil {
			t.Errorf("%q changes the answer to\n%s", name, answer)
		}
	}
	answer := string(s.Prefer("PCMU"))
	if !strings.Contains(answer, "RTP/AVP 0 101\r\n") || s.Stream.Codec.Name != "PCMU" || s.Stream.DTMF != 101 {
		t.Errorf("%+v\n%s", s.Stream, answer)
	}
	if head := func(b string) string { return strings.SplitN(b, "\r\n", 3)[1] }; head(answer) != head(string(first)) {
		t.Errorf("origin %q, want that of the answer that nobody has seen: %q", head(answer), head(string(first)))
	}
	if s.Prefer("PCMA") == nil {
		t.Error("a preference stands against a second one")
	}
	s.Told()
	if s.Prefer("PCMU") != nil {
		t.Error("an answer that was told changes")
	}
	if _, _, err := s.Answer(plain("m=audio 20000 RTP/AVP 0 8")); err != nil {
		t.Fatal(err)
	}
	if s.Prefer("PCMU") != nil {
		t.Error("the answer to a re-INVITE changes")
	}
}

// TestPayloadTypesDoNotCollide: the peer's number for the codec in use may be
// one that we use for another.
func TestPayloadTypesDoNotCollide(t *testing.T) {
	s := everything()
	if _, _, err := s.Answer(plain("m=audio 20000 RTP/AVP 101 107", "a=rtpmap:101 opus/48000/2", "a=rtpmap:107 telephone-event/8000")); err != nil {
		t.Fatal(err)
	}
	d, err := Parse(s.Offer())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint8]string{}
	for _, f := range d.Lines[0].Formats {
		if other, ok := seen[f.PayloadType]; ok {
			t.Errorf("%s and %s are both %d", f.Name, other, f.PayloadType)
		}
		seen[f.PayloadType] = f.Name
	}
	if seen[101] != "opus" || seen[107] != "telephone-event" {
		t.Errorf("the numbers in use were changed: %v", seen)
	}
}
