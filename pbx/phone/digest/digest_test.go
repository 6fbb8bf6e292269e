package digest

import (
	"strings"
	"testing"
)

func TestDigestVectors(t *testing.T) {
	// RFC 7616 §3.9.1
	const nonce, cnonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
	for algorithm, want := range map[string]string{
		MD5:    "8ca523f5e9506fed4657c9700eebdbec",
		SHA256: "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
	} {
		c := Challenge{realm: "http-auth@example.org", nonce: nonce, algorithm: algorithm, qopAuth: true}
		got := c.answerWith(cnonce, "Mufasa", "Circle of Life", "GET", "/dir/index.html")
		if !strings.Contains(got, `response="`+want+`"`) {
			t.Errorf("%s: %s", algorithm, got)
		}
	}
	// RFC 2069 form, without qop: RFC 2617's example credentials.
	c := Challenge{realm: "testrealm@host.com", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", algorithm: MD5}
	if got := c.answerWith("", "Mufasa", "Circle Of Life", "GET", "/dir/index.html"); !strings.Contains(got, `response="670fd8c2df070c60b045671b8b24ff02"`) {
		t.Errorf("without qop: %s", got)
	}
}

func TestParseChallenge(t *testing.T) {
	tests := []struct {
		name, value string
		want        Challenge
		ok          bool
	}{
		{"plain", `Digest realm="a", nonce="b"`, Challenge{realm: "a", nonce: "b", algorithm: MD5}, true},
		{
			"everything",
			`digest realm="a, \"b\"", nonce="n=1", opaque="o", algorithm=sha-256, qop="auth-int, auth", stale=TRUE`,
			Challenge{realm: `a, "b"`, nonce: "n=1", opaque: "o", algorithm: SHA256, qopAuth: true, stale: true},
			true,
		},
		{"no realm", `Digest nonce="b"`, Challenge{}, false},
		{"no nonce", `Digest realm="b"`, Challenge{}, false},
		{"basic", `Basic realm="b"`, Challenge{}, false},
		{"empty", ``, Challenge{}, false},
		{"open quote", `Digest realm="a", nonce="b`, Challenge{realm: "a", nonce: "b", algorithm: MD5}, true},
		{"long", `Digest realm="` + strings.Repeat("a", maxChallenge) + `"`, Challenge{}, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseChallenge(tc.value)
			if got != tc.want || (err == nil) != tc.ok {
				t.Errorf("got %+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
}

func TestPick(t *testing.T) {
	md5, sha, odd := `Digest realm="r", nonce="1", algorithm=MD5`, `Digest realm="r", nonce="2", algorithm=SHA-256`, `Digest realm="r", nonce="3", algorithm=SHA-512-256`
	tests := []struct {
		name   string
		values []string
		forced string
		want   string // nonce
	}{
		{"the strongest", []string{md5, sha}, "", "2"},
		{"the strongest, first", []string{sha, md5}, "", "2"},
		{"the only one", []string{md5}, "", "1"},
		{"forced MD5", []string{sha, md5}, MD5, "1"},
		{"forced SHA-256, not offered", []string{md5}, SHA256, ""},
		{"unknown beside known", []string{odd, md5}, "", "1"},
		{"only unknown", []string{odd}, "", ""},
		{"none", nil, "", ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Pick(tc.values, tc.forced)
			if got.nonce != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("picked nonce %q, %v; want %q", got.nonce, err, tc.want)
			}
		})
	}
}

func FuzzParseChallenge(f *testing.F) {
	f.Add(`Digest realm="a", nonce="b", qop="auth", algorithm=SHA-256, stale=true`)
	f.Add(`Digest realm="a\`)
	f.Add(`Digest ===,,,"",=`)
	f.Add(`Digest realm=a,nonce=b,`)
	f.Fuzz(func(t *testing.T, value string) {
		c, err := parseChallenge(value)
		if err != nil {
			return
		}
		if c.realm == "" || c.nonce == "" {
			t.Errorf("%q: accepted without realm or nonce", value)
		}
		if newHash(c.algorithm) != nil {
			if a := c.Answer("u", "p", "INVITE", "sip:x"); !strings.Contains(a, "response=") {
				t.Errorf("%q: answer %q", value, a)
			}
		}
	})
}
