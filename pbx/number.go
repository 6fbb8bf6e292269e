package pbx

import "strings"

// Digits returns the ASCII digits of a number as people write it
// ("+82 2-555-0101" is "8225550101"): the form in which numbers are compared.
func Digits(number string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
}
