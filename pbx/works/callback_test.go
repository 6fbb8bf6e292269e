package works

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dipcast/dipcast/pbx/pbxtest/bounded"
)

func TestVerifyCallback(t *testing.T) {
	body := []byte(`{"type":"message"}`)
	// printf '{"type":"message"}' | openssl dgst -sha256 -hmac secret -binary | base64
	const signature = "jEWTK4xlc06+DrS1r4SB0TpbXoqvAKH/7tz/E7o3lpo="
	for _, test := range []struct {
		name, secret, signature string
		body                    []byte
		want                    bool
	}{
		{"right", "secret", signature, body, true},
		{"white space around", "secret", " " + signature + "\n", body, true},
		{"other secret", "secret2", signature, body, false},
		{"no secret", "", Sign("", body), body, false},
		{"other body", "secret", signature, []byte(`{"type":"message" }`), false},
		{"no signature", "secret", "", body, false},
		{"short", "secret", signature[:20], body, false},
		{"changed case", "secret", strings.ToLower(signature), body, false},
	} {
		if got := VerifyCallback(test.secret, test.body, test.signature); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}

func TestDecodeCallback(t *testing.T) {
	issued := time.Date(2022, 1, 4, 5, 16, 5, 716e6, time.UTC)
	for _, test := range []struct {
		name, body string
		want       Event
	}{
		{
			"press", `{"type":"message","source":{"userId":"u","domainId":40029600},"issuedTime":"2022-01-04T05:16:05.716Z","content":{"type":"text","text":"받기","postback":"v1.t"}}`,
			Event{Type: EventMessage, UserID: "u", DomainID: 40029600, Issued: issued, Kind: "text", Text: "받기", Postback: "v1.t"},
		},
		{
			"line in a room", `{"type":"message","source":{"userId":"u","channelId":"c","domainId":"40029600"},"content":{"type":"text","text":"hi"}}`,
			Event{Type: EventMessage, UserID: "u", ChannelID: "c", DomainID: 40029600, Kind: "text", Text: "hi"},
		},
		{"postback", `{"type":"postback","source":{"userId":"u"},"data":"v1.t","content":{"postback":"other"}}`, Event{Type: EventPostback, UserID: "u", Postback: "v1.t"}},
		{"file", `{"type":"message","source":{"userId":"u"},"content":{"type":"file","fileId":"f"}}`, Event{Type: EventMessage, UserID: "u", Kind: "file", FileID: "f"}},
		{"joined", `{"type":"joined","source":{"channelId":"c"},"members":["a","b"]}`, Event{Type: EventJoined, ChannelID: "c", Members: []string{"a", "b"}}},
		{"unknown kind", `{"type":"starred","source":{"userId":"u"},"more":{"x":[1]}}`, Event{Type: "starred", UserID: "u"}},
		{"absurd domain", `{"type":"begin","source":{"userId":"u","domainId":{"a":1}},"issuedTime":"yesterday"}`, Event{Type: EventBegin, UserID: "u"}},
	} {
		got, err := DecodeCallback([]byte(test.body))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if d := cmp.Diff(test.want, got); d != "" {
			t.Errorf("%s:\n%s", test.name, d)
		}
		if got.Known() != (test.name != "unknown kind") {
			t.Errorf("%s: known %t", test.name, got.Known())
		}
	}
	for _, body := range []string{"", "null", "[]", "{}", `{"type":""}`, `{"type":5}`, `{"type":"message"`, `{"type":"message","content":"x"}`, `"` + strings.Repeat("x", MaxCallback) + `"`} {
		if e, err := DecodeCallback([]byte(body)); !errors.Is(err, ErrCallback) {
			t.Errorf("%.40q: %+v, %v, want ErrCallback", body, e, err)
		}
	}
}

func FuzzDecodeCallback(f *testing.F) {
	for _, s := range []string{
		`{"type":"message","source":{"userId":"u","channelId":"c","domainId":1},"issuedTime":"2022-01-04T05:16:05.716Z","content":{"type":"text","text":"t","postback":"p"}}`,
		`{"type":"postback","source":{"userId":"u","domainId":"1"},"data":"action=buy"}`,
		`{"type":"joined","members":["a"]}`, `{"type":"message","content":{"type":"sticker","packageId":"1"}}`,
		`{}`, `null`, `[[[[`, `{"type":"\ud800"}`, `{"type":"message","source":{"domainId":-1e99}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var e Event
		var err error
		bounded.Run(t, len(body), func() { e, err = DecodeCallback(body) })
		switch {
		case err != nil && !errors.Is(err, ErrCallback):
			t.Errorf("error %v is not ErrCallback", err)
		case err == nil && e.Type == "":
			t.Error("an event without a type is no event")
		case err != nil && strings.ContainsAny(err.Error(), "\r\n\x00"):
			t.Errorf("%q would forge log lines", err)
		}
		if VerifyCallback("secret", body, "forged") {
			t.Error("a forged signature passes")
		}
	})
}
