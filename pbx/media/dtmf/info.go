package dtmf

import (
	"bytes"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"time"
)

// The content types of INFO bodies that carry a key press.
const (
	TypeRelay = "application/dtmf-relay" // "Signal=5\r\nDuration=160\r\n"
	TypePlain = "application/dtmf"       // "5"
)

// The lengths of a key press that INFO may ask for.
const (
	DefaultLength = 160 * time.Millisecond
	minLength     = 40 * time.Millisecond
	maxLength     = 8 * time.Second
)

// maxBody bounds what is looked at: an honest body has about 30 octets.
const maxBody = 256

// ParseInfo reads the body of an INFO request. A missing or senseless length
// becomes DefaultLength. Errors name the content type or the signal.
func ParseInfo(contentType string, body []byte) (digit rune, length time.Duration, err error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return 0, 0, fmt.Errorf("INFO with content type %.60q: want %s or %s", contentType, TypeRelay, TypePlain)
	}
	if len(body) > maxBody {
		return 0, 0, fmt.Errorf("INFO body of %d octets: a key press has at most %d", len(body), maxBody)
	}
	switch kind {
	case TypePlain:
		digit, err = signal(string(bytes.TrimSpace(body)))
		return digit, DefaultLength, err
	case TypeRelay:
		return parseRelay(string(body))
	}
	return 0, 0, fmt.Errorf("INFO with content type %.60q: want %s or %s", contentType, TypeRelay, TypePlain)
}

// FormatInfo returns the body of an INFO request in the form that most phones
// and trunks read.
func FormatInfo(digit rune, length time.Duration) (contentType string, body []byte) {
	return TypeRelay, fmt.Appendf(nil, "Signal=%c\r\nDuration=%d\r\n", digit, clamp(length).Milliseconds())
}

func parseRelay(body string) (digit rune, length time.Duration, err error) {
	length = DefaultLength
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "signal":
			if digit, err = signal(value); err != nil {
				return 0, 0, err
			}
		case "duration":
			if ms, err := strconv.ParseUint(value, 10, 16); err == nil && ms > 0 {
				length = clamp(time.Duration(ms) * time.Millisecond)
			}
		}
	}
	if digit == 0 {
		return 0, 0, fmt.Errorf("INFO body of type %s: no line Signal=", TypeRelay)
	}
	return digit, length, nil
}

// signal reads a key, or its event code where a phone sends "10" for *.
func signal(s string) (rune, error) {
	if len(s) == 1 {
		if code, ok := Code(rune(s[0])); ok {
			digit, _ := Digit(code)
			return digit, nil
		}
	}
	if n, err := strconv.ParseUint(s, 10, 8); err == nil && len(s) == 2 {
		if digit, ok := Digit(uint8(n)); ok {
			return digit, nil
		}
	}
	return 0, fmt.Errorf("INFO signal %.20q: want one of %s", s, keys)
}

func clamp(length time.Duration) time.Duration {
	return min(max(length, minLength), maxLength)
}
