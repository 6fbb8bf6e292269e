package works

import "strings"

// NormalizeNumber reads a number of the directory, which is free text
// ("02-1234-5678", "+82 010-1234-5678", "1234", "02-1234-5678P123"), by the
// rules of the Korean numbering plan:
//
//   - Korean numbers become national digits with the trunk 0 ("0212345678"),
//     also when they were written with +82, with or without that 0;
//   - local numbers of seven or eight digits get areaCode ("02") in front;
//   - numbers of other countries become "+" and digits ("+12125550100");
//   - internal numbers and services (1588-..., 112) stay as they are.
//
// What follows a pause (P or T) is dialled after the answer: it is returned
// apart. The number is "" if the text holds none.
func NormalizeNumber(text, areaCode string) (number, after string) {
	digits, plus, after := scanNumber(text)
	if digits == "" {
		return "", ""
	}
	if !plus {
		if rest, ok := cutInternational(digits); ok {
			digits, plus = rest, true
		}
	}
	if plus {
		rest, korean := strings.CutPrefix(digits, "82")
		if !korean {
			return "+" + digits, after
		}
		if rest == "" {
			return "", ""
		}
		if rest[0] == '0' || isService(rest) {
			return rest, after
		}
		return "0" + rest, after
	}
	if areaCode != "" && isLocal(digits) {
		return areaCode + digits, after
	}
	return digits, after
}

// scanNumber keeps digits, * and # of the first part, up to a pause, and those
// of the rest. Full-width digits count as digits; "+" counts at the beginning.
func scanNumber(text string) (digits string, plus bool, after string) {
	var first, rest strings.Builder
	part := &first
	for _, r := range text {
		switch {
		case r >= '０' && r <= '９':
			part.WriteByte(byte('0' + r - '０'))
		case r >= '0' && r <= '9', r == '*', r == '#':
			part.WriteByte(byte(r))
		case (r == '+' || r == '＋') && first.Len() == 0:
			plus = true
		case (r == 'p' || r == 'P' || r == 't' || r == 'T' || r == ',' || r == ';') && first.Len() > 0:
			part = &rest
		}
	}
	return first.String(), plus, rest.String()
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
