package calls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// Settled says what is wrong with the records of calls that were all answered
// and ended by hanging up: each has one, with both legs and what they counted.
func Settled(records []pbx.CDR, calls int) error {
	var wrong []error
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if len(records) != calls {
		say("%d records of %d calls", len(records), calls)
	}
	seen := map[pbx.CallID]bool{}
	for _, r := range records {
		if seen[r.ID] {
			say("call %s has two records", r.ID)
		}
		seen[r.ID] = true
		if r.Disposition != pbx.Answered || r.Cause.Q850 != 16 || len(r.Legs) != 2 || r.Talk() <= 0 {
			say("call %s: %s after %v, %+v, %d legs", r.ID, r.Disposition, r.Talk(), r.Cause, len(r.Legs))
		}
		for _, l := range r.Legs {
			if l.Quality.PacketsIn == 0 || l.Quality.PacketsOut == 0 {
				say("call %s: leg %s has counted nothing: %+v", r.ID, l.Role, l.Quality)
			}
		}
	}
	return errors.Join(wrong...)
}

// short is how much of a call its recording may lack: its first and last moment,
// and once what a killed process had not written yet.
const short = 2 * time.Second

// mostly is the share of tenths that are the tone from end to end: on a machine
// with too much to do phones speak late, and a moment of silence is where they did.
const mostly = 0.75

// Recorded says what is wrong with what a record tells of its recording.
func Recorded(r *pbx.CDR) error {
	if d := r.Recording.Duration; r.Recording.File == "" || d < r.Talk()-short || d > r.Talk() {
		return fmt.Errorf("call %s talked for %v, its recording is %+v", r.ID, r.Talk(), r.Recording)
	}
	return nil
}

// A recording's header: its size, and where it says how many samples follow.
const (
	WAVHeader  = 58
	wavSamples = 46
)

// Samples is how many samples of each side a recording's header speaks of.
func Samples(wav []byte) (int, error) {
	if len(wav) < WAVHeader {
		return 0, fmt.Errorf("a recording of %d octets has no header", len(wav))
	}
	n := int(binary.LittleEndian.Uint32(wav[wavSamples:]))
	if len(wav) < WAVHeader+2*n {
		return 0, fmt.Errorf("the header says %d samples, the file has %d octets", n, len(wav))
	}
	return n, nil
}

// Sides are what the caller said and what it heard, as far as the header speaks
// of it.
func Sides(wav []byte) (left, right []int16, err error) {
	n, err := Samples(wav)
	if err != nil {
		return nil, nil, err
	}
	data := wav[WAVHeader : WAVHeader+2*n]
	side := func(which int) []int16 {
		law := make([]byte, 0, n)
		for i := which; i < len(data); i += 2 {
			law = append(law, data[i])
		}
		out := make([]int16, n)
		codec.ALaw.Decode(out, law)
		return out
	}
	return side(0), side(1), nil
}

// Tenths counts the tenths of a second that are the tone.
func Tenths(s []int16, hz float64) (n int) {
	const tenth = codec.ClockRate / 10
	for ; len(s) >= tenth; s = s[tenth:] {
		if tone.Share(s[:tenth], hz) > 0.9 {
			n++
		}
	}
	return n
}

// Whole says what is wrong with the recording of the call: it is as long as its
// record says, and on either side stands that side's tone and no other, but for
// the times that were silent.
func (p *Pair) Whole(r *pbx.CDR, wav []byte, silent time.Duration) error {
	left, right, err := Sides(wav)
	if err != nil {
		return fmt.Errorf("call %s: %w", r.ID, err)
	}
	long := time.Duration(len(left)) * time.Second / codec.ClockRate
	if diff := (long - r.Recording.Duration).Abs(); diff > time.Millisecond {
		return fmt.Errorf("call %s: the recording is %v long, its record says %v", r.ID, long, r.Recording.Duration)
	}
	least := int(mostly * (long - silent - short).Seconds() * 10)
	says, hears := Tenths(left, p.Says), Tenths(right, p.Hears)
	if says < least || hears < least {
		return fmt.Errorf("call %s: of %v (silent %v) %d tenths are the caller's tone and %d the other's, want %d", r.ID, long, silent, says, hears, least)
	}
	if across := Tenths(left, p.Hears) + Tenths(right, p.Says); across > 0 {
		return fmt.Errorf("call %s: %d tenths are on the wrong side", r.ID, across)
	}
	return nil
}
