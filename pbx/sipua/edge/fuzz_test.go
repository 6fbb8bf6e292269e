package edge

import (
	"strings"
	"testing"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/pbxtest/bounded"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// FuzzRegister: what a REGISTER binds is bounded, and nothing in it can become
// a line or a header of what we send later.
func FuzzRegister(f *testing.F) {
	for _, contact := range []string{
		"<sip:101@192.0.2.1:5060;transport=tcp>;expires=60;q=0.5", "*", `"x" <sips:101@h?Route=%0d%0a>;+sip.instance="<urn:uuid:1>";reg-id=1`,
		"<sip:a@b>, <sip:c@d>;expires=99999999999", "<tel:101>", "sip:a@[2001:db8::1]:5060", "<sip:a@b>;q=NaN", strings.Repeat("<sip:a@b>,", 100),
	} {
		f.Add(contact, "3600", "<sip:edge.example;lr>", "phone/1.0")
	}
	f.Fuzz(func(t *testing.T, contact, expires, path, agent string) {
		text := "REGISTER sip:acme.example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:101@acme.example>;tag=a\r\n" +
			"To: <sip:101@acme.example>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nContact: " + contact + "\r\nExpires: " + expires +
			"\r\nPath: " + path + "\r\nUser-Agent: " + agent + "\r\n\r\n"
		bounded.Run(t, len(text), func() {
			m := gate.Scan([]byte(text))
			if m == nil || m.Fault != "" {
				return
			}
			q, fault := readRegister(&conf.Extension{Number: "101"}, m)
			if fault != "" {
				return
			}
			if len(q.Bindings) > maxBindings || len(q.Path) > maxPath || strings.ContainsAny(q.UserAgent, "\r\n\x00") {
				t.Fatalf("%q is read as %+v", text, q)
			}
			for _, b := range q.Bindings {
				if strings.ContainsAny(b.URI, "\r\n?<> ") || len(b.URI) > 512 || !(b.Q >= 0 && b.Q <= 1) || b.RegID < 0 {
					t.Fatalf("%q is read as %+v", text, b)
				}
			}
		})
	})
}
