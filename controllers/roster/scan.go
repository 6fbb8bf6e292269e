package roster

import (
	"strings"
	"unicode"
)

// tokenKind is what a piece of a free text can be.
type tokenKind int

const (
	digits  tokenKind = iota
	word              // letters
	soft              // blanks and brackets: part of a number, or between two
	hard              // hyphens and dots: part of a number
	colon             // behind a word
	plus              // before a country code
	dial              // # and *: dialled after the answer
	divider           // everything else
)

// token is a piece of a free text.
type token struct {
	kind  tokenKind
	text  string // in lower case
	glued bool   // nothing stands between it and the token before
}

// maxText is how much of a field is looked at; the API allows 100 characters.
const maxText = 256

// scan cuts a text into tokens. Full-width forms count as the plain ones.
func scan(text string) []token {
	var out []token
	n, blank := 0, true
	for _, r := range text {
		if n++; n > maxText {
			break
		}
		r = unicode.ToLower(plain(r))
		kind := kindOf(r)
		last := len(out) - 1
		if last >= 0 && out[last].kind == kind && !blank && (kind == digits || kind == word) {
			out[last].text += string(r)
			continue
		}
		isBlank := r == ' '
		if last < 0 || kind != soft || out[last].kind != soft {
			out = append(out, token{kind: kind, text: string(r), glued: !blank && last >= 0 && kind != soft})
		}
		blank = isBlank
	}
	return out
}

// plain folds full-width ASCII, blanks and dashes.
func plain(r rune) rune {
	switch {
	case r >= '！' && r <= '～':
		return r - '！' + '!'
	case r == '\n' || r == '\r':
		return '\n' // between two numbers
	case unicode.IsSpace(r), r == '\u200b', r == '\ufeff':
		return ' '
	case r >= '\u2010' && r <= '\u2015', r == '\u2212', r == 'ー':
		return '-'
	}
	return r
}

func kindOf(r rune) tokenKind {
	switch {
	case r >= '0' && r <= '9':
		return digits
	case unicode.IsLetter(r) || unicode.IsMark(r):
		return word
	}
	switch r {
	case ' ', '(', ')', '[', ']':
		return soft
	case '-', '.':
		return hard
	case ':', '=':
		return colon
	case '+':
		return plus
	case '#', '*':
		return dial
	}
	return divider
}

// isMarker reports whether a word says that the number beside it is an
// extension.
func isMarker(w string) bool {
	switch w {
	case "ext", "exts", "extn", "extno", "extension", "x", "교환", "교환번호", "内線", "内线", "分机":
		return true
	}
	return strings.HasPrefix(w, "내선") || strings.HasPrefix(w, "구내")
}

// isPause reports whether a word, behind a number, begins what is dialled
// after the answer.
func isPause(w string) bool {
	switch w {
	case "p", "t", "pp", "tt", "pt", "w":
		return true
	}
	return false
}

// isFax reports whether a word says that nobody talks at the number beside it.
func isFax(w string) bool {
	switch w {
	case "fax", "f", "팩스", "팩스번호":
		return true
	}
	return false
}

// isUnit reports whether a word behind digits makes them a floor or a room.
func isUnit(w string) bool {
	switch w {
	case "층", "호", "호실", "실", "동", "관", "階", "号室":
		return true
	}
	return false
}

// isCode reports whether a word makes a code of the digits that it touches:
// "B101", "12F". Words that stand before telephone numbers do not.
func isCode(w string) bool {
	switch w {
	case "tel", "t", "p", "m", "o", "d", "hp", "mobile", "phone", "office", "direct", "no", "desk", "cell", "line":
		return false
	}
	return strings.IndexFunc(w, func(r rune) bool { return r < 'a' || r > 'z' }) < 0
}
