package dialplan

import (
	"slices"
	"strings"

	"github.com/dipcast/dipcast/pbx/conf"
)

// maxDigits bounds what is looked at; E.164 allows 15 digits, a prefix and an
// international carrier code come on top.
const maxDigits = 32

// class says what a number costs and who may call it.
type class int

const (
	invalid class = iota
	domestic
	international
	premium
)

// number is an outside number in the form that trunks take.
type number struct {
	digits string // national digits, or + and international digits
	class  class
}

// clean removes what people write between digits. It reports false for text
// that is no number: letters, digits of other scripts, a + inside, too long,
// or empty.
func clean(s string) (string, bool) {
	out := make([]byte, 0, maxDigits)
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c == '*', c == '#', c == '+' && len(out) == 0:
			if len(out) == maxDigits {
				return "", false
			}
			out = append(out, c)
		case c == ' ', c == '-', c == '.', c == '(', c == ')', c == '/':
		default:
			return "", false
		}
	}
	return string(out), len(out) > 0 && string(out) != "+"
}

// allDigits reports whether s is digits only, and not empty.
func allDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// normalise reads a cleaned number as dialled in the tenant's country.
func normalise(n conf.Numbering, s string) number {
	rest, global := strings.CutPrefix(s, "+")
	if !allDigits(rest) {
		return number{}
	}
	korea := n.Country == "KR"
	if !global {
		if rest, global = cutInternational(s, korea); !global {
			return national(n, s, korea)
		}
	}
	if len(rest) < 7 || len(rest) > 15 || rest[0] == '0' {
		return number{}
	}
	if own, ok := strings.CutPrefix(rest, "82"); ok && korea {
		if own[0] != '0' && !isService(own) {
			own = "0" + own
		}
		return national(n, own, korea)
	}
	if strings.HasPrefix(rest, "979") { // ITU-T E.169.2: premium rate everywhere
		return number{"+" + rest, premium}
	}
	return number{"+" + rest, international}
}

// cutInternational removes the international access code. In Korea it names
// the carrier: 001, 002, 005, 006, 008 and the five-digit 003xx and 007xx.
func cutInternational(s string, korea bool) (string, bool) {
	rest, ok := strings.CutPrefix(s, "00")
	if !ok || !korea {
		return rest, ok
	}
	if len(rest) > 3 && (rest[0] == '3' || rest[0] == '7') {
		return rest[3:], true
	}
	if rest != "" && strings.ContainsRune("12568", rune(rest[0])) {
		return rest[1:], true
	}
	return "", true
}

// national reads a number of the tenant's own country.
func national(n conf.Numbering, s string, korea bool) number {
	if !korea {
		if len(s) >= 3 && len(s) <= 15 {
			return number{s, domestic}
		}
		return number{}
	}
	switch {
	case strings.HasPrefix(s, "00"): // no national number: a carrier would read it as a call abroad
		return number{}
	case strings.HasPrefix(s, "060"): // information services at the caller's expense
		return number{s, premium}
	case s[0] == '0' && len(s) >= 9 && len(s) <= 12:
		return number{s, domestic}
	case isService(s), s[0] == '1' && (len(s) == 3 || len(s) == 4):
		return number{s, domestic}
	case n.AreaCode != "" && s[0] >= '2' && (len(s) == 7 || len(s) == 8):
		return number{n.AreaCode + s, domestic}
	default:
		return number{}
	}
}

// isService reports whether s is one of Korea's nationwide company numbers,
// 15xx-xxxx, 16xx-xxxx and 18xx-xxxx, which have no area code.
func isService(s string) bool {
	return len(s) == 8 && s[0] == '1' && strings.ContainsRune("568", rune(s[1]))
}

// arriving returns the forms that a called number which came from a trunk may
// have in the document: carriers send +82, drop the 0 or the area code.
func arriving(n conf.Numbering, s string) []string {
	forms := []string{s}
	if v := normalise(n, s); v.class != invalid && v.digits != s {
		forms = append(forms, v.digits)
	}
	if s[0] != '0' && s[0] != '+' {
		forms = append(forms, "0"+s)
		if rest, ok := strings.CutPrefix(s, "82"); ok {
			forms = append(forms, "0"+rest)
		}
	}
	return slices.Compact(forms)
}

// Display returns a number as people of the country write it, and an empty
// text for what is no number (a withheld caller). The text is safe to show:
// it holds digits, hyphens, *, # and a leading + only.
func Display(n conf.Numbering, s string) string {
	digits, ok := clean(s)
	if !ok {
		return ""
	}
	if n.Country != "KR" {
		return digits
	}
	if v := normalise(n, digits); v.class != invalid && strings.HasPrefix(digits, "+") {
		digits = v.digits
	}
	area := 3
	switch {
	case isService(digits):
		return digits[:4] + "-" + digits[4:]
	case !allDigits(digits), digits[0] != '0', strings.HasPrefix(digits, "00"):
		return digits
	case strings.HasPrefix(digits, "02"):
		area = 2
	case strings.HasPrefix(digits, "050") && len(digits) > 10:
		area = 4
	}
	local := digits[min(area, len(digits)):]
	if len(local) < 7 || len(local) > 8 {
		return digits
	}
	return digits[:area] + "-" + local[:len(local)-4] + "-" + local[len(local)-4:]
}
