package tone

import (
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx/media"
)

const ms = time.Millisecond

// Ringback returns what a caller hears while the other side rings in that
// country (ISO 3166-1 alpha-2), after ITU-T E.180 Supplement 2: 440+480 Hz,
// 1 s in 3 s in Korea; an unknown country gets 425 Hz, 1 s in 5 s.
func Ringback(country string) media.Source {
	switch strings.ToUpper(country) {
	case "KR":
		return cadence(0, []float64{440, 480}, 1000*ms, 2000*ms)
	case "JP":
		return cadence(16, []float64{400}, 1000*ms, 2000*ms)
	case "US", "CA":
		return cadence(0, []float64{440, 480}, 2000*ms, 4000*ms)
	case "GB", "AU", "NZ", "IE", "HK", "SG", "MY":
		return cadence(0, []float64{400, 450}, 400*ms, 200*ms, 400*ms, 2000*ms)
	case "CN", "TW":
		return cadence(0, []float64{450}, 1000*ms, 4000*ms)
	}
	return cadence(0, []float64{425}, 1000*ms, 4000*ms)
}

// Busy returns the busy tone of that country: 480+620 Hz in Korea and North
// America, 400 Hz in Japan, 425 Hz elsewhere, half a second on and off.
func Busy(country string) media.Source {
	switch strings.ToUpper(country) {
	case "KR", "US", "CA", "TW":
		return cadence(0, []float64{480, 620}, 500*ms, 500*ms)
	case "JP":
		return cadence(0, []float64{400}, 500*ms, 500*ms)
	case "GB", "IE", "AU", "NZ", "HK", "SG", "MY":
		return cadence(0, []float64{400}, 375*ms, 375*ms)
	case "CN":
		return cadence(0, []float64{450}, 350*ms, 350*ms)
	}
	return cadence(0, []float64{425}, 500*ms, 500*ms)
}

// Unavailable returns the three rising tones before "cannot be reached"
// (ITU-T E.180 §10: 950, 1400, 1800 Hz), then busy tone.
func Unavailable(country string) media.Source {
	return &chain{sources: []media.Source{
		Pattern(Peak, false,
			Step{Tones: []float64{950}, For: 330 * ms},
			Step{Tones: []float64{1400}, For: 330 * ms},
			Step{Tones: []float64{1800}, For: 330 * ms},
			Step{For: 1000 * ms}),
		Busy(country),
	}}
}

// Hold returns what a held person hears: a soft double beep every four seconds.
func Hold() media.Source {
	beep := []float64{425}
	return Pattern(Peak/2, true,
		Step{Tones: beep, For: 150 * ms}, Step{For: 150 * ms},
		Step{Tones: beep, For: 150 * ms}, Step{For: 3550 * ms})
}

// Confirm returns three rising beeps and a pause, over and over: "press 1".
func Confirm() media.Source {
	return Pattern(Peak, true,
		Step{Tones: []float64{660}, For: 160 * ms}, Step{For: 60 * ms},
		Step{Tones: []float64{880}, For: 160 * ms}, Step{For: 60 * ms},
		Step{Tones: []float64{1100}, For: 160 * ms}, Step{For: 1400 * ms})
}

// cadence repeats on, off, on, off... with the same tones in each "on".
func cadence(am float64, tones []float64, times ...time.Duration) media.Source {
	steps := make([]Step, len(times))
	for i, d := range times {
		steps[i] = Step{For: d}
		if i%2 == 0 {
			steps[i].Tones, steps[i].AM = tones, am
		}
	}
	return Pattern(Peak, true, steps...)
}

// chain plays sources one after the other.
type chain struct{ sources []media.Source }

func (c *chain) Read(frame []int16) bool {
	for len(c.sources) > 0 {
		if c.sources[0].Read(frame) {
			return true
		}
		c.sources = c.sources[1:]
	}
	return false
}
