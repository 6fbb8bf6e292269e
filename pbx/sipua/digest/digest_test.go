package digest

import (
	"crypto/rand"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestAnswerMatchesTheRFC uses the examples of RFC 7616 §3.9.1 and RFC 2617
// §3.5.
func TestAnswerMatchesTheRFC(t *testing.T) {
	for _, row := range []struct{ algorithm, nonce, cnonce, secret, user, realm, want string }{
		{
			"MD5", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
			"Circle of Life", "Mufasa", "http-auth@example.org", "8ca523f5e9506fed4657c9700eebdbec",
		},
		{
			"SHA-256", "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
			"Circle of Life", "Mufasa", "http-auth@example.org", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
		},
		{
			"MD5", "dcd98b7102dd2f0e8b11d0f600bfb0c093", "0a4f113b",
			"Circle Of Life", "Mufasa", "testrealm@host.com", "6629fae49393a05397450978507c4ef1",
		},
	} {
		ch := Challenge{Realm: row.realm, Nonce: row.nonce, Algorithm: row.algorithm, QOP: true}
		c, ok := ParseCredentials(Answer(ch, row.user, row.secret, "GET", "/dir/index.html", row.cnonce, 1))
		if !ok || c.Response != row.want {
			t.Errorf("%s: %q, want %q", row.algorithm, c.Response, row.want)
		}
	}
}

func TestParseCredentials(t *testing.T) {
	const good = `Digest username="101", realm="r", nonce="n", uri="sip:x", response="ab"`
	for _, row := range []struct {
		in string
		ok bool
	}{
		{good, true},
		{"DIGEST\tusername=101,realm=\"r\",nonce=n,uri=\"sip:x\",response=ab", true},
		{good + `, algorithm=MD5, qop=auth, nc=00000001, cnonce="\"q\""`, true},
		{good + `, username="102"`, false},
		{"", false},
		{"Digest", false},
		{"Digest ", false},
		{"Basic YTpi", false},
		{"NoOneKnowsThisScheme opaque-data=here", false},
		{strings.Replace(good, `"101"`, `"101`, 1), false},
		{strings.Replace(good, `, response="ab"`, "", 1), false},
		{good + ` junk`, false},
		{good + `, opaque="` + strings.Repeat("a", 600) + `"`, false},
		{"Digest " + strings.Repeat("a=b,", 100), false},
	} {
		if _, ok := ParseCredentials(row.in); ok != row.ok {
			t.Errorf("%.60q: ok is %v", row.in, ok)
		}
	}
}

type desk struct {
	t      *testing.T
	auth   *Authority
	source netip.Addr
	now    time.Time
}

func newDesk(t *testing.T, remember int) *desk {
	t.Helper()
	a, err := NewAuthority(rand.Reader, 5*time.Minute, remember)
	if err != nil {
		t.Fatal(err)
	}
	return &desk{t, a, netip.MustParseAddr("192.0.2.1"), time.Unix(1e9, 0)}
}

func (d *desk) challenge() Challenge {
	d.t.Helper()
	c, ok := ParseChallenge(d.auth.Challenges("realm", d.source, false, false, d.now)[0])
	if !ok || c.Algorithm != "MD5" || !c.QOP {
		d.t.Fatalf("challenge %+v", c)
	}
	return c
}

func (d *desk) try(c Challenge, secret string, nc uint32, request string) Verdict {
	d.t.Helper()
	cred, ok := ParseCredentials(Answer(c, "101", secret, "REGISTER", "sip:x", "cn", nc))
	if !ok {
		d.t.Fatal("our own answer cannot be read")
	}
	return d.auth.Check(&Attempt{
		Credentials: cred, Method: "REGISTER", Realm: "realm", Source: d.source, Request: request,
	}, "right", true, d.now)
}

func (d *desk) want(what string, got, want Verdict) {
	d.t.Helper()
	if got != want {
		d.t.Errorf("%s: verdict %d, want %d", what, got, want)
	}
}

func TestCheck(t *testing.T) {
	d := newDesk(t, 100)
	c := d.challenge()
	d.want("wrong secret", d.try(c, "wrong", 1, "a"), Guessed)
	d.want("right", d.try(c, "right", 1, "a"), Right)
	d.want("its retransmission", d.try(c, "right", 1, "a"), Repeated)
	d.want("another request with the same count", d.try(c, "right", 1, "b"), Guessed)
	d.want("the next count", d.try(c, "right", 2, "c"), Right)
	d.want("the first one again", d.try(c, "right", 1, "a"), Guessed)
	d.want("a gap", d.try(c, "right", 10, "d"), Right)
	d.want("out of order, unused", d.try(c, "right", 9, "e"), Right)
	d.want("far ahead", d.try(c, "right", 1000, "f"), Right)
	d.want("behind the window", d.try(c, "right", 12, "g"), Guessed)

	d.now = d.now.Add(33 * time.Second)
	d.want("a retransmission long after", d.try(c, "right", 1000, "f"), Guessed)

	d.now = d.now.Add(5 * time.Minute)
	d.want("old nonce, right secret", d.try(c, "right", 1001, "h"), Stale)
	d.want("old nonce, wrong secret", d.try(c, "wrong", 1002, "h"), Guessed)

	c = d.challenge()
	d.source = netip.MustParseAddr("192.0.2.2")
	d.want("nonce of another source", d.try(c, "right", 1, "a"), Wrong)
	c.Nonce = strings.Repeat("A", len(c.Nonce))
	d.want("invented nonce", d.try(c, "right", 1, "a"), Wrong)
	c.Nonce = "short"
	d.want("short nonce", d.try(c, "right", 1, "a"), Wrong)
}

func TestUnknownUserIsAWrongSecret(t *testing.T) {
	d := newDesk(t, 100)
	cred, _ := ParseCredentials(Answer(d.challenge(), "nobody", "", "REGISTER", "sip:x", "cn", 1))
	v := d.auth.Check(&Attempt{Credentials: cred, Method: "REGISTER", Realm: "realm", Source: d.source}, "", false, d.now)
	d.want("unknown user with an empty secret", v, Guessed)
}

func TestMemoryIsBounded(t *testing.T) {
	d := newDesk(t, 100)
	first := d.challenge()
	d.want("first", d.try(first, "right", 1, "a"), Right)
	for range 1000 {
		d.now = d.now.Add(time.Millisecond)
		d.want("fresh nonce", d.try(d.challenge(), "right", 1, "a"), Right)
	}
	if n := len(d.auth.seen.now) + len(d.auth.seen.old); n > 100 {
		t.Errorf("%d nonces are remembered, want at most 100", n)
	}
	d.want("a nonce that was forgotten is not good again", d.try(first, "right", 1, "b"), Stale)
}

func TestChallengesOfferTheStrongerFirst(t *testing.T) {
	d := newDesk(t, 100)
	both := d.auth.Challenges("realm", d.source, true, true, d.now)
	a, oka := ParseChallenge(both[0])
	b, okb := ParseChallenge(both[1])
	if !oka || !okb || a.Algorithm != "SHA-256" || b.Algorithm != "MD5" || !a.Stale || !b.Stale {
		t.Errorf("challenges %+v %+v", a, b)
	}
}

// FuzzParse: no header makes the parser panic, and what it accepts is
// complete.
func FuzzParse(f *testing.F) {
	f.Add(`Digest username="101", realm="r", nonce="n", uri="sip:x", response="ab", qop=auth, nc=00000001, cnonce="c"`)
	f.Add(`Digest realm="r", nonce="n", qop="auth,auth-int", algorithm=SHA-256, stale=TRUE`)
	f.Add(`Digest a="\`)
	a, err := NewAuthority(rand.Reader, time.Minute, 10)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c, ok := ParseCredentials(s); ok {
			if c.Username == "" || c.Nonce == "" || c.Response == "" {
				t.Fatalf("incomplete: %+v", c)
			}
			v := a.Check(&Attempt{Credentials: c, Method: "REGISTER", Realm: c.Realm}, "secret", true, time.Now())
			if v == Right || v == Repeated {
				t.Fatalf("%q was right", s)
			}
		}
		if c, ok := ParseChallenge(s); ok {
			if _, ok := ParseCredentials(Answer(c, "u", "p", "REGISTER", "sip:x", "c", 1)); !ok && len(c.Realm)+len(c.Opaque) < 400 {
				t.Fatalf("our answer to %q cannot be read", s)
			}
		}
	})
}
