package session

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/media/codec"
)

const offerHead = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

func TestParseBody(t *testing.T) {
	tests := []struct {
		name         string
		text         string
		remote       string
		law          codec.Law
		dtmf         uint8
		sends, hears bool
		fails        bool
	}{
		{name: "plain", text: offerHead + "m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n", remote: "192.0.2.1:4000", law: codec.ALaw, dtmf: 101, sends: true, hears: true},
		{name: "other DTMF number", text: offerHead + "m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\n", remote: "192.0.2.1:4000", law: codec.ULaw, dtmf: 96, sends: true, hears: true},
		{name: "hold", text: offerHead + "m=audio 4000 RTP/AVP 8\r\na=sendonly\r\n", remote: "192.0.2.1:4000", law: codec.ALaw, sends: true},
		{name: "hold for the whole session", text: offerHead + "a=inactive\r\nm=audio 4000 RTP/AVP 8\r\n", remote: "192.0.2.1:4000", law: codec.ALaw},
		{name: "address of the stream", text: offerHead + "m=audio 4000 RTP/AVP 8\r\nc=IN IP6 2001:db8::1\r\n", remote: "[2001:db8::1]:4000", law: codec.ALaw, sends: true, hears: true},
		{name: "old hold", text: strings.ReplaceAll(offerHead, "c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0") + "m=audio 4000 RTP/AVP 8\r\n", remote: "0.0.0.0:4000", law: codec.ALaw, sends: true},
		{name: "video first", text: offerHead + "m=video 5000 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 8\r\n", remote: "192.0.2.1:4000", law: codec.ALaw, sends: true, hears: true},
		{name: "audio refused", text: offerHead + "m=audio 0 RTP/AVP 8\r\n", fails: true},
		{name: "SRTP only", text: offerHead + "m=audio 4000 RTP/SAVP 8\r\n", fails: true},
		{name: "a name as address", text: strings.ReplaceAll(offerHead, "c=IN IP4 192.0.2.1", "c=IN IP4 host.example") + "m=audio 4000 RTP/AVP 8\r\n", fails: true},
		{name: "no address", text: strings.ReplaceAll(offerHead, "c=IN IP4 192.0.2.1\r\n", "") + "m=audio 4000 RTP/AVP 8\r\n", fails: true},
		{name: "no SDP", text: "hello", fails: true},
		{name: "too long", text: offerHead + "a=" + strings.Repeat("x", maxBody), fails: true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			b, err := Parse([]byte(tc.text))
			if tc.fails {
				if err == nil {
					t.Fatalf("accepted: %+v", b)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			law, _ := b.Common([]codec.Law{codec.ULaw, codec.ALaw})
			if b.Addr != netip.MustParseAddrPort(tc.remote) || law != tc.law || b.DTMF != tc.dtmf || b.Sends != tc.sends || b.Hears != tc.hears {
				t.Errorf("got %+v with %s", b, law)
			}
		})
	}
}

func TestAnswerRefusesOtherStreams(t *testing.T) {
	offer, err := Parse([]byte(offerHead + "m=video 5000 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 8\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(Local{
		Addr: netip.MustParseAddrPort("192.0.2.2:6000"), Laws: []codec.Law{codec.ALaw}, Sends: true, Hears: true,
		Others: offer.Streams, At: offer.Audio,
	}.Text())
	video, audio := strings.Index(text, "m=video 0 RTP/AVP 96"), strings.Index(text, "m=audio 6000 RTP/AVP 8")
	if video < 0 || audio < video {
		t.Errorf("answer:\n%s", text)
	}
	back, err := Parse([]byte(text))
	if err != nil || back.Addr.Port() != 6000 {
		t.Errorf("the answer reads as %+v, %v", back, err)
	}
}

func FuzzParseBody(f *testing.F) {
	f.Add([]byte(offerHead + "m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp:4001\r\n"))
	f.Add([]byte(offerHead + "m=audio 65536 RTP/AVP 8\r\n"))
	f.Add([]byte("v=0\r\nm=audio"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := Parse(text)
		if err == nil && (b.Audio < 0 || b.Audio >= len(b.Streams)) {
			t.Errorf("accepted without an audio stream: %+v", b)
		}
	})
}
