package dtmf

import (
	"strings"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/pbxtest/bounded"
)

func TestEventIsReadBack(t *testing.T) {
	for _, e := range []Event{{}, {Code: 15, End: true, Volume: 63, Duration: 65535}, {Code: 5, Volume: 10, Duration: 160}} {
		b := make([]byte, Size)
		e.Put(b)
		if got, err := Parse(b); err != nil || got != e {
			t.Errorf("%+v became %+v, %v", e, got, err)
		}
	}
	if _, err := Parse([]byte{1, 2, 3}); err == nil {
		t.Error("three octets are no event")
	}
}

func TestDigitsAndCodes(t *testing.T) {
	for i, d := range "0123456789*#ABCD" {
		if c, ok := Code(d); !ok || int(c) != i {
			t.Errorf("%c has code %d, %v; want %d", d, c, ok, i)
		}
		if got, ok := Digit(uint8(i)); !ok || got != d {
			t.Errorf("code %d is %c, %v; want %c", i, got, ok, d)
		}
	}
	if c, ok := Code('d'); !ok || c != 15 {
		t.Errorf("d has code %d, %v", c, ok)
	}
	for _, d := range []rune{0, 'x', 'é', -1, ' '} {
		if c, ok := Code(d); ok {
			t.Errorf("%q has code %d", d, c)
		}
	}
	if d, ok := Digit(16); ok {
		t.Errorf("code 16 (flash) is %c", d)
	}
}

func TestPressesAreToldOnce(t *testing.T) {
	type packet struct {
		code      uint8
		duration  uint16
		end       bool
		timestamp uint32
		marker    bool
		after     time.Duration
	}
	const frame = 20 * time.Millisecond
	tests := []struct {
		name    string
		packets []packet
		want    string
	}{
		{"one press with its repetitions", []packet{
			{1, 160, false, 100, true, 0},
			{1, 320, false, 100, false, frame},
			{1, 320, true, 100, false, frame},
			{1, 320, true, 100, false, frame},
			{1, 320, true, 100, false, frame},
		}, "1"},
		{"the same key twice", []packet{{1, 320, true, 100, true, 0}, {1, 160, false, 900, true, 60 * time.Millisecond}}, "11"},
		{"two keys", []packet{{1, 320, true, 100, true, 0}, {11, 160, false, 900, true, 60 * time.Millisecond}}, "1#"},
		{"only the end arrives", []packet{{7, 800, true, 100, false, 0}}, "7"},
		{"a long press in segments", []packet{{1, 65535, false, 100, true, 0}, {1, 160, false, 65635, false, frame}, {1, 320, true, 65635, false, frame}}, "1"},
		{"timestamps that count up within a press", []packet{{1, 160, false, 100, true, 0}, {1, 320, false, 260, false, frame}, {1, 480, true, 420, false, frame}}, "1"},
		{"the end was lost, the next press begins", []packet{{1, 160, false, 100, true, 0}, {1, 160, false, 8100, true, time.Second}}, "11"},
		{"the end and the next marker were lost", []packet{{1, 160, false, 100, true, 0}, {1, 320, false, 8100, false, time.Second}}, "11"},
		{"a late end of the press before", []packet{{1, 320, false, 100, true, 0}, {2, 160, false, 900, true, frame}, {1, 480, true, 100, false, frame}, {2, 320, true, 900, false, frame}}, "12"},
		{"the timestamp goes round", []packet{{1, 320, true, 0xFFFFFF00, true, 0}, {1, 320, true, 100, true, frame}}, "11"},
		{"a new stream with older timestamps", []packet{{1, 320, true, 0x10000000, true, 0}, {1, 160, false, 100, true, time.Second}}, "11"},
		{"flash is no key", []packet{{16, 160, false, 100, true, 0}}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r Receiver
			var at time.Duration
			var got strings.Builder
			for _, p := range tt.packets {
				at += p.after
				if d, ok := r.Take(Event{Code: p.code, End: p.end, Duration: p.duration}, p.timestamp, p.marker, at); ok {
					got.WriteRune(d)
				}
			}
			if got.String() != tt.want {
				t.Errorf("told %q, want %q", got.String(), tt.want)
			}
		})
	}
}

func TestParseInfo(t *testing.T) {
	tests := []struct {
		kind, body string
		want       rune
		length     time.Duration
	}{
		{TypeRelay, "Signal=5\r\nDuration=160\r\n", '5', 160 * time.Millisecond},
		{TypeRelay, "Signal= *\nDuration= 250", '*', 250 * time.Millisecond},
		{TypeRelay, "signal=d\r\n", 'D', DefaultLength},
		{TypeRelay, "Duration=99\r\nSignal=#", '#', 99 * time.Millisecond},
		{TypeRelay, "Signal=11\r\nDuration=160", '#', 160 * time.Millisecond},
		{TypeRelay, "Signal=1\r\nDuration=1", '1', minLength},
		{TypeRelay, "Signal=1\r\nDuration=60000", '1', maxLength},
		{TypeRelay, "Signal=1\r\nDuration=-5", '1', DefaultLength},
		{"Application/DTMF-Relay; charset=utf-8", "Signal=9", '9', DefaultLength},
		{TypePlain, "7", '7', DefaultLength},
		{TypePlain, " #\r\n", '#', DefaultLength},
	}
	for _, tt := range tests {
		d, length, err := ParseInfo(tt.kind, []byte(tt.body))
		if err != nil || d != tt.want || length != tt.length {
			t.Errorf("%s %q: %q %v %v, want %q %v", tt.kind, tt.body, d, length, err, tt.want, tt.length)
		}
	}
}

func TestParseInfoRefuses(t *testing.T) {
	tests := []struct{ kind, body, want string }{
		{"text/plain", "5", "text/plain"},
		{"", "5", "content type"},
		{TypeRelay, "Duration=160", "no line Signal="},
		{TypeRelay, "Signal=x", `"x"`},
		{TypeRelay, "Signal=16", `"16"`},
		{TypeRelay, "Signal=1" + strings.Repeat("\n", 300), "octets"},
		{TypePlain, "", `""`},
		{TypePlain, "123", `"123"`},
	}
	for _, tt := range tests {
		if d, _, err := ParseInfo(tt.kind, []byte(tt.body)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %q: %q, error %v, want one with %s", tt.kind, tt.body, d, err, tt.want)
		}
	}
}

func FuzzParseInfo(f *testing.F) {
	f.Add(TypeRelay, []byte("Signal=5\r\nDuration=160\r\n"))
	f.Add(TypePlain, []byte("5"))
	f.Add("application/dtmf-relay;;", []byte("Signal=\x00"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		var d rune
		var length time.Duration
		var err error
		bounded.Run(t, len(kind)+len(body), func() { d, length, err = ParseInfo(kind, body) })
		if err != nil {
			return
		}
		if _, ok := Code(d); !ok || length < minLength || length > maxLength {
			t.Fatalf("%q for %v", d, length)
		}
		kind, body = FormatInfo(d, length)
		if again, l, err := ParseInfo(kind, body); err != nil || again != d || l != length.Truncate(time.Millisecond) {
			t.Fatalf("%q %v became %q %v, %v", d, length, again, l, err)
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte{5, 0x8A, 0, 160}, uint32(1), true)
	f.Add([]byte{255}, uint32(0), false)
	f.Fuzz(func(t *testing.T, b []byte, timestamp uint32, marker bool) {
		e, err := Parse(b)
		if err != nil {
			return
		}
		var r Receiver
		_, first := r.Take(e, timestamp, marker, time.Second)
		if _, again := r.Take(e, timestamp, marker, time.Second); again || first != (e.Code < 16) {
			t.Fatalf("%+v: told %v, then %v", e, first, again)
		}
	})
}
