package sdp

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/pbxtest/bounded"
)

func newSession() Session {
	return Session{
		ID: 7, Local: netip.MustParseAddrPort("192.0.2.1:40000"), Codecs: []string{"PCMA", "PCMU"},
		Source: netip.MustParseAddr("198.51.100.7"),
	}
}

// desc makes a description of the given lines after v= and o=.
func desc(lines ...string) []byte {
	return []byte("v=0\r\no=peer 1 1 IN IP4 198.51.100.7\r\n" + strings.Join(lines, "\r\n") + "\r\n")
}

func plain(m string, attrs ...string) []byte {
	return desc(append([]string{"s=-", "c=IN IP4 198.51.100.7", "t=0 0", m}, attrs...)...)
}

// pcma is the stream of a plain answer, changed as the test says.
func pcma(change func(*media.Stream)) media.Stream {
	s := media.Stream{
		Remote: netip.MustParseAddrPort("198.51.100.7:20000"), Signalling: netip.MustParseAddr("198.51.100.7"),
		Codec: media.Codec{Name: "PCMA", PayloadType: 8, ClockRate: 8000}, TrustSource: true,
	}
	if change != nil {
		change(&s)
	}
	return s
}

type answerTest struct {
	name  string
	offer []byte
	first string
	want  media.Stream
	line  string // must be in the answer
}

func (tt answerTest) run(t *testing.T) {
	t.Helper()
	s := newSession()
	s.First = tt.first
	answer, got, err := s.Answer(tt.offer)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{})); d != "" {
		t.Errorf("stream (-want +got)\n%s", d)
	}
	if !strings.Contains(string(answer), tt.line) {
		t.Errorf("answer lacks %q:\n%s", tt.line, answer)
	}
	if held := got.Direction == media.RecvOnly || got.Direction == media.Inactive; held != s.Held() {
		t.Errorf("held is %v", s.Held())
	}
	if _, err := Parse(answer); err != nil {
		t.Errorf("we cannot read our own answer: %v", err)
	}
}

func TestAnswer(t *testing.T) {
	pcmu := func(pt uint8) func(*media.Stream) {
		return func(s *media.Stream) { s.Codec = media.Codec{Name: "PCMU", PayloadType: pt, ClockRate: 8000} }
	}
	for _, tt := range []answerTest{
		{
			"our preference wins", plain("m=audio 20000 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000"), "",
			pcma(func(s *media.Stream) { s.DTMF = 101 }),
			"m=audio 40000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n",
		},
		{"the hint comes first", plain("m=audio 20000 RTP/AVP 8 0"), "PCMU", pcma(pcmu(0)), "RTP/AVP 0\r\n"},
		{
			"dynamic payload types", plain("m=audio 20000 RTP/AVP 97 99", "a=rtpmap:97 pcmu/8000/1", "a=rtpmap:99 Telephone-Event/8000"), "",
			pcma(func(s *media.Stream) { pcmu(97)(s); s.DTMF = 99 }), "RTP/AVP 97 99\r\n",
		},
		{"events of another clock are none", plain("m=audio 20000 RTP/AVP 8 100", "a=rtpmap:100 telephone-event/48000"), "", pcma(nil), "RTP/AVP 8\r\n"},
		{"packet time and rtcp", plain("m=audio 20000 RTP/AVP 8", "a=ptime:30", "a=rtcp:53020 IN IP4 198.51.100.8"), "", pcma(func(s *media.Stream) {
			s.Ptime, s.RemoteRTCP = 30*time.Millisecond, netip.MustParseAddrPort("198.51.100.8:53020")
		}), "a=ptime:20\r\n"},
		{
			"rtcp-mux", plain("m=audio 20000 RTP/AVPF 8", "a=rtcp-mux", "a=rtcp:20000"), "", pcma(func(s *media.Stream) { s.RTCPMux = true }),
			"m=audio 40000 RTP/AVPF 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=rtcp-mux\r\n",
		},
		{
			"others refused in place", plain("m=video 4000 RTP/AVP 31", "m=audio 20000 RTP/AVP 8", "m=image 5000 udptl t38", "m=audio 6000 RTP/AVP 0"), "", pcma(nil),
			"m=video 0 RTP/AVP 31\r\nm=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=sendrecv\r\nm=image 0 UDPTL t38\r\nm=audio 0 RTP/AVP 0\r\n",
		},
		{"the second audio line fits", plain("m=audio 4000 RTP/SAVP 8", "m=audio 20000 RTP/AVP 8"), "", pcma(nil), "m=audio 0 RTP/SAVP 8\r\nm=audio 40000"},
		{"connection per media", desc("s=-", "t=0 0", "m=audio 20000 RTP/AVP 8", "c=IN IP4 198.51.100.7/127"), "", pcma(nil), ""},
	} {
		t.Run(tt.name, tt.run)
	}
}

func TestAnswerToEachDirection(t *testing.T) {
	to := func(d media.Direction) media.Stream { return pcma(func(s *media.Stream) { s.Direction = d }) }
	for _, tt := range []answerTest{
		{"hold", plain("m=audio 20000 RTP/AVP 8", "a=sendonly"), "", to(media.RecvOnly), "a=recvonly\r\n"},
		{"inactive", plain("m=audio 20000 RTP/AVP 8", "a=inactive"), "", to(media.Inactive), "a=inactive\r\n"},
		{"listening only", plain("m=audio 20000 RTP/AVP 8", "a=recvonly"), "", to(media.SendOnly), "a=sendonly\r\n"},
		{"both ways", plain("m=audio 20000 RTP/AVP 8", "a=sendrecv"), "", to(media.SendRecv), "a=sendrecv\r\n"},
		{"of the session", desc("s=-", "c=IN IP4 198.51.100.7", "t=0 0", "a=sendonly", "m=audio 20000 RTP/AVP 8"), "", to(media.RecvOnly), "a=recvonly\r\n"},
		{"hold of RFC 2543", desc("s=-", "c=IN IP4 0.0.0.0", "t=0 0", "m=audio 20000 RTP/AVP 8"), "", pcma(func(s *media.Stream) {
			s.Direction, s.Remote, s.TrustSource = media.RecvOnly, netip.AddrPort{}, false
		}), "a=recvonly\r\n"},
	} {
		t.Run(tt.name, tt.run)
	}
}

func TestAddressesThatAreNotSentTo(t *testing.T) {
	tests := []struct {
		name, source, conn string
		want, trusted      bool
	}{
		{"public and equal", "198.51.100.7", "IN IP4 198.51.100.7", true, true},
		{"public and other", "198.51.100.7", "IN IP4 198.51.100.9", true, false},
		{"private behind a NAT", "198.51.100.7", "IN IP4 192.168.0.5", false, false},
		{"carrier NAT", "198.51.100.7", "IN IP4 100.64.1.1", false, false},
		{"both private", "10.0.0.9", "IN IP4 10.0.0.7", true, false},
		{"our own loopback", "10.0.0.9", "IN IP4 127.0.0.1", false, false},
		{"loopback among us", "127.0.0.1", "IN IP4 127.0.0.1", true, true},
		{"multicast", "198.51.100.7", "IN IP4 224.2.1.1/127", false, false},
		{"broadcast", "198.51.100.7", "IN IP4 255.255.255.255", false, false},
		{"other family", "198.51.100.7", "IN IP6 2001:db8::1", false, false},
		{"a name", "198.51.100.7", "IN IP4 phone.example", false, false},
		{"another network", "198.51.100.7", "ATM NSAP 1", false, false},
		{"a zone", "198.51.100.7", "IN IP6 fe80::1%eth0", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession()
			s.Trust(netip.MustParseAddr(tt.source))
			_, got, err := s.Answer(desc("s=-", "c="+tt.conn, "t=0 0", "m=audio 20000 RTP/AVP 8"))
			if err != nil {
				t.Fatal(err)
			}
			if got.Remote.IsValid() != tt.want || got.TrustSource != tt.trusted {
				t.Errorf("remote %v, trusted %v", got.Remote, got.TrustSource)
			}
		})
	}
}

func TestDescriptionsThatAreRefused(t *testing.T) {
	many := strings.Repeat("m=audio 1 RTP/AVP 8\r\n", maxLines+1)
	tests := []struct {
		name string
		body []byte
		want error
	}{
		{"empty", nil, ErrMalformed},
		{"noise", []byte("hello"), ErrMalformed},
		{"no origin", []byte("v=0\r\ns=-\r\n"), ErrMalformed},
		{"short media line", plain("m=audio 1"), ErrMalformed},
		{"port", plain("m=audio 70000 RTP/AVP 8"), ErrMalformed},
		{"port text", plain("m=audio x RTP/AVP 8"), ErrMalformed},
		{"too large", plain("a=" + strings.Repeat("x", maxBody)), ErrMalformed},
		{"too many lines", plain(many), ErrMalformed},
		{"too many formats", plain("m=audio 1 RTP/AVP" + strings.Repeat(" 8", maxFormats+1)), ErrMalformed},
		{"no media", plain("a=sendrecv"), ErrNoAudio},
		{"no codec of ours", plain("m=audio 20000 RTP/AVP 18 96", "a=rtpmap:96 opus/48000/2"), ErrNoAudio},
		{"refused line", plain("m=audio 0 RTP/AVP 8"), ErrNoAudio},
		{"encrypted only", plain("m=audio 20000 RTP/SAVP 8"), ErrNoAudio},
		{"wrong clock", plain("m=audio 20000 RTP/AVP 8", "a=rtpmap:8 PCMA/16000"), ErrNoAudio},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSession()
			before, _ := json.Marshal(s)
			_, _, err := s.Answer(tt.body)
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if after, _ := json.Marshal(s); string(after) != string(before) {
				t.Error("a refused offer changed the session")
			}
		})
	}
}

func TestOddButReadable(t *testing.T) {
	bodies := map[string][]byte{
		"no s= and t=":      desc("c=IN IP4 198.51.100.7", "m=audio 20000 RTP/AVP 8"),
		"bare line feeds":   []byte("v=0\no=x 1 1 IN IP4 h\ns=-\nc=IN IP4 198.51.100.7\nt=0 0\nm=audio 20000 RTP/AVP 8\n"),
		"odd origin":        []byte("v=0\r\no=Mr X y z IN IP4\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8\r\n"),
		"unknown bandwidth": plain("b=X:1", "m=audio 20000 RTP/AVP 8"),
		"lines in disorder": desc("t=0 0", "a=tool:x", "c=IN IP4 198.51.100.7", "s=-", "m=audio 20000 RTP/AVP 8"),
		"port count":        plain("m=audio 20000/2 RTP/AVP 8"),
		"upper case":        plain("m=AUDIO 20000 rtp/avp 8"),
		"wrong attributes":  plain("m=audio 20000 RTP/AVP 8 x 300", "a=rtpmap:x y", "a=rtpmap:8", "a=rtpmap:200 A/1", "a=rtpmap:9 G722", "a=rtpmap:9 G722/x", "a=ptime:x", "a=rtcp:x", "a=rtcp:0", "a=rtcp", "a"+"=rtcp:1 IN IP4 x", "a=setup:actpass", "a=x:"),
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			s := newSession()
			_, got, err := s.Answer(body)
			if err != nil || got.Codec.Name != "PCMA" {
				t.Errorf("stream %+v, error %v", got, err)
			}
		})
	}
}

func TestOfferAndItsAnswers(t *testing.T) {
	s := newSession()
	s.First = "PCMU"
	offer := string(s.Offer())
	want := "v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n" +
		"m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
	if offer != want {
		t.Errorf("offer is\n%s", offer)
	}
	for name, answer := range map[string][]byte{
		"refused":     plain("m=audio 0 RTP/AVP 0"),
		"no such":     plain("m=audio 20000 RTP/AVP 18"),
		"no media":    plain("a=x"),
		"only video":  plain("m=video 4 RTP/AVP 31", "m=video 4 RTP/AVP 31"),
		"other proto": plain("m=audio 20000 RTP/SAVP 0"),
	} {
		if _, err := s.Accept(answer); !errors.Is(err, ErrNoAudio) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := s.Accept([]byte("x")); !errors.Is(err, ErrMalformed) {
		t.Errorf("error %v", err)
	}
	got, err := s.Accept(plain("m=audio 20000 RTP/AVP 8 97", "a=rtpmap:97 telephone-event/8000", "a=rtcp-mux"))
	if err != nil || got.Codec.Name != "PCMA" || got.DTMF != 97 || got.RTCPMux {
		t.Errorf("stream %+v, error %v", got, err)
	}
	if _, err := s.Accept(plain("m=audio 20000 RTP/AVP 8")); !errors.Is(err, ErrNoOffer) {
		t.Errorf("a second answer: %v", err)
	}
}

func TestReoffersKeepWhatWasSettled(t *testing.T) {
	s := newSession()
	if _, _, err := s.Answer(plain("m=video 4 RTP/AVP 31", "m=audio 20000 RTP/AVP 0 97", "a=rtpmap:97 PCMA/8000", "a=rtcp-mux", "a=sendonly")); err != nil {
		t.Fatal(err)
	}
	first := s.Body
	again := string(s.Reoffer())
	if !strings.HasSuffix(again, first) || !strings.Contains(again, "o=- 7 1 ") {
		t.Errorf("the refresh changed the description:\n%s", again)
	}
	s.Withdraw()
	full := string(s.Offer())
	for _, want := range []string{"o=- 7 2 ", "m=video 0 RTP/AVP 31\r\nm=audio 40000 RTP/AVP 97 0 101\r\n", "a=rtcp-mux", "a=sendrecv"} {
		if !strings.Contains(full, want) {
			t.Errorf("offer lacks %q:\n%s", want, full)
		}
	}
	if _, err := s.Accept(plain("m=video 0 RTP/AVP 31", "m=audio 20002 RTP/AVP 97")); err != nil || s.Stream.Remote.Port() != 20002 {
		t.Errorf("stream %+v, error %v", s.Stream, err)
	}
	// The current codec stays although another one is preferred.
	s.Codecs = []string{"PCMU", "PCMA"}
	if _, got, _ := s.Answer(plain("m=video 0 RTP/AVP 31", "m=audio 20004 RTP/AVP 0 8")); got.Codec.Name != "PCMA" {
		t.Errorf("the codec changed to %s", got.Codec.Name)
	}
}

func TestAPayloadTypeIsNotUsedTwice(t *testing.T) {
	s := newSession()
	if _, _, err := s.Answer(plain("m=audio 20000 RTP/AVP 101", "a=rtpmap:101 PCMA/8000")); err != nil {
		t.Fatal(err)
	}
	if offer := string(s.Offer()); !strings.Contains(offer, "RTP/AVP 101 0 102\r\n") {
		t.Errorf("offer is\n%s", offer)
	}
}

func TestWithdraw(t *testing.T) {
	s := newSession()
	s.Withdraw()
	if _, _, err := s.Answer(plain("m=audio 20000 RTP/AVP 8")); err != nil {
		t.Fatal(err)
	}
	s.Offer()
	s.Withdraw()
	if s.Offered || s.Version != 2 || !strings.Contains(s.Body, "RTP/AVP 8\r\n") {
		t.Errorf("after the refusal the session is %+v", s)
	}
	if _, err := s.Accept(plain("m=audio 1 RTP/AVP 8")); !errors.Is(err, ErrNoOffer) {
		t.Errorf("error %v", err)
	}
}

func TestAnAnswerWithLinesLeftOut(t *testing.T) {
	s := newSession()
	if _, _, err := s.Answer(plain("m=video 4 RTP/AVP 31", "m=audio 20000 RTP/AVP 8")); err != nil {
		t.Fatal(err)
	}
	s.Offer()
	if got, err := s.Accept(plain("m=audio 20006 RTP/AVP 8")); err != nil || got.Remote.Port() != 20006 {
		t.Errorf("stream %+v, error %v", got, err)
	}
}

func TestIPv6(t *testing.T) {
	s := newSession()
	s.Local = netip.MustParseAddrPort("[2001:db8::1]:40000")
	s.Trust(netip.MustParseAddr("2001:db8::7"))
	answer, got, err := s.Answer(desc("s=-", "c=IN IP6 2001:db8::7", "t=0 0", "m=audio 20000 RTP/AVP 8"))
	if err != nil || got.Remote.String() != "[2001:db8::7]:20000" || !strings.Contains(string(answer), "c=IN IP6 2001:db8::1\r\n") {
		t.Errorf("stream %+v, error %v\n%s", got, err, answer)
	}
}

func TestSessionIsWrittenDownAndReadAgain(t *testing.T) {
	s := newSession()
	if _, _, err := s.Answer(plain("m=audio 20000 RTP/AVP 8 101", "a=rtpmap:101 telephone-event/8000")); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Session
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if a, b := string(s.Reoffer()), string(back.Reoffer()); a != b {
		t.Errorf("they differ:\n%s\n%s", a, b)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(plain("m=audio 20000 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000", "a=ptime:20", "a=rtcp:1 IN IP4 1.2.3.4", "a=rtcp-mux", "a=sendonly"))
	f.Add(plain("m=image 1 udptl t38", "m=audio 20000/2 RTP/AVPF 97", "a=rtpmap:97 pcma/8000/1"))
	f.Add(desc("c=IN IP6 ::1", "m=audio 1 RTP/AVP 8", "c=IN IP4 0.0.0.0"))
	f.Add([]byte("v=0\no=\nm=a 0 b\r"))
	f.Add(browser())
	f.Add(browser("a=group", "a=ice-lite\r\na=group", "setup:actpass", "setup:passive"))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := shaking(Optional)
		var answer []byte
		var stream media.Stream
		var err error
		bounded.Run(t, len(body), func() { answer, stream, err = s.Answer(body) })
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNoAudio) {
				t.Fatalf("unknown error %v", err)
			}
			return
		}
		d, err := Parse(answer)
		if err != nil {
			t.Fatalf("our answer cannot be read: %v\n%q", err, answer)
		}
		offer, err := Parse(body)
		if err != nil || len(d.Lines) != len(offer.Lines) {
			t.Fatalf("answer has %d lines, offer %d (%v)", len(d.Lines), len(offer.Lines), err)
		}
		if stream.Remote.Addr().IsMulticast() || d.Audio() < 0 {
			t.Fatalf("stream %+v\n%s", stream, answer)
		}
		p := shaking(Optional)
		p.Form = Web
		p.Offer()
		if _, err := p.Accept(body); err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNoAudio) {
			t.Fatalf("unknown error %v", err)
		}
	})
}
