package sdp

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/srtp"
)

// theirs is a key of the peer, theirsGCM one for the other suite.
func theirs(suite string) media.Key {
	return srtp.KeyFor(suite, bytes.Repeat([]byte{9}, srtp.KeySize))
}

func secured(policy SRTP) Session {
	s := newSession()
	s.SRTP, s.Random = policy, bytes.Repeat([]byte{5}, srtp.KeySize)
	return s
}

func keyed(m string, attrs ...string) []byte { return plain("m=audio 20000 "+m, attrs...) }

func TestAnswersByPolicy(t *testing.T) {
	key := "inline:" + theirs(srtp.AES80).Reveal()
	aes := "a=crypto:1 AES_CM_128_HMAC_SHA1_80 " + key
	for _, tc := range []struct {
		name    string
		policy  SRTP
		offer   []byte
		refused bool
		suite   string // empty: plain RTP
		line    string
	}{
		{"plain", Disabled, keyed("RTP/AVP 8"), false, "", "RTP/AVP 8"},
		{"encrypted, but we do not", Disabled, keyed("RTP/SAVP 8", aes), true, "", ""},
		{"a wish that we do not hear", Disabled, keyed("RTP/AVP 8", aes), false, "", "RTP/AVP 8"},
		{"without a policy", "", keyed("RTP/SAVP 8", aes), true, "", ""},
		{"plain, if the peer wants", Optional, keyed("RTP/AVP 8"), false, "", "RTP/AVP 8"},
		{"encrypted, if the peer wants", Optional, keyed("RTP/SAVP 8", aes), false, srtp.AES80, "RTP/SAVP 8"},
		{"a wish in a line of plain RTP", Optional, keyed("RTP/AVP 8", aes), false, srtp.AES80, "RTP/AVP 8"},
		{"with feedback", Optional, keyed("RTP/SAVPF 8", aes), false, srtp.AES80, "RTP/SAVPF 8"},
		{"plain is not enough", Required, keyed("RTP/AVP 8"), true, "", ""},
		{"encrypted, as it must be", Required, keyed("RTP/SAVP 8", aes), false, srtp.AES80, "RTP/SAVP 8"},
		{"no key", Optional, keyed("RTP/SAVP 8"), true, "", ""},
		{"a key that is none", Optional, keyed("RTP/SAVP 8", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA"), true, "", ""},
		{"a suite that we have not, then one", Optional, keyed("RTP/SAVP 8", "a=crypto:1 AES_256_CM_HMAC_SHA1_80 "+key, "a=crypto:7 AES_CM_128_HMAC_SHA1_32 "+key+"|2^31"), false, srtp.AES32, "a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:"},
		{"the newer cipher", Optional, keyed("RTP/SAVP 8", "a=crypto:2 AEAD_AES_128_GCM inline:"+theirs(srtp.GCM).Reveal()), false, srtp.GCM, "a=crypto:2 AEAD_AES_128_GCM inline:"},
		{"an identifier in each packet", Optional, keyed("RTP/SAVP 8", aes+"|2^20|1:4"), true, "", ""},
		{"two keys", Optional, keyed("RTP/SAVP 8", aes+"|2^20|1:4;"+key+"|2^20|2:4"), true, "", ""},
		{"encryption turned off", Optional, keyed("RTP/SAVP 8", aes+" UNENCRYPTED_SRTP"), true, "", ""},
		{"a window is no matter", Optional, keyed("RTP/SAVP 8", aes+"|2^31 WSH=64"), false, srtp.AES80, "a=crypto:1 "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := secured(tc.policy)
			answer, stream, err := s.Answer(tc.offer)
			if tc.refused != errors.Is(err, ErrNoAudio) {
				t.Fatalf("refused is %v", err)
			}
			if stream.Crypto.Suite != tc.suite || !strings.Contains(string(answer), tc.line) {
				t.Errorf("%+v, want %q\n%s", stream.Crypto, tc.suite, answer)
			}
			if hasKey := strings.Contains(string(answer), "a=crypto"); hasKey != (tc.suite != "") {
				t.Errorf("answer has a key: %v\n%s", hasKey, answer)
			}
			if c := stream.Crypto; c.Suite != "" && (c.Remote != theirs(c.Suite) || !srtp.Serves(c.Suite, c.Local) || c.Local == c.Remote) {
				t.Errorf("keys are not those of the two sides")
			}
		})
	}
}

func TestOffersByPolicy(t *testing.T) {
	for _, tc := range []struct {
		policy  SRTP
		refused bool // the peer refused plain RTP
		want    string
	}{
		{Disabled, false, "RTP/AVP 8"},
		{Disabled, true, "RTP/AVP 8"},
		{Optional, false, "RTP/AVP 8"},
		{Optional, true, "RTP/SAVP 8"},
		{Required, false, "RTP/SAVP 8"},
		{Required, true, "RTP/SAVP 8"},
	} {
		s := secured(tc.policy)
		if tc.refused && s.NextForm() != (tc.policy == Optional) {
			t.Errorf("%s: another offer to a peer that refuses: %v", tc.policy, s.Form)
		}
		if s.NextForm() && tc.refused {
			t.Errorf("%s: a third offer", tc.policy)
		}
		offer := string(s.Offer())
		if tc.refused || tc.policy == Required {
			if !strings.Contains(offer, tc.want) || strings.Contains(offer, "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:") != strings.Contains(tc.want, "SAVP") {
				t.Errorf("%+v:\n%s", tc, offer)
			}
		}
	}
}

func TestAnswersToOurSRTP(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer []byte
		ok     bool
	}{
		{"a key", keyed("RTP/SAVP 8", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+theirs(srtp.AES80).Reveal()), true},
		{"plain RTP", keyed("RTP/AVP 8"), false},
		{"no key", keyed("RTP/SAVP 8"), false},
		{"another suite", keyed("RTP/SAVP 8", "a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:"+theirs(srtp.AES80).Reveal()), false},
		{"a tag that we did not give", keyed("RTP/SAVP 8", "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:"+theirs(srtp.AES80).Reveal()), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := secured(Required)
			s.Offer()
			stream, err := s.Accept(tc.answer)
			if tc.ok != (err == nil) || !tc.ok && !errors.Is(err, ErrNoAudio) {
				t.Fatalf("%v", err)
			}
			if tc.ok && (stream.Crypto.Remote != theirs(srtp.AES80) || stream.Crypto.Local == "") {
				t.Errorf("%+v", stream.Crypto)
			}
		})
	}
}

// TestKeysStay: a session refresh, a hold and another process change no key,
// so that no packet index is used twice.
func TestKeysStay(t *testing.T) {
	s := secured(Optional)
	offer := keyed("RTP/SAVP 8", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+theirs(srtp.AES80).Reveal())
	_, first, err := s.Answer(offer)
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
	for name, again := range map[string]*Session{"the same process": &s, "another process": &back} {
		if body := string(again.Reoffer()); !strings.Contains(body, first.Crypto.Local.Reveal()) || !strings.Contains(body, "RTP/SAVP") {
			t.Errorf("%s: a refresh says\n%s", name, body)
		}
		again.Withdraw()
		if _, held, err := again.Answer(append(offer, "a=sendonly\r\n"...)); err != nil || held.Crypto != first.Crypto {
			t.Errorf("%s: after a hold %+v, %v", name, held.Crypto, err)
		}
	}
}
