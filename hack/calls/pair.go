package calls

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
)

// Loud is the level of every tone, as a share of full scale.
const Loud = 0.5

// Pair is one call between two phones. Each side says a tone of its own.
type Pair struct {
	Caller, Callee *phone.Call
	Says, Hears    float64 // of the caller, in Hz
}

// Connect lets one phone call another by its number and waits until both are
// connected. i chooses the tones; calls with neighbouring numbers have others.
func Connect(ctx context.Context, from, to *phone.Phone, number string, i int) (*Pair, error) {
	p := &Pair{Says: 400 + 90*float64(i%7), Hears: 1200 + 110*float64(i%7)}
	var err error
	if p.Caller, err = from.Dial(ctx, number, phone.DialOptions{}); err != nil {
		return nil, err
	}
	if p.Callee, err = to.WaitIncoming(ctx); err != nil {
		return nil, fmt.Errorf("phone %s does not ring: %w (the caller: %s)", number, err, p.Caller.State())
	}
	if err := errors.Join(p.Callee.Ring(), p.Callee.Answer(ctx), p.Caller.WaitAnswered(ctx)); err != nil {
		return nil, fmt.Errorf("phone %s cannot answer: %w", number, err)
	}
	p.Caller.Play(tone.Sine(p.Says, Loud))
	p.Callee.Play(tone.Sine(p.Hears, Loud))
	return p, nil
}

// GoesOn proves by their tones that both sides hear each other from now on.
func (p *Pair) GoesOn(ctx context.Context) error {
	if err := p.Caller.WaitTone(ctx, p.Hears); err != nil {
		return fmt.Errorf("a caller does not hear %.0f Hz: %w (%s)", p.Hears, err, p.Caller.State())
	}
	if err := p.Callee.WaitTone(ctx, p.Says); err != nil {
		return fmt.Errorf("a callee does not hear %.0f Hz: %w (%s)", p.Says, err, p.Callee.State())
	}
	return nil
}

// Gap is the longest silence that either side has heard since it was last asked.
func (p *Pair) Gap() time.Duration {
	return max(p.Caller.Audio().TakeGap(), p.Callee.Audio().TakeGap())
}

// HangUp ends the call from one side; the other one must hear of it.
func (p *Pair) HangUp(ctx context.Context, byCaller bool) error {
	by, other := p.Caller, p.Callee
	if !byCaller {
		by, other = other, by
	}
	if err := by.Hangup(ctx); err != nil {
		return err
	}
	_, err := other.WaitEnded(ctx)
	return err
}

// AllGoOn is GoesOn for all of them at the same time.
func AllGoOn(ctx context.Context, list []*Pair) error {
	wrong := make([]error, len(list))
	var all sync.WaitGroup
	for i, p := range list {
		all.Go(func() {
			if err := p.GoesOn(ctx); err != nil {
				wrong[i] = fmt.Errorf("call %d: %w", i, err)
			}
		})
	}
	all.Wait()
	return errors.Join(wrong...)
}

// Gaps are the Gap of each of them, and begin to count anew.
func Gaps(list []*Pair) Silences {
	s := make(Silences, len(list))
	for i, p := range list {
		s[i] = p.Gap()
	}
	return s
}

// Silences are how long each of some calls was silent.
type Silences []time.Duration

// At is the silence that this share of the calls does not exceed: 0.5, 0.99.
func (s Silences) At(share float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(s))[min(int(share*float64(len(s))), len(s)-1)]
}

func (s Silences) String() string {
	return fmt.Sprintf("%d ms in the midst, %d ms at p99, of %d calls", s.At(0.5).Milliseconds(), s.At(0.99).Milliseconds(), len(s))
}
