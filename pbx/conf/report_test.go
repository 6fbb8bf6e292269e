package conf

import (
	"strings"
	"testing"
	"time"
)

func TestDrainValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		d    Drain
		want string
	}{
		"shortest":       {Drain{Hold: Duration(time.Second)}, ""},
		"longest":        {Drain{Hold: Duration(24 * time.Hour), EndCallsAfter: Duration(time.Hour), IfIdle: true}, ""},
		"none":           {Drain{}, "hold 0s: must be 1s to 24h"},
		"too short":      {Drain{Hold: Duration(999 * time.Millisecond)}, "hold 999ms"},
		"too long":       {Drain{Hold: Duration(25 * time.Hour)}, "hold 25h"},
		"ends too late":  {Drain{Hold: Duration(time.Minute), EndCallsAfter: Duration(time.Minute)}, "endCallsAfter 1m0s"},
		"ends backwards": {Drain{Hold: Duration(time.Minute), EndCallsAfter: Duration(-1)}, "endCallsAfter -1ns"},
	} {
		err := tc.d.Validate()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestGenerationOf(t *testing.T) {
	for text, want := range map[string]string{
		`{"version": 99, "generation": "abc", "new": {}}`: "abc",
		`{"generation": 5}`:    "",
		`{"generation": "abc"`: "",
		``:                     "",
		`null`:                 "",
		`{"generation": "` + strings.Repeat("x", 254) + `"}`: "",
	} {
		if got := GenerationOf([]byte(text)); got != want {
			t.Errorf("%.60s: %q, want %q", text, got, want)
		}
	}
}
