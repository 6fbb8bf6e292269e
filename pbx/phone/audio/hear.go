package audio

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/dipcast/dipcast/pbx/media/audiofile"
	"github.com/dipcast/dipcast/pbx/media/codec"
	"github.com/dipcast/dipcast/pbx/media/tone"
)

// The rule for a tone: in each of three successive blocks of 100 ms at least
// this share of the energy lies at the frequency, and the block is not silent.
const (
	block     = codec.ClockRate / 10
	blocks    = 3
	dominates = 0.80
	absent    = 0.10
	quiet     = 100.0 // RMS below which a block counts as silence
)

// Window is how long a tone must dominate to be found.
const Window = blocks * 100 * time.Millisecond

// maxHeard bounds the recording: 15 minutes.
const maxHeard = 15 * 60 * codec.ClockRate

// recording is everything heard so far; the session's lock guards it.
type recording struct {
	samples []int16
	dropped int // samples forgotten at the front
	changed chan struct{}
}

func (r *recording) add(samples []int16) {
	if len(r.samples)+len(samples) > maxHeard {
		cut := min(maxHeard/3, len(r.samples))
		r.samples = slices.Delete(r.samples, 0, cut)
		r.dropped += cut
	}
	r.samples = append(r.samples, samples...)
	close(r.changed)
	r.changed = make(chan struct{})
}

// total counts all samples heard, forgotten ones included.
func (r *recording) total() int { return r.dropped + len(r.samples) }

// Heard returns what was heard so far, 15 minutes at most: 8 kHz samples,
// lost packets as silence.
func (s *Session) Heard() *audiofile.Sound {
	return s.HeardSince(0)
}

// Mark returns a position in what is heard, for HeardSince.
func (s *Session) Mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard.total()
}

// HeardSince returns what was heard after the mark.
func (s *Session) HeardSince(mark int) *audiofile.Sound {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := min(max(mark-s.heard.dropped, 0), len(s.heard.samples))
	return audiofile.NewSound(slices.Clone(s.heard.samples[from:]))
}

// WaitTone returns when the tone has dominated what is heard for Window,
// counted from the call on. The error says what was heard instead.
func (s *Session) WaitTone(ctx context.Context, hz float64) error {
	mark := s.Mark()
	last := "nothing"
	for {
		window, changed := s.window(mark)
		if window != nil {
			if has(window, hz) {
				return nil
			}
			last = describe(window)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no tone of %g Hz: heard %s: %w", hz, last, context.Cause(ctx))
		case <-s.stop:
			return fmt.Errorf("no tone of %g Hz: heard %s until the call ended", hz, last)
		case <-changed:
		}
	}
}

// WaitNoTone returns when the tone was absent for Window, counted from the
// call on. Hearing no packets at all for that long counts as absent.
func (s *Session) WaitNoTone(ctx context.Context, hz float64) error {
	mark := s.Mark()
	silent := time.NewTimer(2 * Window)
	defer silent.Stop()
	for {
		window, changed := s.window(mark)
		if window != nil && lacks(window, hz) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the tone of %g Hz does not end: %w", hz, context.Cause(ctx))
		case <-s.stop:
			return nil
		case <-silent.C:
			return nil
		case <-changed:
			silent.Reset(2 * Window)
		}
	}
}

// window returns the last Window of what was heard since the mark, nil if it
// was less, and a channel that is closed when more is heard.
func (s *Session) window(mark int) ([]int16, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.heard.samples)
	if s.heard.total()-mark < blocks*block || n < blocks*block {
		return nil, s.heard.changed
	}
	return slices.Clone(s.heard.samples[n-blocks*block:]), s.heard.changed
}

func has(window []int16, hz float64) bool {
	for b := range slices.Chunk(window, block) {
		if rms(b) < quiet || tone.Share(b, hz) < dominates {
			return false
		}
	}
	return true
}

func lacks(window []int16, hz float64) bool {
	for b := range slices.Chunk(window, block) {
		if rms(b) >= quiet && tone.Share(b, hz) > absent {
			return false
		}
	}
	return true
}

func rms(samples []int16) float64 {
	sum := 0.0
	for _, v := range samples {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(max(len(samples), 1)))
}

// describe names what a window sounds like, for the text of a failed wait.
func describe(window []int16) string {
	if rms(window) < quiet {
		return "silence"
	}
	best, share := 0.0, 0.0
	for hz := 200.0; hz <= 3400; hz += 20 {
		if s := tone.Share(window[:block], hz); s > share {
			best, share = hz, s
		}
	}
	return fmt.Sprintf("about %.0f Hz (%.0f %% of the energy)", best, 100*share)
}
