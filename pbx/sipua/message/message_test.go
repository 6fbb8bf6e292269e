package message

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
)

// request parses an INVITE whose headers replace or follow the usual ones.
func request(t testing.TB, body string, headers ...string) *sip.Request {
	t.Helper()
	lines := []string{"INVITE sip:025550100@pbx.example SIP/2.0"}
	usual := []string{
		"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa", "From: \"Hong, G\" <sip:01012345678@carrier.example>;tag=a",
		"To: <sip:025550100@pbx.example>", "Call-ID: c", "CSeq: 1 INVITE", "Contact: <sip:gw@192.0.2.9>",
	}
	for _, u := range usual {
		name, _, _ := strings.Cut(u, ":")
		replaced := false
		for _, h := range headers {
			replaced = replaced || strings.HasPrefix(h, name+":")
		}
		if !replaced {
			lines = append(lines, u)
		}
	}
	lines = append(lines, headers...)
	m, err := sip.ParseMessage([]byte(strings.Join(lines, "\r\n") + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body))
	if err != nil {
		t.Fatal(err)
	}
	return m.(*sip.Request)
}

func TestWhoCallsFromATrunk(t *testing.T) {
	for name, row := range map[string]struct {
		headers []string
		want    pbx.Party
	}{
		"From":                {nil, pbx.Party{Number: "01012345678", Name: "Hong, G"}},
		"tel in From":         {[]string{"From: <tel:+821012345678;phone-context=kr>;tag=a"}, pbx.Party{Number: "+821012345678"}},
		"user parameters":     {[]string{"From: <sip:01012345678;npdi@carrier.example>;tag=a"}, pbx.Party{Number: "01012345678"}},
		"escapes":             {[]string{"From: <sip:%2B821012345678@carrier.example>;tag=a"}, pbx.Party{Number: "+821012345678"}},
		"assertion":           {[]string{"P-Asserted-Identity: \"Kim, H\" <sip:0215990000@carrier.example>"}, pbx.Party{Number: "0215990000", Name: "Kim, H"}},
		"two assertions":      {[]string{"P-Asserted-Identity: <sip:0215990000@carrier.example>, <tel:+82215990000>"}, pbx.Party{Number: "0215990000", Name: "Hong, G"}},
		"tel assertion":       {[]string{"P-Asserted-Identity: <tel:+82215990000>"}, pbx.Party{Number: "+82215990000", Name: "Hong, G"}},
		"broken assertion":    {[]string{"P-Asserted-Identity: <<>"}, pbx.Party{Number: "01012345678", Name: "Hong, G"}},
		"Privacy":             {[]string{"Privacy: user;id", "P-Asserted-Identity: <sip:0215990000@carrier.example>"}, pbx.Party{}},
		"Privacy none":        {[]string{"Privacy: none"}, pbx.Party{Number: "01012345678", Name: "Hong, G"}},
		"anonymous":           {[]string{"From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=a"}, pbx.Party{}},
		"anonymous elsewhere": {[]string{"From: <sip:Anonymous@carrier.example>;tag=a"}, pbx.Party{}},
		"no user":             {[]string{"From: <sip:carrier.example>;tag=a"}, pbx.Party{}},
	} {
		row.want.Trunk = "carrier"
		if got := Caller(request(t, "", row.headers...), "carrier"); got != row.want {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
	}
}

func TestWhoIsCalled(t *testing.T) {
	req := request(t, "", "To: <tel:+8225550101;x=y>", "P-Called-Party-ID: <sip:%2a72%23@pbx.example>")
	for from, want := range map[string]string{"": "025550100", "RequestURI": "025550100", "To": "+8225550101", "PCalledPartyID": "*72#"} {
		if got := Called(req, from); got != want {
			t.Errorf("%q: %q, want %q", from, got, want)
		}
	}
	if got := Called(request(t, "", "P-Called-Party-ID: <"), "PCalledPartyID"); got != "025550100" {
		t.Errorf("a broken header: %q", got)
	}
}

func TestSDPInBodies(t *testing.T) {
	const multipart = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--\r\n"
	for name, row := range map[string]struct {
		headers []string
		body    string
		want    string
		err     error
	}{
		"none":           {nil, "", "", nil},
		"blank":          {[]string{"Content-Type: application/sdp"}, "\r\n", "", nil},
		"plain":          {[]string{"Content-Type: application/sdp"}, "v=0\r\n", "v=0\r\n", nil},
		"parameters":     {[]string{"Content-Type: Application/SDP; charset=utf-8"}, "v=0\r\n", "v=0\r\n", nil},
		"compact":        {[]string{"c: application/sdp"}, "v=0\r\n", "v=0\r\n", nil},
		"multipart":      {[]string{"Content-Type: multipart/mixed;boundary=b"}, multipart, "v=0", nil},
		"no boundary":    {[]string{"Content-Type: multipart/mixed"}, multipart, "", ErrMediaType},
		"without SDP":    {[]string{"Content-Type: multipart/mixed;boundary=b"}, strings.Replace(multipart, "sdp", "xml", 1), "", ErrMediaType},
		"another type":   {[]string{"Content-Type: text/html"}, "v=0\r\n", "", ErrMediaType},
		"no type":        {nil, "v=0\r\n", "", ErrMediaType},
		"compressed":     {[]string{"Content-Type: application/sdp", "e: gzip"}, "v=0\r\n", "", ErrMediaType},
		"not compressed": {[]string{"Content-Type: application/sdp", "Content-Encoding: identity"}, "v=0\r\n", "v=0\r\n", nil},
	} {
		got, err := SDP(request(t, row.body, row.headers...))
		if string(got) != row.want || !errors.Is(err, row.err) {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

func TestKeysByINFO(t *testing.T) {
	for body, want := range map[string]rune{
		"Signal=5\r\nDuration=160\r\n": '5', "signal = *\r\n": '*', "5": '5', " # ": '#', "Signal=10": '*', "Signal=11": '#',
		"Duration=100\r\nSignal=d\r\n": 'D', "": 0, "Signal=": 0, "55": 0, "Signal=E": 0, "Signal=ㅁ": 0, "x": 0,
	} {
		if got, ok := InfoDigit(body); got != want || ok != (want != 0) {
			t.Errorf("%q: %q %v", body, got, ok)
		}
	}
}

func TestReasons(t *testing.T) {
	for text, want := range map[string]pbx.Cause{
		"Q.850;cause=17;text=\"busy\"":                    {Q850: 17},
		"SIP;cause=200;text=\"Call completed elsewhere\"": {Q850: 16, Elsewhere: true},
		"SIP ;cause=486 , Q.850 ; cause=34":               {Q850: 34},
		"Q.850;cause=999":                                 {Q850: 16}, "Q.850;cause=x": {Q850: 16}, ";;;": {Q850: 16}, "q.850;CAUSE=1": {Q850: 1},
	} {
		if got := ReadReason(request(t, "", "Reason: "+text), pbx.Cause{Q850: 16}); got != want {
			t.Errorf("%q: %+v", text, got)
		}
	}
	for want, c := range map[string]pbx.Cause{
		`SIP;cause=200;text="Call completed elsewhere"`: {Elsewhere: true, SIP: 486},
		`Q.850;cause=17`:                                         {SIP: 486},
		`Q.850;cause=19;text="say \"hi\""`:                       {Q850: 19, Text: `say "hi"`},
		`Q.850;cause=16;text="lineX: y"`:                         {Text: "line\r\nX: y"},
		`Q.850;cause=31;text="` + strings.Repeat("a", 121) + `"`: {SIP: 499, Text: strings.Repeat("a", 500)},
	} {
		if got := Reason(c); got != want {
			t.Errorf("%+v: %s, want %s", c, got, want)
		}
	}
}

func TestStatusesOfCauses(t *testing.T) {
	for want, c := range map[int]pbx.Cause{
		486: {Q850: 17}, 404: {Q850: 1}, 603: {Q850: 21}, 503: {Q850: 34}, 480: {}, 488: {SIP: 488, Q850: 17},
	} {
		if got := FinalStatus(c); got != want {
			t.Errorf("%+v: %d, want %d", c, got, want)
		}
	}
	for status := 100; status < 700; status++ {
		if StatusText(status) == "" || Q850(status) < 1 || Q850(status) > 127 {
			t.Errorf("%d: %q, cause %d", status, StatusText(status), Q850(status))
		}
	}
	if got := StatusText(-1) + StatusText(100000); got != "OKDeclined everywhere" {
		t.Errorf("outside of the range: %q", got)
	}
}

func TestHeadersOfSessionTimersAndLists(t *testing.T) {
	req := request(t, "", "k: 100rel", "Supported: timer, replaces", "x: 90;refresher=UAS", "Min-SE: 60;x", "Retry-After: 5 (soon);duration=3", "RSeq: 7")
	want := dialog.SessionExpires{Interval: 90 * time.Second, Refresher: "uas", MinSE: time.Minute, Supported: true}
	if got := SessionExpires(req); got != want {
		t.Errorf("session timer: %+v", got)
	}
	if got := Tokens(req, "Supported"); !reflect.DeepEqual(got, []string{"100rel", "timer", "replaces"}) || !Has(got, "TIMER") || Has(got, "path") {
		t.Errorf("supported: %q", got)
	}
	if Seconds(req, "Retry-After") != 5*time.Second || Seconds(req, "Expires") != 0 || RSeq(req) != 7 {
		t.Error("numbers are read wrongly")
	}
	rr := RecordRoutes(request(t, "", "Record-Route: <sip:p1.example;lr>, <sip:p2.example;lr>", "Record-Route: <sip:[2001:db8::3];lr>"))
	if !reflect.DeepEqual(rr, []string{"<sip:p1.example;lr>", "<sip:p2.example;lr>", "<sip:[2001:db8::3];lr>"}) {
		t.Errorf("routes: %q", rr)
	}
	if u := ContactURI(request(t, "", "Contact: <sip:a@b.example;ob?Route=%3Csip:evil%3E>;expires=3")); u != "sip:a@b.example;ob" {
		t.Errorf("a Contact with headers is %q", u)
	}
	if u := ContactURI(request(t, "", "Contact: *")); u != "" {
		t.Errorf("a Contact * is %q", u)
	}
}

// hostile are texts that try to become more than a name or a number.
var hostile = []string{
	"", "Kim", "a\r\nVia: x", `a" <sip:evil@x>;y="`, `\`, "\x00\x7f", strings.Repeat("가", 200), "<sip:a@b>", "\xff\xfe", "+82#*;x=y@z",
}

// FuzzText: whatever a name or number holds, the header that it goes into
// stays one header with one address.
func FuzzText(f *testing.F) {
	for _, s := range hostile {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, name, number string) {
		h := NameAddr(name, "sip:"+UserPart(number)+"@pbx.example")
		if strings.ContainsAny(h, "\r\n\x00") || len(h) > 600+len(number)*3 {
			t.Fatalf("%q became %q", name, h)
		}
		var uri sip.Uri
		params := sip.NewParams()
		if _, err := sip.ParseAddressValue(h, &uri, &params); err != nil || uri.Host != "pbx.example" || len(params) != 0 {
			t.Fatalf("%q of %q is read as %+v %v", h, name, uri, err)
		}
		if r := Reason(pbx.Cause{Q850: 16, Text: name}); strings.ContainsAny(r, "\r\n\x00") {
			t.Fatalf("reason %q", r)
		}
	})
}

// FuzzHeaders: no header of a peer makes the readers panic.
func FuzzHeaders(f *testing.F) {
	for _, s := range append(hostile, "<tel:+82>", `"a" <sip:b@c>;tag=d, <tel:e>`, "90;refresher=uac", "Q.850;cause=16", "multipart/mixed;boundary=b") {
		f.Add(s, "--b\r\n\r\nx\r\n--b--")
	}
	f.Fuzz(func(t *testing.T, value, body string) {
		req := request(t, "")
		for _, n := range []string{"P-Asserted-Identity", "Privacy", "P-Called-Party-ID", "Session-Expires", "Min-SE", "Reason", "RSeq", "Content-Type", "Supported", "Record-Route"} {
			req.AppendHeader(sip.NewHeader(n, value))
		}
		req.SetBody([]byte(body))
		_, _ = SDP(req) // whether it is an SDP does not matter here
		_, _ = Caller(req, "t"), Called(req, "PCalledPartyID")
		_, _ = SessionExpires(req), ReadReason(req, pbx.Cause{})
		_, _ = Tokens(req, "Supported"), RecordRoutes(req)
		if d, ok := InfoDigit(body); ok && !strings.ContainsRune("0123456789*#ABCD", d) {
			t.Fatalf("key %q", d)
		}
	})
}
