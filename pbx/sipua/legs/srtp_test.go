package legs

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/media/srtp"
)

// secretSDP is phoneSDP over SRTP.
func secretSDP() string {
	key := srtp.KeyFor(srtp.AES80, bytes.Repeat([]byte{9}, srtp.KeySize))
	return strings.Replace(phoneSDP, "RTP/AVP", "RTP/SAVP", 1) + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key.Reveal() + "\r\n"
}

func TestIncomingCallsByPolicy(t *testing.T) {
	for _, tc := range []struct {
		policy, offer, want string
	}{
		{"Disabled", secretSDP(), "488 "},
		{"Disabled", phoneSDP, "RTP/AVP"},
		{"Optional", secretSDP(), "RTP/SAVP"},
		{"Optional", phoneSDP, "RTP/AVP"},
		{"Required", secretSDP(), "RTP/SAVP"},
		{"Required", phoneSDP, "488 "},
	} {
		inBubble(t, func(w *memnet) {
			w.doc.Media.SRTP = tc.policy
			p := w.phone()
			p.invite(tc.offer)
			if tc.want == "488 " {
				w.expect("488 ")
				return
			}
			w.told("incoming")
			w.calls.in.Leg.Answer()
			ok := p.learn(w.expect("200 "))
			if !strings.Contains(string(ok.Body()), tc.want) {
				t.Errorf("%s: answer is\n%s", tc.policy, ok.Body())
			}
			p.ack("")
			w.told("answered")
			s := w.ports[0].last()
			if (s.Crypto.Suite != "") != (tc.want == "RTP/SAVP") {
				t.Errorf("%s: stream is %+v", tc.policy, s)
			}
			p.do("BYE", "", "Reason: Q.850;cause=16")
			w.expect("200 ")
			w.told("over 0 q16 hung up")
		})
	}
}

// TestAPhoneThatTakesNothingInTheClear refuses plain RTP; where the policy
// leaves it to the phone it is called again with keys.
func TestAPhoneThatTakesNothingInTheClear(t *testing.T) {
	for policy, again := range map[string]bool{"Disabled": false, "Optional": true, "Required": false} {
		inBubble(t, func(w *memnet) {
			w.doc.Media.SRTP = policy
			_, inv := w.ring()
			if secret := strings.Contains(string(inv.Body()), "RTP/SAVP"); secret != (policy == "Required") {
				t.Errorf("%s: the first offer is\n%s", policy, inv.Body())
			}
			w.reply(inv, 488, "a", "")
			w.expect("ACK ")
			if !again {
				w.told("over 488")
				return
			}
			inv = w.expect("INVITE ")
			if !strings.Contains(string(inv.Body()), "RTP/SAVP") {
				t.Errorf("%s: the second offer is\n%s", policy, inv.Body())
			}
			w.reply(inv, 200, "b", secretSDP())
			w.expect("ACK ")
			w.told("answered")
			if s := w.ports[0].last(); s.Crypto.Suite != srtp.AES80 || s.Crypto.Local == s.Crypto.Remote {
				t.Errorf("stream is %+v", s)
			}
		})
	}
}
