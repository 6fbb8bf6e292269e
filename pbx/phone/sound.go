package phone

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/dtmf"
	"github.com/dipcast/dipcast/pbx/phone/audio"
)

// Play says the source until it ends; nil is silence. The channel is closed
// when it came to its end, was replaced, or the call ended.
func (c *Call) Play(src media.Source) <-chan struct{} { return c.audio.Play(src) }

// Audio returns the call's sound.
func (c *Call) Audio() *audio.Session { return c.audio }

// Stats returns the RTP counters; they stay readable after the end.
func (c *Call) Stats() audio.Stats { return c.audio.Stats() }

// WaitTone returns when the tone dominates what is heard for 300 ms.
func (c *Call) WaitTone(ctx context.Context, hz float64) error { return c.audio.WaitTone(ctx, hz) }

// WaitNoTone returns when the tone is not heard for 300 ms.
func (c *Call) WaitNoTone(ctx context.Context, hz float64) error { return c.audio.WaitNoTone(ctx, hz) }

// Digits yields the keys that the peer presses, by RFC 4733 or INFO.
func (c *Call) Digits() <-chan rune { return c.audio.Digits() }

// WaitDigits collects n keys that the peer presses.
func (c *Call) WaitDigits(ctx context.Context, n int) (string, error) {
	var got strings.Builder
	for got.Len() < n {
		select {
		case d := <-c.audio.Digits():
			got.WriteRune(d)
		case <-ctx.Done():
			return got.String(), fmt.Errorf("got keys %q, want %d: %w", got.String(), n, context.Cause(ctx))
		case <-c.life.Done():
			return got.String(), fmt.Errorf("got keys %q, want %d, before the call ended", got.String(), n)
		}
	}
	return got.String(), nil
}

// SendDTMF presses keys, by RFC 4733 if the peer agreed to it, else by INFO,
// and returns when all have been sent.
func (c *Call) SendDTMF(ctx context.Context, digits string) error {
	for _, d := range digits {
		if _, ok := dtmf.Code(d); !ok {
			return fmt.Errorf("key %q: must be one of 0-9 * # A-D", d)
		}
	}
	sent, err := c.audio.SendDTMF(digits)
	if errors.Is(err, audio.ErrNoEvents) {
		return c.sendInfo(ctx, digits)
	}
	if err != nil {
		return err
	}
	select {
	case <-sent:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Call) sendInfo(ctx context.Context, digits string) error {
	for _, digit := range digits {
		d := c.inDialog(sip.INFO)
		d.kind, d.body = dtmf.FormatInfo(digit, 160*time.Millisecond)
		res, _, err := c.phone.exchange(ctx, d)
		if err != nil {
			return err
		}
		if !res.IsSuccess() {
			return fmt.Errorf("INFO with key %c: %w", digit, statusError(res))
		}
	}
	return nil
}
