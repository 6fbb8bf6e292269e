package txn

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/pbxtest/bounded"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// invite writes an INVITE; each edit replaces one of its lines by its start.
func invite(edits ...string) string {
	lines := []string{
		"INVITE sip:102@pbx.example SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa;rport", "Max-Forwards: 70",
		"From: <sip:101@pbx.example>;tag=a", "To: <sip:102@pbx.example>;tag=b", "Call-ID: c", "CSeq: 7 INVITE",
		"Contact: <sip:101@10.0.0.1>", "Content-Length: 0",
	}
	for _, e := range edits {
		for i, l := range lines {
			if strings.EqualFold(l[:3], e[:3]) {
				lines[i] = e
			}
		}
	}
	return strings.Join(append(lines, "", ""), "\r\n")
}

// TestBothReadersSeeTheSame: sipgo sees the tags, branch and callee that the
// gate admitted, however oddly they are written.
func TestBothReadersSeeTheSame(t *testing.T) {
	for name, text := range map[string]string{
		"plain":              invite(),
		"folded":             invite("Via: SIP/2.0/UDP 10.0.0.1:5062\r\n ;branch=z9hG4bKa;rport", "From: \"A, B\"\r\n\t<sip:101@pbx.example>\r\n ;tag=a"),
		"several Vias":       invite("Via: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa, SIP/2.0/TCP 10.0.0.2;branch=z9hG4bKb\r\nVia: SIP/2.0/UDP 10.0.0.3;branch=z9hG4bKc"),
		"case of names":      invite("VIA: SIP/2.0/udp 10.0.0.1:5062;BRANCH=z9hG4bKa;RPORT", "FROM: <SIP:101@pbx.example>;TAG=a", "TO: <sip:102@pbx.example>;Tag=b"),
		"white space":        invite("Via: SIP / 2.0 / UDP  10.0.0.1:5062 ; branch = z9hG4bKa ; rport", "From : <sip:101@pbx.example> ; tag = a", "To: <sip:102@pbx.example> ;tag= b"),
		"two tags":           invite("From: <sip:101@pbx.example>;tag=a;tag=x"),
		"tag in a name":      invite("To: \"B;tag=x <sip:y@z>\" <sip:102@pbx.example;tag=z>;tag=b"),
		"no brackets":        invite("From: sip:101@pbx.example;tag=a", "To: sip:102@pbx.example;tag=b"),
		"tel":                invite("From: <tel:+821012345678;phone-context=x>;tag=a", "To: <tel:+8225550100>;tag=b"),
		"IPv6":               invite("Via: SIP/2.0/UDP [2001:db8::1]:5062;branch=z9hG4bKa;rport", "From: <sip:101@[2001:db8::2]>;tag=a"),
		"escapes":            strings.Replace(invite(), "102@pbx.example SIP", "%31%302@pbx.example SIP", 1),
		"compact":            strings.NewReplacer("Via:", "v:", "From:", "f:", "To:", "t:", "Call-ID:", "i:", "Contact:", "m:", "Content-Length:", "l:").Replace(invite()),
		"unknown parameters": invite("From: <sip:101@pbx.example>;x=\"a;tag=q\";tag=a"),
	} {
		m := gate.Scan([]byte(text))
		if m == nil || m.Fault != "" {
			t.Errorf("%s: the gate reads %+v", name, m)
			continue
		}
		req, err := Parse(m, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		res := sip.NewResponseFromRequest(req, 200, "OK", nil)
		back := gate.Scan([]byte(res.String()))
		if back == nil || back.Fault != "" {
			t.Errorf("%s: the answer is\n%s", name, res)
			continue
		}
		if back.From.Tag != "a" || back.To.Tag != "b" || back.Via.Branch != "z9hG4bKa" || back.CallID != "c" || back.CSeq != 7 {
			t.Errorf("%s: the answer is\n%s", name, res)
		}
		if len(back.List("via")) != len(m.List("via")) {
			t.Errorf("%s: Vias became\n%s", name, res)
		}
	}
}

// TestTheGatesReadingCounts: what was admitted is what is served, whatever the
// bytes say.
func TestTheGatesReadingCounts(t *testing.T) {
	m := gate.Scan([]byte(invite()))
	other := *m
	other.URI = "sip:103@pbx.example"
	if req, err := Parse(&other, nil); err != nil || req.Recipient.User != "103" {
		t.Errorf("another callee: %v %v", req, err)
	}
	other.CallID, other.CSeq = "d", 8
	if req, err := Parse(&other, nil); err != nil || req.CallID().Value() != "d" || req.CSeq().SeqNo != 8 {
		t.Errorf("another transaction: %v %v", req, err)
	}
}

// TestResponsesKeepWhatTheySay: also those of a peer that writes them oddly.
func TestResponsesKeepWhatTheySay(t *testing.T) {
	const body = "v=0\r\n"
	m := gate.Scan([]byte(strings.Join([]string{
		"SIP/2.0 180 Ringing now", "v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKours", "f: \"A \\\"B\\\"\" <sip:101@pbx.example>;tag=a",
		"t: <sip:102@pbx.example>;tag=b", "i: c", "CSeq: 7 INVITE", "m: <sip:102@[2001:db8::1]:5062;transport=tcp>;x=\"y z\"",
		"Record-Route: <sip:p1.example;lr>, \"P\" <sip:p2.example;lr>;q=1", "k: 100rel", "c: application/sdp", "l: 5", "", body,
	}, "\r\n")))
	if m == nil || m.Fault != "" {
		t.Fatalf("the gate reads %+v", m)
	}
	res, err := response(m)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 180 || res.Reason != "Ringing now" || string(res.Body()) != body || res.From().DisplayName != `A \"B\"` {
		t.Errorf("read as\n%s", res)
	}
	if c := res.Contact(); c == nil || c.Value() != `<sip:102@[2001:db8::1]:5062;transport=tcp>;x="y z"` {
		t.Errorf("contact %v", c)
	}
	if got := gate.Scan([]byte(res.String())); got == nil || got.Fault != "" || len(got.Values("record-route")) != 2 || got.Get("supported") != "100rel" {
		t.Errorf("written as\n%s", res)
	}
}

func BenchmarkParse(b *testing.B) {
	m := gate.Scan([]byte(invite("Call-ID: c\r\nUser-Agent: phone\r\nAllow: INVITE, ACK, BYE\r\nSupported: 100rel")))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(m, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzParse: whatever both readers take, the answer to it belongs to the same
// transaction and dialog.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		invite(), invite("From: \"x\\\"y\" <sip:101@pbx.example>;tag=a;TAG=b"), invite("Via: SIP/2.0/UDP h;branch=z9hG4bKa ;rport, SIP/2.0/TCP [::1]"),
		invite("To: <tel:+1;x=y>; tag =b"), invite("Contact: <sip:a@b>, <sip:c@d>"),
	} {
		f.Add([]byte(s))
	}
	source := &gate.Flow{Transport: "UDP", Remote: netip.MustParseAddrPort("192.0.2.1:5060")}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := gate.Scan(data)
		if m == nil || m.Fault != "" || !m.IsRequest() {
			return
		}
		var req *sip.Request
		var err error
		bounded.Run(t, len(data), func() { req, err = Parse(m, source) })
		if err != nil {
			return
		}
		branch := bare(req.Via().Params.GetOr("branch", ""))
		from, to := bare(req.From().Params.GetOr("tag", "")), bare(req.To().Params.GetOr("tag", ""))
		if branch != m.Via.Branch || from != m.From.Tag || to != m.To.Tag || req.CallID().Value() != m.CallID {
			t.Fatalf("%q is read as branch %q, tags %q and %q", data, branch, from, to)
		}
		_ = sip.NewResponseFromRequest(req, 200, "OK", nil).String()
	})
}

// bare is a parameter's value without the quotes that are written around it.
func bare(v string) string {
	if len(v) > 1 && v[0] == '"' {
		v = v[1 : len(v)-1]
	}
	return regexp.MustCompile(`(?s)\\(.)`).ReplaceAllString(v, "$1")
}
