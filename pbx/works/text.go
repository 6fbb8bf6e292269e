package works

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// UTF16Len counts a text as the service's limits do: in UTF-16 code units.
func UTF16Len(s string) int {
	n := 0
	for _, r := range s {
		n += units(r)
	}
	return n
}

func units(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}

// joiner keeps the parts of one emoji together.
const joiner = '\u200d'

// Truncate shortens s to at most limit UTF-16 code units, the ellipsis
// included. It cuts between characters, never inside one, its accents or a
// joined emoji.
func Truncate(s string, limit int) string {
	if UTF16Len(s) <= limit {
		return s
	}
	if limit <= 0 {
		return ""
	}
	n, cut := 0, 0
	prev := rune(0)
	for i, r := range s {
		if !unicode.In(r, unicode.Mn, unicode.Me) && r != joiner && prev != joiner {
			cut = i
		}
		if n += units(r); n > limit-1 {
			break
		}
		prev = r
	}
	return strings.TrimRightFunc(s[:cut], unicode.IsSpace) + "…"
}

// CleanName makes a text from outside (a caller's name, a fax header) safe to
// stand inside a bot message, at most limit UTF-16 code units long: one line,
// no control or invisible characters, nothing that turns the direction of
// writing, no mention markup (<m userId="...">), nothing that a client makes
// a link of. Ordinary names stay as they are.
func CleanName(s string, limit int) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(cleanRune, s)
	s = breakLinks(strings.Join(strings.Fields(s), " "))
	return Truncate(s, limit)
}

// cleanRune maps white space to a space, drops what cannot be seen and
// replaces what begins markup.
func cleanRune(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case r == '<', r == '>', r == utf8.RuneError:
		return map[rune]rune{'<': '‹', '>': '›', utf8.RuneError: -1}[r]
	case r == '\u115f', r == '\u1160', r == '\u3164', r == '\uffa0', r == '\u2800':
		return ' ' // fillers look like nothing
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs), r == '\u034f',
		r >= 0xFE00 && r <= 0xFE0F, r >= 0xE0100 && r <= 0xE01EF:
		return -1 // controls, bidi overrides, zero width, tags, variation selectors
	}
	return r
}

// breakLinks puts a space where a client would see a URL or an e-mail
// address: after "@" and the colon of "://", and after a dot between letters
// or digits.
func breakLinks(s string) string {
	runes := []rune(s)
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range runes {
		b.WriteRune(r)
		if i+1 == len(runes) || runes[i+1] == ' ' {
			continue
		}
		next := runes[i+1]
		switch {
		case r == ':' && next == '/', r == '@', r == '＠':
			b.WriteByte(' ')
		case isDot(r) && i > 0 && isWord(runes[i-1]) && isWord(next):
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// isDot knows the characters that host names accept as a dot (RFC 3490 §3.1).
func isDot(r rune) bool { return r == '.' || r == '。' || r == '．' || r == '｡' }

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
