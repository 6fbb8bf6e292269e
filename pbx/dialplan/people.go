package dialplan

import (
	"strings"
	"unicode"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
)

// Caller completes a caller: extensions get the name of the document, outside
// numbers the form in which people write them. Names from the network lose
// what is not printable, and their end if they are long.
func Caller(doc *conf.Document, p pbx.Party) pbx.Party {
	if p.Extension == "" {
		p.Number = Display(doc.Numbering, p.Number)
		p.Name = Visible(p.Name)
		return p
	}
	return pbx.Party{Number: p.Extension, Name: Extension(doc, p.Extension).DisplayName, Extension: p.Extension}
}

// Extension returns the extension of that number, an empty one if none.
func Extension(doc *conf.Document, number string) conf.Extension {
	for i := range doc.Extensions {
		if doc.Extensions[i].Number == number {
			return doc.Extensions[i]
		}
	}
	return conf.Extension{}
}

// Visible returns at most 64 printable characters of s.
func Visible(s string) string {
	var b strings.Builder
	n := 0
	for _, c := range s {
		if n == 64 {
			break
		}
		if unicode.IsPrint(c) && c != unicode.ReplacementChar {
			b.WriteRune(c)
			n++
		}
	}
	return strings.TrimSpace(b.String())
}
