package phone

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// binding is the phone's registration.
type binding struct {
	serial  sync.Mutex // one REGISTER at a time
	callID  string
	tag     string
	seq     uint32
	stop    context.CancelFunc // ends the refreshing, nil = none
	granted time.Duration
	pings   bool // keep-alives are sent
}

// StatusError is a refusal by the other side.
type StatusError struct {
	Code   int
	Reason string
	// RetryAfter and MinExpires are the values of those headers, 0 = none.
	RetryAfter, MinExpires time.Duration
}

func (e *StatusError) Error() string { return fmt.Sprintf("%d %s", e.Code, e.Reason) }

// Register registers the phone's Contact at the Server and keeps it registered
// (unless Config.NoRefresh) until Unregister or Close. Refusals are a
// *StatusError.
func (p *Phone) Register(ctx context.Context, expires time.Duration) error {
	granted, err := p.register(ctx, expires)
	if err != nil {
		p.notify(Event{Kind: EventFailed, Text: err.Error()})
		return err
	}
	p.notify(Event{Kind: EventRegistered, Text: fmt.Sprintf("as %s@%s for %s", p.cfg.User, p.domain, granted)})
	p.keepAlive()
	if !p.cfg.NoRefresh {
		p.refresh(expires, granted)
	}
	return nil
}

// Unregister removes the phone's binding.
func (p *Phone) Unregister(ctx context.Context) error {
	p.stopRefresh()
	_, err := p.register(ctx, 0)
	return err
}

// Granted returns for how long the last registration was granted.
func (p *Phone) Granted() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.binding.granted
}

func (p *Phone) register(ctx context.Context, expires time.Duration) (time.Duration, error) {
	if !p.server.IsValid() {
		return 0, errors.New("register: the phone has no server")
	}
	p.binding.serial.Lock()
	defer p.binding.serial.Unlock()
	if p.binding.callID == "" {
		p.binding.callID, p.binding.tag = rand.Text(), rand.Text()
	}
	aor := sip.Uri{Scheme: "sip", User: p.cfg.User, Host: p.domain}
	d := &draft{
		method: sip.REGISTER, uri: sip.Uri{Scheme: "sip", Host: p.domain}, to: p.server,
		from:   sip.FromHeader{DisplayName: p.cfg.DisplayName, Address: aor},
		toHdr:  sip.ToHeader{Address: aor},
		callID: p.binding.callID,
		headers: []sip.Header{
			sip.NewHeader("Expires", strconv.Itoa(int(expires/time.Second))),
			sip.NewHeader("Allow", allow),
		},
		next: func() uint32 { p.binding.seq++; return p.binding.seq },
	}
	d.from.Params.Add("tag", p.binding.tag)
	res, _, err := p.exchange(ctx, d)
	if err != nil {
		return 0, fmt.Errorf("register %s: %w", p.cfg.User, err)
	}
	if !res.IsSuccess() {
		return 0, fmt.Errorf("register %s: %w", p.cfg.User, statusError(res))
	}
	granted := p.grantedBy(res, expires)
	p.mu.Lock()
	p.binding.granted = granted
	p.mu.Unlock()
	return granted, nil
}

func statusError(res *sip.Response) *StatusError {
	return &StatusError{
		Code: res.StatusCode, Reason: res.Reason,
		RetryAfter: time.Duration(number(res.GetHeader("Retry-After"))) * time.Second,
		MinExpires: time.Duration(number(res.GetHeader("Min-Expires"))) * time.Second,
	}
}

// grantedBy finds our Contact in the answer (RFC 3261 §10.2.4).
func (p *Phone) grantedBy(res *sip.Response, asked time.Duration) time.Duration {
	granted := asked
	if n := number(res.GetHeader("Expires")); n > 0 {
		granted = time.Duration(n) * time.Second
	}
	own := p.contact()
	for _, h := range res.GetHeaders("Contact") {
		var uri sip.Uri
		var params sip.HeaderParams
		if _, err := sip.ParseAddressValue(h.Value(), &uri, &params); err != nil || uri.User != own.User || uri.Port != own.Port {
			continue
		}
		if v, ok := params.Get("expires"); ok {
			if n, err := strconv.Atoi(v); err == nil {
				granted = time.Duration(n) * time.Second
			}
		}
	}
	return granted
}

// refresh registers again at four fifths of the granted time.
func (p *Phone) refresh(expires, granted time.Duration) {
	p.stopRefresh()
	ctx, cancel := context.WithCancel(p.ctx)
	p.mu.Lock()
	p.binding.stop = cancel
	p.mu.Unlock()
	started := p.spawn(func() {
		defer cancel()
		for granted > 0 {
			timer := time.NewTimer(granted * 4 / 5)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
			var err error
			if granted, err = p.register(ctx, expires); err != nil {
				p.notify(Event{Kind: EventFailed, Text: err.Error()})
				granted = 10 * time.Second
			}
		}
	})
	if !started {
		cancel()
	}
}

func (p *Phone) stopRefresh() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.binding.stop != nil {
		p.binding.stop()
		p.binding.stop = nil
	}
}
