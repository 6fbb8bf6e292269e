package stage

import (
	"bufio"
	"context"
	"io"
	"sync"
	"time"

	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/phone"
)

const (
	// A desk phone is lifted late, so that there is time to press a button.
	liftAfter   = 15 * time.Second
	mobileAfter = 2 * time.Second
	callLimit   = time.Minute
)

// Host keeps the cast playing until ctx ends: whoever is called answers, and
// each line on input is another outside call.
func (s *Scene) Host(ctx context.Context, input io.Reader) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.serve(ctx, &wg, s.desk, "the desk phone 101", liftAfter) })
	wg.Go(func() { s.serve(ctx, &wg, s.second, "the desk phone 102", liftAfter) })
	wg.Go(func() { s.serve(ctx, &wg, s.carrier, "outside", mobileAfter) })
	lines := enter(input)
	for {
		select {
		case <-ctx.Done():
			return
		case <-lines:
			wg.Go(func() { s.callIn(ctx) })
		}
	}
}

// enter tells each line of input. Its goroutine ends with the input: nothing
// else ends a read from a terminal.
func enter(input io.Reader) <-chan struct{} {
	lines := make(chan struct{})
	go func() {
		for in := bufio.NewScanner(input); in.Scan(); {
			lines <- struct{}{}
		}
	}()
	return lines
}

func (s *Scene) serve(ctx context.Context, wg *sync.WaitGroup, p *phone.Phone, name string, after time.Duration) {
	for {
		c, err := p.WaitIncoming(ctx)
		if err != nil {
			return
		}
		if p == s.carrier {
			wg.Go(func() { s.take(ctx, c, "the outside phone "+c.Dialled(), after) })
			continue
		}
		wg.Go(func() { s.take(ctx, c, name, after) })
	}
}

// take lets a phone ring, lifts it, and talks until the other side hangs up.
func (s *Scene) take(ctx context.Context, c *phone.Call, name string, after time.Duration) {
	if err := c.Ring(); err != nil {
		return
	}
	s.tell.Note("%s rings (%s) and is lifted in %s", name, c.State().PeerNumber, after)
	lift := time.NewTimer(after)
	defer lift.Stop()
	select {
	case <-ctx.Done():
		return
	case <-c.Done():
		s.tell.Note("%s stopped ringing", name)
		return
	case <-lift.C:
	}
	if err := c.Answer(ctx); err != nil {
		return
	}
	s.tell.Note("%s is lifted", name)
	c.Play(tone.Sine(mobileTone, volume))
	if after == mobileAfter {
		_ = c.SendDTMF(ctx, "1") // only a pulled call asks for it
	}
	if _, err := c.WaitEnded(ctx); err == nil {
		s.tell.Note("%s: the call is over", name)
	}
}

// callIn is another call from outside.
func (s *Scene) callIn(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	c, err := s.carrier.Dial(limited, "sip:025550101@"+s.place.SIP, phone.DialOptions{From: "01099998888", FromName: "홍길동"})
	if err != nil {
		s.tell.Note("no call: %v", err)
		return
	}
	c.Play(tone.Sine(callerTone, volume))
	s.tell.Step("010-9999-8888 calls 02-555-0101: press a button in 김하늘's chat")
	if cause, err := c.WaitEnded(limited); err == nil {
		s.tell.Note("the caller's call has ended: %d %s", cause.Code, cause.Text)
		return
	}
	if ctx.Err() == nil {
		_ = c.Hangup(ctx)
		s.tell.Note("the caller hangs up after %s", callLimit)
	}
}
