package compile

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// patterns of Korean numbers, as digits. Regular expressions are immutable
// once compiled.
var (
	// geographic, mobile, 070, 080, 050x and the like
	reNational = regexp.MustCompile(`^0[1-9][0-9]{7,10}$`)
	// company numbers without a 0: 1588-1234
	reCompany = regexp.MustCompile(`^1[568][0-9]{6}$`)
	reMobile  = regexp.MustCompile(`^01[016789][0-9]{7,8}$`)
	// separators that people write
	reWritten  = regexp.MustCompile(`^\+?[0-9]([0-9 .()/-]*[0-9)])?$`)
	reInternal = regexp.MustCompile(`^[0-9]{2,8}$`)
)

// National turns a Korean number as people write it ("02-555-0100",
// "+82 2 555 0100") into its national digits ("025550100").
func National(written string) (string, error) {
	s := strings.TrimSpace(written)
	if s == "" {
		return "", errors.New("is empty: write a number such as 02-555-0100")
	}
	if !reWritten.MatchString(s) {
		return "", errors.New("must hold digits, spaces and hyphens only, e.g. 02-555-0100")
	}
	digits := digitsOf(s)
	if strings.HasPrefix(s, "+") {
		rest, ok := strings.CutPrefix(digits, "82")
		if !ok {
			return "", errors.New("must be a Korean number, +82 or national form, e.g. 02-555-0100")
		}
		if digits = rest; !reCompany.MatchString(rest) {
			digits = "0" + strings.TrimPrefix(rest, "0")
		}
	}
	if !reNational.MatchString(digits) && !reCompany.MatchString(digits) {
		return "", errors.New("must be a whole Korean number with its area code, e.g. 02-555-0100, 010-1234-5678 or 1588-1234")
	}
	return digits, nil
}

// mobile returns a Korean mobile number with hyphens, as people know it.
func mobile(written string) (string, error) {
	digits, err := National(written)
	if err != nil || !reMobile.MatchString(digits) {
		return "", errors.New("must be a Korean mobile number, e.g. 010-1234-5678")
	}
	last := len(digits) - 4
	return digits[:3] + "-" + digits[3:last] + "-" + digits[last:], nil
}

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

func validInternal(s string) bool { return reInternal.MatchString(s) }

// onlyDigits reports whether s is 1 to 8 plain digits: how internal numbers
// are written in flows.
func onlyDigits(s string) bool {
	return s != "" && len(s) <= 8 && digitsOf(s) == s
}

// most of a range; the class limit is checked apart.
const maxRange = 10000

// expand lists the numbers of a range.
func expand(r v1alpha1.ExtensionRange) ([]string, error) {
	if !validInternal(r.From) || !validInternal(r.To) || len(r.From) != len(r.To) || r.From > r.To {
		return nil, errors.New("from and to must be 2 to 8 digits, equally long, and from not above to")
	}
	from, err := strconv.Atoi(r.From)
	if err != nil {
		return nil, err
	}
	to, err := strconv.Atoi(r.To)
	if err != nil {
		return nil, err
	}
	if to-from+1 > maxRange {
		return nil, fmt.Errorf("has %d numbers: at most %d, split or shorten it", to-from+1, maxRange)
	}
	out := make([]string, 0, to-from+1)
	for n := from; n <= to; n++ {
		out = append(out, fmt.Sprintf("%0*d", len(r.From), n))
	}
	return out, nil
}

// permits reports whether a pattern (digits, perhaps with a * at its end)
// covers a number.
func permits(pattern, number string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(number, prefix)
	}
	return pattern == number
}

// permitted turns a caller-ID pattern as it is written into digits.
func permitted(written string) (string, error) {
	prefix, star := strings.CutSuffix(strings.TrimSpace(written), "*")
	if !star {
		return National(written)
	}
	digits := digitsOf(prefix)
	if strings.HasPrefix(prefix, "+") {
		rest, ok := strings.CutPrefix(digits, "82")
		if !ok {
			return "", errors.New("must be a Korean number, e.g. 02-555-*")
		}
		digits = "0" + rest
	}
	if len(digits) < 2 {
		return "", errors.New("would permit nearly every number: write at least two digits before the *, e.g. 02-555-*")
	}
	return digits + "*", nil
}
