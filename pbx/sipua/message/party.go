package message

import (
	"net/netip"
	"net/url"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
)

// Quotable makes text fit for a quoted string: no control characters, no
// quotes to break out of, of bounded length.
func Quotable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < ' ' || r == 0x7f || r == '\uFFFD':
			continue
		case r == '"' || r == '\\':
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		if b.Len() > 120 {
			break
		}
	}
	return b.String()
}

// UserPart keeps of a number what may stand in the user part of a URI.
func UserPart(number string) string {
	var b strings.Builder
	for i, r := range number {
		if (r >= '0' && r <= '9') || r == '*' || (r == '+' && i == 0) || (r >= 'A' && r <= 'Z') || (r >= 'a' && r <= 'z') || r == '_' {
			b.WriteRune(r)
		} else if r == '#' {
			b.WriteString("%23")
		}
	}
	return b.String()
}

// NameAddr renders "name" <uri>.
func NameAddr(name string, uri string) string {
	if name = Quotable(name); name != "" {
		return `"` + name + `" <` + uri + `>`
	}
	return "<" + uri + ">"
}

// Bracketed is an address as it stands in a URI.
func Bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// Asserted are the headers that name a party (RFC 3325, RFC 3323).
func Asserted(p pbx.Party, domain string) []sip.Header {
	user := UserPart(p.Number)
	if p.Extension != "" {
		user = UserPart(p.Extension)
	}
	if user == "" {
		return []sip.Header{sip.NewHeader("Privacy", "id")}
	}
	return []sip.Header{sip.NewHeader("P-Asserted-Identity", NameAddr(p.Name, "sip:"+user+"@"+domain))}
}

// Anonymous is the From of a withheld number (RFC 3323 §4.1.1.3).
func Anonymous(tag string) dialog.Party {
	return dialog.Party{Display: "Anonymous", URI: "sip:anonymous@anonymous.invalid", Tag: tag}
}

// From is who sent an INVITE, as far as admission proved it: an extension of the
// document, or whoever a trunk names.
func From(req *sip.Request, doc *conf.Document, extension, trunk string) pbx.Party {
	if extension == "" {
		return Caller(req, trunk)
	}
	p := pbx.Party{Number: extension, Extension: extension}
	for i := range doc.Extensions {
		if e := &doc.Extensions[i]; e.Number == extension {
			p.Name = e.DisplayName
			break
		}
	}
	return p
}

// Caller is whom the INVITE of a trunk names as the caller; empty number and
// name if they are withheld.
func Caller(req *sip.Request, trunk string) pbx.Party {
	p := pbx.Party{Trunk: trunk, Name: unescaped(req.From().DisplayName), Number: userOf(&req.From().Address)}
	// A carrier's assertion is worth more than the From (RFC 3325 §9.1).
	if name, uri, ok := assertedIn(req); ok {
		p.Number = userOf(&uri)
		p.Name = OrElse(name, p.Name)
	}
	if withheld(req) {
		p.Number, p.Name = "", ""
	}
	return p
}

func assertedIn(req *sip.Request) (string, sip.Uri, bool) {
	for _, h := range req.GetHeaders("P-Asserted-Identity") {
		var uri sip.Uri
		params := sip.NewParams()
		text := h.Value()
		if i := strings.IndexByte(text, '>'); i >= 0 {
			text = text[:i+1] // a second identity may follow, usually a tel URI
		}
		name, err := sip.ParseAddressValue(text, &uri, &params)
		if err == nil && (uri.User != "" || uri.Raw() != "") {
			return unescaped(name), uri, true
		}
	}
	return "", sip.Uri{}, false
}

// unescaped takes the quoted pairs out of a display name (RFC 3261 §25.1),
// which sipgo leaves as they came.
func unescaped(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// withheld reports whether the caller wants its number kept from the called
// party.
func withheld(req *sip.Request) bool {
	for _, p := range strings.FieldsFunc(strings.ToLower(Value(req, "Privacy")), func(r rune) bool { return r == ';' || r == ',' || r == ' ' }) {
		if p == "id" || p == "user" || p == "header" {
			return true
		}
	}
	a := req.From().Address
	return strings.EqualFold(a.User, "anonymous") || strings.HasSuffix(strings.ToLower(a.Host), "anonymous.invalid") || userOf(&a) == ""
}

// userOf returns the user of a sip URI or the number of a tel URI, without its
// parameters and escapes.
func userOf(u *sip.Uri) string {
	user, _, _ := strings.Cut(OrElse(u.User, u.Raw()), ";")
	if plain, err := url.PathUnescape(user); err == nil {
		return plain
	}
	return user
}

// Called are the digits of the called number as they came. from says where a
// trunk names it: RequestURI (also if empty), To, PCalledPartyID.
func Called(req *sip.Request, from string) string {
	uri := req.Recipient
	switch from {
	case "To":
		uri = req.To().Address
	case "PCalledPartyID":
		var u sip.Uri
		params := sip.NewParams()
		if _, err := sip.ParseAddressValue(Value(req, "P-Called-Party-ID"), &u, &params); err == nil {
			uri = u
		}
	}
	return userOf(&uri)
}

// OrElse returns s, or other if s is empty.
func OrElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}
