package phone

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/dipcast/dipcast/pbx/phone/session"
)

// Hold puts the peer on hold with a re-INVITE (sendonly); nothing is said or
// heard until Resume.
func (c *Call) Hold(ctx context.Context) error { return c.hold(ctx, true) }

// Resume takes the peer back.
func (c *Call) Resume(ctx context.Context) error { return c.hold(ctx, false) }

func (c *Call) hold(ctx context.Context, hold bool) error {
	c.mu.Lock()
	before := c.state.Holding
	c.set(func(s *State) { s.Holding = hold })
	c.mu.Unlock()
	err := c.reoffer(ctx, sip.INVITE)
	if err != nil {
		c.mu.Lock()
		c.set(func(s *State) { s.Holding = before })
		c.mu.Unlock()
	}
	return err
}

// Update sends the present offer by UPDATE (RFC 3311).
func (c *Call) Update(ctx context.Context) error { return c.reoffer(ctx, sip.UPDATE) }

// maxGlare is how often an offer is made again after 491.
const maxGlare = 4

// reoffer makes an offer inside the dialog; glare (491) is resolved as RFC
// 3261 §14.1 asks.
func (c *Call) reoffer(ctx context.Context, method sip.RequestMethod) error {
	if st := c.State(); !st.Answered || st.Ended {
		return fmt.Errorf("%s inside the call: the call is %s", method, st)
	}
	for range maxGlare {
		res, err := c.offerOnce(ctx, method)
		if err != nil {
			return err
		}
		switch {
		case res.IsSuccess():
			return nil
		case res.StatusCode == sip.StatusCallTransactionDoesNotExists || res.StatusCode == sip.StatusRequestTimeout:
			return errors.Join(fmt.Errorf("%s: %w", method, statusError(res)), c.bye(ctx, Cause{Code: res.StatusCode, Text: res.Reason, Remote: true}))
		case res.StatusCode != 491:
			return fmt.Errorf("%s: %w", method, statusError(res))
		}
		timer := time.NewTimer(c.glarePause())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-c.life.Done():
			timer.Stop()
			return errors.New("the call ended")
		}
	}
	return fmt.Errorf("%s: refused with 491 %d times", method, maxGlare)
}

// glarePause is 2.1 to 4 s for the owner of the Call-ID, 0 to 2 s for the
// other side (RFC 3261 §14.1).
func (c *Call) glarePause() time.Duration {
	if c.incoming {
		return time.Duration(rand.Int64N(int64(2 * time.Second)))
	}
	return 2100*time.Millisecond + time.Duration(rand.Int64N(int64(1900*time.Millisecond)))
}

func (c *Call) offerOnce(ctx context.Context, method sip.RequestMethod) (*sip.Response, error) {
	d := c.inDialog(method)
	if method == sip.INVITE {
		d.again = func(req *sip.Request) { c.write(c.ackFor(req, nil)) }
	}
	c.mu.Lock()
	c.offering = true
	d.kind, d.body = "application/sdp", c.offer()
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.offering = false
		c.mu.Unlock()
	}()
	res, req, err := c.phone.exchange(ctx, d)
	if err != nil {
		return nil, err
	}
	if !res.IsSuccess() {
		return res, nil
	}
	c.mu.Lock()
	if contact := res.Contact(); contact != nil {
		c.dialog.target = *contact.Address.Clone()
	}
	c.mu.Unlock()
	if method == sip.INVITE {
		c.write(c.ackFor(req, nil))
	}
	b, err := session.Parse(res.Body())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	c.mu.Lock()
	c.apply(b, false)
	c.mu.Unlock()
	return res, nil
}
