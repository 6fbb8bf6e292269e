package legs

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/srtp"
)

// secretSDP is phoneSDP over SRTP.
func secretSDP() string {
	key := srtp.KeyFor(srtp.AES80, bytes.Repeat([]byte{9}, srtp.KeySize))
	return strings.Replace(phoneSDP, "RTP/AVP", "RTP/SAVP", 1) + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + key.Reveal() + "\r\n"
}

const (
	ownPrint   = "sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"
	theirPrint = "sha-256 FF:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"
)

// webSDP is phoneSDP as a browser says it.
func webSDP(setup string) string {
	return strings.Replace(phoneSDP, "RTP/AVP", "UDP/TLS/RTP/SAVPF", 1) + "a=mid:0\r\na=rtcp-mux\r\na=ice-ufrag:Ab1+\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n" +
		"a=fingerprint:" + theirPrint + "\r\na=setup:" + setup + "\r\n"
}

// TestABrowser calls and is called: it is offered what it can take, and only it.
func TestABrowser(t *testing.T) {
	for _, tc := range []struct{ policy, called string }{
		{"Disabled", "RTP/AVP"}, {"Optional", "UDP/TLS/RTP/SAVPF"}, {"Required", "UDP/TLS/RTP/SAVPF"},
	} {
		inBubble(t, func(w *memnet) {
			w.doc.Media.SRTP = tc.policy
			w.legs.Dial(leg.Dial{
				Leg: "out", From: pbx.Party{Number: "102"},
				Target: leg.Target{Contact: pbx.Contact{Extension: "101", URI: "sip:101@x.invalid;transport=ws", Source: phoneAddr, Transport: "WS"}},
			}, listener{w})
			inv := w.expect("INVITE ")
			if !strings.Contains(string(inv.Body()), " "+tc.called+" ") {
				t.Errorf("%s: offered\n%s", tc.policy, inv.Body())
			}
			if tc.policy == "Disabled" {
				w.reply(inv, 488, "a", "")
				w.expect("ACK ")
				w.told("over 488")
				return
			}
			w.reply(inv, 200, "b", webSDP("active"))
			w.expect("ACK ")
			w.told("answered")
			s := w.ports[0].last()
			if want := (media.DTLS{Own: ownPrint, Peer: theirPrint}); s.DTLS != want || s.ICE.Remote.Ufrag != "Ab1+" {
				t.Errorf("stream is %+v", s)
			}
		})
	}
	inBubble(t, func(w *memnet) {
		w.doc.Media.SRTP = "Required"
		p := w.phone()
		p.invite(webSDP("actpass"))
		w.told("incoming")
		w.calls.in.Leg.Answer()
		ok := p.learn(w.expect("200 "))
		if !strings.Contains(string(ok.Body()), "a=setup:passive") || !strings.Contains(string(ok.Body()), ownPrint) {
			t.Errorf("answer is\n%s", ok.Body())
		}
		p.ack("")
		w.told("answered")
	})
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
	for policy, again := range map[string]bool{"Disabled": false, "Optional": true, "Required": true} {
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
			if form := map[string]string{"Optional": " RTP/SAVP ", "Required": "UDP/TLS/RTP/SAVP "}[policy]; !strings.Contains(string(inv.Body()), form) {
				t.Errorf("%s: the second offer is\n%s", policy, inv.Body())
			}
			if policy == "Required" {
				w.reply(inv, 488, "b", "")
				w.expect("ACK ")
				w.told("over 488")
				return
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
