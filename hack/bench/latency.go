package main

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx/works/sim"
)

// mobileButton is what the card calls the pull to the mobile in Korean.
const mobileButton = "모바일로 당겨"

// carrier is the telephone company: it begins outside calls and rings the
// mobile.
type carrier struct {
	*phone
	mobile chan time.Time // when an INVITE to the mobile came
}

func newCarrier() (*carrier, error) {
	p, err := newPhone(carrierHost+":0", "carrier", &target{domain: domain})
	if err != nil {
		return nil, err
	}
	c := &carrier{phone: p, mobile: make(chan time.Time, 16)}
	p.onInvite = func(message) bool {
		select {
		case c.mobile <- time.Now():
		default:
		}
		return false
	}
	return c, nil
}

// serverAt tells the carrier where the PBX is that it shall call.
func (c *carrier) serverAt(a netip.AddrPort) { c.server = a }

// latencies of cards: from the INVITE to the card in the chat, and from the
// press to the mobile's INVITE.
type latencies struct{ card, press []time.Duration }

// cards lets outside callers ring the person again and again; each time the
// mobile is pulled by a press, and the caller gives up.
func cards(ctx context.Context, t *target, w *worksSim, c *carrier, n int) (l latencies, err error) {
	desk, err := newPhone("127.0.0.1:0", person, t)
	if err != nil {
		return l, err
	}
	defer desk.close()
	desk.onInvite = func(message) bool { return false } // it rings
	if err := desk.register(ctx); err != nil {
		return l, err
	}
	for range n {
		if err := l.once(ctx, w, c); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (l *latencies) once(ctx context.Context, w *worksSim, c *carrier) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	seen := len(w.Messages(personMail))
	began := time.Now()
	giveUp := c.ring(ctx, "025550101")
	m, err := w.Wait(ctx, personMail, func(m sim.Message) bool { return m.Index >= seen && mobileOf(m) >= 0 })
	if err != nil {
		return err
	}
	l.card = append(l.card, time.Since(began))
	pressed := time.Now()
	if err := w.Press(ctx, personMail, m.Index, mobileOf(m)); err != nil {
		return err
	}
	select {
	case at := <-c.mobile:
		l.press = append(l.press, at.Sub(pressed))
	case <-ctx.Done():
		return errors.New("the mobile did not ring after the press")
	}
	return giveUp()
}

// mobileOf is the index of the button that pulls to the mobile, or -1.
func mobileOf(m sim.Message) int {
	for i, b := range m.Buttons {
		if strings.Contains(b.Label.Text, mobileButton) {
			return i
		}
	}
	return -1
}
