package legs

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/sdp"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/mailbox"
	"github.com/dipcast/dipcast/pbx/sipua/message"
)

// sipLeg implements leg.Leg. Its goroutine owns everything below the line; all
// others speak to it through the mailbox. It comes from the table's pool while
// messages wait: a leg on which nothing happens has none.
//
//	UAS: INVITE ─► receive ─► 180/183 ─► 200 ─► ACK ─► talk ─► BYE
//	UAC: Dial ─► attempt(s) ─► 18x ─► 2xx, ACK ─► talk ─► BYE
//
// After LegOver was told the leg stays only as long as transactions of its own
// are open, so that a late 200 is still acknowledged and ended.
type sipLeg struct {
	id       pbx.LegID
	t        *Table
	callID   string
	localTag string
	merge    mergeKey // zero for outgoing legs
	trunk    string   // empty for a phone
	phone    string   // the phone's extension
	instance string   // the phone among those of its extension, if it says
	doc      *conf.Document
	box      *mailbox.Box
	port     media.Port
	gone     atomic.Bool // LegOver was told
	owner    atomic.Pointer[edge.Identity]

	// Owned by the goroutine.
	lis     leg.Listener
	release func() // gives the trunk's call slot back
	counted bool   // it has one
	dlg     *dialog.Dialog
	sdp     sdp.Session
	hop     edge.Hop // where requests inside the dialog go
	hopURI  string
	held    bool
	told    bool
	ended   *pbx.Cause // End was called
	open    int        // client transactions that run
	uas     *uasState
	uac     *uacState
	ok      *accepted // our 2xx that waits for its ACK
	change  change
	digits  digitQueue

	began time.Time // the session's interval (RFC 4028)

	refresh, expiry, retry, later mailbox.Alarm
}

var _ leg.Leg = (*sipLeg)(nil)

// newLeg returns a leg without a port.
func (t *Table) newLeg(id pbx.LegID, callID, localTag string) *sipLeg {
	l := &sipLeg{
		id: id, t: t, callID: callID, localTag: localTag, doc: t.cfg.Document(),
		box: mailbox.New(), port: media.None{}, release: func() {},
	}
	l.refresh.Box, l.expiry.Box, l.retry.Box, l.later.Box = l.box, l.box, l.box, l.box
	return l
}

// log is the log with the leg's names. It is made only when there is something
// to say.
func (l *sipLeg) log() *slog.Logger {
	return l.t.cfg.Log.With("leg", string(l.id), "sipCallID", l.callID)
}

// notices brings what the media plane says to the leg's goroutine.
func (l *sipLeg) notices() media.Notices {
	tell := func(f func()) {
		l.box.PostBounded(func() {
			if !l.told && l.lis != nil {
				f()
			}
		})
	}
	return media.Notices{
		Digit:  func(d rune) { tell(func() { l.lis.LegDigit(l.id, d, true) }) },
		Silent: func() { tell(func() { l.lis.LegSilent(l.id) }) },
		Played: func() { tell(func() { l.lis.LegPlayed(l.id) }) },
		Keyed:  func() { tell(l.save) },
	}
}

// run begins the leg's life. first is its first message.
func (l *sipLeg) run(first func()) {
	l.wake()
	l.box.Post(first)
}

// wake sees to it that messages are taken.
func (l *sipLeg) wake() {
	work := l.work
	l.box.Serve(func() { l.t.pool.Go(work) })
}

// work is the leg's goroutine, as long as messages wait.
func (l *sipLeg) work() {
	for {
		f, ok := l.box.Take()
		if !ok {
			return
		}
		f()
		if l.finished() || l.t.ctx.Err() != nil {
			l.exit()
			return
		}
	}
}

func (l *sipLeg) finished() bool { return l.told && l.open == 0 }

func (l *sipLeg) exit() {
	if !l.leave() {
		l.over(pbx.Cause{SIP: 503, Q850: 41, Text: "the PBX shuts down"})
	}
	late := l.box.Close()
	if l.t.ctx.Err() == nil {
		for _, f := range late {
			f() // a request that came too late is refused; nothing else is left to do
		}
	}
	if l.uac != nil {
		l.uac.next.Stop()
		l.uac.give.Stop()
		if a := l.uac.cur; a != nil && a.tx != nil {
			a.tx.Terminate() // nobody would hear a 2xx that is sent again
		}
	}
	l.t.remove(l)
}

func (l *sipLeg) stopAlarms() {
	for _, a := range []*mailbox.Alarm{&l.refresh, &l.expiry, &l.retry, &l.later} {
		a.Stop()
	}
	if l.uas != nil {
		l.uas.resend.Stop()
		l.uas.minute.Stop()
		l.uas.in.Settle()
	}
	l.acked()
}

// over tells LegOver, once, and closes the port.
func (l *sipLeg) over(c pbx.Cause) {
	if l.told {
		return
	}
	l.told = true
	l.gone.Store(true)
	if l.dlg != nil {
		l.dlg.State = dialog.Terminated
	}
	l.stopAlarms()
	l.t.vault.Delete(l.id)
	if c.Q850 == 0 {
		c.Q850 = message.Q850(c.SIP)
	}
	if l.lis != nil {
		l.lis.LegOver(l.id, c, l.port.Quality())
	}
	l.port.Close()
	l.release()
}

// ID implements leg.Leg.
func (l *sipLeg) ID() pbx.LegID { return l.id }

// SIPCallID implements leg.Leg.
func (l *sipLeg) SIPCallID() string { return l.callID }

// Media implements leg.Leg.
func (l *sipLeg) Media() media.Port { return l.port }

// Ring implements leg.Leg.
func (l *sipLeg) Ring() { l.box.Post(func() { l.provisional(180, false) }) }

// Progress implements leg.Leg.
func (l *sipLeg) Progress() { l.box.Post(func() { l.provisional(183, true) }) }

// Prefer implements leg.Leg.
func (l *sipLeg) Prefer(codec string) { l.box.Post(func() { l.prefer(codec) }) }

// Answer implements leg.Leg.
func (l *sipLeg) Answer() { l.box.Post(l.answer) }

// Present implements leg.Leg.
func (l *sipLeg) Present(p pbx.Party) { l.box.Post(func() { l.present(p) }) }

// SendDigit implements leg.Leg.
func (l *sipLeg) SendDigit(digit rune) { l.box.Post(func() { l.sendDigit(digit) }) }

// End implements leg.Leg.
func (l *sipLeg) End(c pbx.Cause) {
	l.box.Post(func() {
		if l.told || l.ended != nil {
			return
		}
		l.ended = &c
		l.end()
	})
}

// end does what the state asks for, with the cause in l.ended.
func (l *sipLeg) end() {
	switch {
	case l.ok != nil && !l.ok.again:
		// RFC 3261 §15: no BYE before the ACK of our 200, or its timeout.
	case l.dlg != nil && l.dlg.State == dialog.Confirmed:
		l.bye(*l.ended)
	case l.uas != nil:
		l.refuse(*l.ended)
	case l.uac != nil:
		l.giveUp(*l.ended)
	}
}

// setHeld tells a change of hold.
func (l *sipLeg) setHeld() {
	if held := l.sdp.Held(); held != l.held && l.lis != nil && !l.told {
		l.held = held
		l.lis.LegHeld(l.id, held)
	}
}

// codecs are the codecs for this leg, in order of preference.
func (l *sipLeg) codecs() []string { return l.doc.CodecsOf(l.trunk) }
