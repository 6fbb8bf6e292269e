// Package number reads the telephone numbers of a directory, which are free
// text, by the rules of the Korean numbering plan. It is pure and imports
// nothing of ours.
package number

import "strings"

// Normalize reads a number as people write it ("02-1234-5678", "+82 010-1234-5678", "1234", "02-1234-5678P123"), by the
// rules of the Korean numbering plan:
//
//   - Korean numbers become national digits with the trunk 0 ("0212345678"),
//     also when they were written with +82, with or without that 0;
//   - local numbers of seven or eight digits get areaCode ("02") in front;
//   - numbers of other countries become "+" and digits ("+12125550100");
//   - internal numbers and services (1588-..., 112) stay as they are.
//
// What follows a pause (P, T, comma or semicolon) is dialled after the answer
// and is no part of the number. The result is "" if the text holds none.
func Normalize(text, areaCode string) string {
	digits, plus := scan(text)
	if digits == "" {
		return ""
	}
	if !plus {
		if rest, ok := cutInternational(digits); ok {
			digits, plus = rest, true
		}
	}
	if plus {
		rest, korean := strings.CutPrefix(digits, "82")
		if !korean {
			return "+" + digits
		}
		if rest == "" {
			return ""
		}
		if rest[0] == '0' || isService(rest) {
			return rest
		}
		return "0" + rest
	}
	if areaCode != "" && isLocal(digits) {
		return areaCode + digits
	}
	return digits
}

// scan keeps digits, * and # of a text up to a pause. Full-width digits count
// as digits; "+" counts at the beginning.
func scan(text string) (digits string, plus bool) {
	var out strings.Builder
	for _, r := range text {
		switch {
		case r >= '０' && r <= '９':
			out.WriteByte(byte('0' + r - '０'))
		case r >= '0' && r <= '9', r == '*', r == '#':
			out.WriteByte(byte(r))
		case (r == '+' || r == '＋') && out.Len() == 0:
			plus = true
		case strings.ContainsRune("pPtT,;", r) && out.Len() > 0:
			return out.String(), plus
		}
	}
	return out.String(), plus
}

// carriers are the prefixes of an international call from Korea, longest
// first: five-digit ones begin with 003, 007.
var carriers = [...]string{"001", "002", "005", "006", "008"}

// cutInternational takes off the prefix of an international call: 00700 and
// its like (five digits beginning with 003 or 007), 001 and its like, or the
// 00 of other countries before Korea's code.
func cutInternational(digits string) (string, bool) {
	if len(digits) >= 12 && (strings.HasPrefix(digits, "003") || strings.HasPrefix(digits, "007")) {
		return digits[5:], true
	}
	if rest, ok := strings.CutPrefix(digits, "0082"); ok && len(rest) >= 8 {
		return "82" + rest, true
	}
	for _, p := range carriers {
		if rest, ok := strings.CutPrefix(digits, p); ok && len(rest) >= 8 {
			return rest, true
		}
	}
	return "", false
}

// isLocal reports whether digits are a subscriber's number without its area
// code: seven or eight digits that begin with 2 to 9.
func isLocal(digits string) bool {
	return (len(digits) == 7 || len(digits) == 8) && digits[0] >= '2' && digits[0] <= '9' && !strings.ContainsAny(digits, "*#")
}

// isService reports whether digits are a nationwide service number (15xx,
// 16xx, 18xx and four digits), which has no trunk 0.
func isService(digits string) bool {
	return len(digits) == 8 && digits[0] == '1' && (digits[1] == '5' || digits[1] == '6' || digits[1] == '8')
}
