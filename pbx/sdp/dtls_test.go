package sdp

import (
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/media"
)

const (
	ownPrint   = "sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"
	theirPrint = "sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF"
	otherPrint = "sha-256 FF:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF"
)

// shaking is a session that speaks DTLS.
func shaking(policy SRTP) Session {
	s := secured(policy)
	s.Fingerprint = ownPrint
	return s
}

// browser is what Chromium offers, with audio and video, changed as the test says.
func browser(change ...string) []byte {
	return []byte(strings.NewReplacer(change...).Replace(string(desc(
		"s=-", "t=0 0", "a=group:BUNDLE 0 1", "a=extmap-allow-mixed", "a=msid-semantic: WMS s",
		"m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0",
		"a=candidate:1 1 udp 2113937151 5f3c-7.local 51234 typ host generation 0 network-cost 999",
		"a=ice-ufrag:Ab1+", "a=ice-pwd:abcdefghijklmnopqrstuvwx", "a=ice-options:trickle",
		"a=fingerprint:"+theirPrint, "a=setup:actpass", "a=mid:0", "a=sendrecv", "a=msid:s t", "a=rtcp-mux", "a=rtcp-rsize",
		"a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1", "a=rtpmap:63 red/48000/2", "a=rtpmap:9 G722/8000",
		"a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:110 telephone-event/48000", "a=rtpmap:126 telephone-event/8000",
		"m=video 9 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0", "a=ice-ufrag:Ab1+", "a=ice-pwd:abcdefghijklmnopqrstuvwx",
		"a=fingerprint:"+theirPrint, "a=setup:actpass", "a=mid:1", "a=rtpmap:96 VP8/90000",
	))))
}

// has fails unless the description has each of the lines.
func has(t *testing.T, body []byte, lines ...string) {
	t.Helper()
	all := strings.Split(string(body), "\r\n")
	for _, l := range lines {
		if !slices.Contains(all, l) {
			t.Errorf("%q is missing from\n%s", l, body)
		}
	}
}

func TestABrowserIsAnswered(t *testing.T) {
	s := shaking(Optional)
	answer, stream, err := s.Answer(browser())
	if err != nil {
		t.Fatal(err)
	}
	has(t, answer, "a=group:BUNDLE 0", "a=ice-lite", "m=audio 40000 UDP/TLS/RTP/SAVPF 8 126", "a=mid:0", "a=setup:passive", "a=fingerprint:"+ownPrint,
		"a=candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host", "a=end-of-candidates", "a=rtcp-mux", "a=sendrecv",
		"a=ice-ufrag:"+stream.ICE.Local.Ufrag, "a=ice-pwd:"+stream.ICE.Local.Password.Reveal(),
		"m=video 0 UDP/TLS/RTP/SAVPF 96", "a=mid:1")
	want := media.Stream{
		RTCPMux: true, Codec: media.Codec{Name: "PCMA", PayloadType: 8, ClockRate: 8000}, DTMF: 126, Signalling: s.Source,
		DTLS: media.DTLS{Own: ownPrint, Peer: theirPrint},
		ICE:  media.ICE{Local: stream.ICE.Local, Remote: media.ICECredentials{Ufrag: "Ab1+", Password: "abcdefghijklmnopqrstuvwx"}},
	}
	if stream != want || len(stream.ICE.Local.Ufrag) < 4 || len(stream.ICE.Local.Password) < 22 || s.Held() {
		t.Errorf("%+v\nwant %+v", stream, want)
	}
}

func TestOffersOfDTLS(t *testing.T) {
	const plainDTLS = "UDP/TLS/RTP/SAVP 8"
	for _, tc := range []struct {
		name    string
		policy  SRTP
		offer   []byte
		refused bool
		active  bool
		lines   string
	}{
		{"the policy forbids it", Disabled, browser(), true, false, ""},
		{"the policy asks for it", Required, browser(), false, false, "a=setup:passive"},
		{"a phone without ICE", Optional, keyed(plainDTLS, "a=fingerprint:"+theirPrint, "a=setup:actpass"), false, false, "a=setup:passive"},
		{"who waits is begun with", Optional, browser("setup:actpass", "setup:passive"), false, true, "a=setup:active"},
		{"who begins is waited for", Optional, browser("setup:actpass", "setup:active"), false, false, "a=setup:passive"},
		{"the profile of before RFC 5764", Optional, browser("UDP/TLS/RTP/SAVPF", "RTP/SAVPF"), false, false, "m=audio 40000 RTP/SAVPF 8 126"},
		{"without a fingerprint", Optional, keyed(plainDTLS, "a=setup:actpass"), true, false, ""},
		{"with a broken hash alone", Optional, keyed(plainDTLS, "a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB"), true, false, ""},
		{"with a short hash", Optional, keyed(plainDTLS, "a=fingerprint:sha-256 4A:AD"), true, false, ""},
		{"the good one of two hashes", Optional, keyed(plainDTLS, "a=fingerprint:md5 4A:AD", "a=fingerprint:"+strings.ToLower(theirPrint)), false, false, "a=fingerprint:" + ownPrint},
		{"held back", Optional, keyed(plainDTLS, "a=fingerprint:"+theirPrint, "a=setup:holdconn"), true, false, ""},
		{"keys in SDP and a fingerprint", Optional, keyed("RTP/SAVP 8", "a=fingerprint:"+theirPrint, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+theirs("AES_CM_128_HMAC_SHA1_80").Reveal()), false, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := shaking(tc.policy)
			answer, stream, err := s.Answer(tc.offer)
			if tc.refused != errors.Is(err, ErrNoAudio) {
				t.Fatalf("refused: %v", err)
			}
			if tc.refused {
				return
			}
			if tc.lines == "" {
				if (stream.DTLS != media.DTLS{}) || stream.Crypto.Suite == "" {
					t.Errorf("%+v: want the keys in SDP", stream)
				}
				return
			}
			has(t, answer, tc.lines)
			if want := (media.DTLS{Own: ownPrint, Peer: theirPrint, Active: tc.active}); stream.DTLS != want || stream.Crypto != (media.Crypto{}) {
				t.Errorf("%+v", stream)
			}
		})
	}
	s := secured(Optional)
	if _, _, err := s.Answer(browser()); !errors.Is(err, ErrNoAudio) {
		t.Errorf("without a certificate of ours: %v", err)
	}
}

// TestICEThatIsNone: the peer is where its SDP says, and nothing of ICE is told.
func TestICEThatIsNone(t *testing.T) {
	for name, change := range map[string][]string{
		"it wants two ports": {"a=rtcp-mux\r\n", ""},
		"it is lite as well": {"a=group", "a=ice-lite\r\na=group"},
		"a short password":   {"abcdefghijklmnopqrstuvwx", "abc"},
		"a wrong character":  {"ice-ufrag:Ab1+", "ice-ufrag:Ab1!"},
	} {
		t.Run(name, func(t *testing.T) {
			s := shaking(Optional)
			answer, stream, err := s.Answer(browser(append(change, "c=IN IP4 0.0.0.0", "c=IN IP4 198.51.100.7")...))
			if err != nil || strings.Contains(string(answer), "ice") || strings.Contains(string(answer), "candidate") {
				t.Fatalf("%v\n%s", err, answer)
			}
			if (stream.ICE != media.ICE{}) || stream.Remote != netip.MustParseAddrPort("198.51.100.7:9") {
				t.Errorf("%+v", stream)
			}
		})
	}
}

// TestWhatIsSaidOnceForTheSession counts for the line.
func TestWhatIsSaidOnceForTheSession(t *testing.T) {
	s := shaking(Optional)
	_, stream, err := s.Answer(desc("s=-", "a=ice-ufrag:Ab1+", "a=ice-pwd:abcdefghijklmnopqrstuvwx", "a=fingerprint:"+theirPrint, "a=setup:passive",
		"c=IN IP4 198.51.100.7", "t=0 0", "m=audio 9 UDP/TLS/RTP/SAVPF 8", "a=rtcp-mux"))
	if err != nil || stream.DTLS.Peer != theirPrint || !stream.DTLS.Active || stream.ICE.Remote.Ufrag != "Ab1+" {
		t.Errorf("%+v, %v", stream, err)
	}
}

func TestWeOfferToBrowsersAndToThoseWhoRefuse(t *testing.T) {
	s := shaking(Optional)
	s.Form = Web
	has(t, s.Offer(), "a=group:BUNDLE 0", "a=ice-lite", "m=audio 40000 UDP/TLS/RTP/SAVPF 8 0 101", "a=mid:0", "a=setup:actpass", "a=rtcp-mux", "a=end-of-candidates")
	for setup, active := range map[string]bool{"active": false, "passive": true} {
		again := s
		stream, err := again.Accept(browser("setup:actpass", "setup:"+setup))
		if err != nil || stream.DTLS != (media.DTLS{Own: ownPrint, Peer: theirPrint, Active: active}) || stream.ICE.Local != s.Lines[0].ICE || !stream.RTCPMux {
			t.Errorf("%s: %+v, %v", setup, stream, err)
		}
	}
	for name, answer := range map[string][]byte{
		"plain": plain("m=audio 20000 RTP/AVP 8"), "without a fingerprint": keyed("UDP/TLS/RTP/SAVPF 8"), "with keys in SDP": keyed("RTP/SAVP 8", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+theirs("AES_CM_128_HMAC_SHA1_80").Reveal()),
	} {
		again := s
		if _, err := again.Accept(answer); !errors.Is(err, ErrNoAudio) {
			t.Errorf("an answer %s: %v", name, err)
		}
	}
	both := shaking(Required)
	has(t, both.Offer(), "m=audio 40000 RTP/SAVP 8 0 101", "a=fingerprint:"+ownPrint, "a=setup:actpass")
	for name, tc := range map[string]struct {
		answer []byte
		crypto bool
	}{
		"with keys":        {keyed("RTP/SAVP 8", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+theirs("AES_CM_128_HMAC_SHA1_80").Reveal()), true},
		"with a handshake": {keyed("RTP/SAVP 8", "a=fingerprint:"+theirPrint, "a=setup:active"), false},
	} {
		again := both
		if stream, err := again.Accept(tc.answer); err != nil || (stream.Crypto.Suite != "") != tc.crypto || (stream.DTLS == media.DTLS{}) != tc.crypto {
			t.Errorf("an answer %s: %+v, %v", name, stream, err)
		}
	}
	other := shaking(Optional)
	other.Form = Web
	has(t, other.Offer(), "m=audio 40000 UDP/TLS/RTP/SAVPF 8 0 101")
	if !other.NextForm() {
		t.Error("no other offer to a phone over WebSocket that is no browser")
	}
	has(t, other.Offer(), "m=audio 40000 RTP/AVP 8 0 101")
	refused := shaking(Optional)
	for _, want := range []string{"m=audio 40000 RTP/AVP 8 0 101", "m=audio 40000 RTP/SAVP 8 0 101", "m=audio 40000 UDP/TLS/RTP/SAVP 8 0 101"} {
		has(t, refused.Offer(), want)
		if more := refused.NextForm(); more != !strings.Contains(want, "UDP") {
			t.Errorf("after %s another offer: %v", want, more)
		}
	}
}

// TestTheHandshakeStays: a hold, a refresh, another process and a restart of
// ICE ask for no new handshake; another certificate does.
func TestTheHandshakeStays(t *testing.T) {
	s := shaking(Optional)
	_, first, err := s.Answer(browser())
	if err != nil {
		t.Fatal(err)
	}
	saved, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Session
	if err := json.Unmarshal(saved, &back); err != nil {
		t.Fatal(err)
	}
	back.Fingerprint = otherPrint // of the process that goes on
	version := back.Version
	has(t, back.Reoffer(), "a=setup:passive", "a=fingerprint:"+ownPrint, "a=ice-pwd:"+first.ICE.Local.Password.Reveal())
	back.Withdraw()
	if back.Version != version {
		t.Error("a refresh changes the description")
	}
	_, held, err := back.Answer(browser("a=sendrecv", "a=sendonly"))
	if err != nil || held.DTLS != first.DTLS || held.ICE != first.ICE {
		t.Errorf("after a hold: %+v, %v", held, err)
	}
	_, restarted, err := back.Answer(browser("Ab1+", "Cd2+"))
	if err != nil || restarted.DTLS != first.DTLS || restarted.ICE.Remote.Ufrag != "Cd2+" || restarted.ICE.Local == first.ICE.Local {
		t.Errorf("after a restart of ICE: %+v, %v", restarted, err)
	}
	back.Local = netip.MustParseAddrPort("192.0.2.2:40000")
	offer := back.Offer()
	has(t, offer, "a=candidate:1 1 udp 2130706431 192.0.2.2 40000 typ host", "a=fingerprint:"+ownPrint, "a=mid:0", "m=audio 40000 UDP/TLS/RTP/SAVPF 8 0 126")
	if strings.Contains(string(offer), restarted.ICE.Local.Ufrag) {
		t.Error("a new candidate without a restart of ICE: it would not be checked")
	}
	back.Withdraw()
	answer, other, err := back.Answer(browser(theirPrint, ownPrint))
	if err != nil || other.DTLS != (media.DTLS{Own: otherPrint, Peer: ownPrint}) {
		t.Errorf("after another certificate: %+v, %v", other, err)
	}
	has(t, answer, "a=fingerprint:"+otherPrint)
}

// TestPreferKeepsTheKeys: an answer that is made once more tells the same.
func TestPreferKeepsTheKeys(t *testing.T) {
	s := shaking(Optional)
	s.Codecs = append(s.Codecs, "opus")
	_, first, err := s.Answer(browser())
	if err != nil {
		t.Fatal(err)
	}
	if body := s.Prefer("opus"); body == nil || s.Stream.ICE != first.ICE || s.Stream.DTLS != first.DTLS {
		t.Errorf("%s\n%+v", body, s.Stream)
	}
}
