package legs

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/leg"
	"github.com/dipcast/dipcast/pbx/sipua/dialog"
	"github.com/dipcast/dipcast/pbx/sipua/legs/vault"
)

const (
	saveWithin = time.Second // how soon is written what can wait
	// seqJump is how far the CSeq of a leg that is taken up jumps ahead, so that
	// it need not be written with each request (RFC 3261 §12.2.2 allows gaps).
	seqJump = 10_000
	// When a leg that was taken up asks its peer whether it is there still, or
	// tells it our new address; the moments are spread. Who was reached over a
	// connection gets time to come back before.
	probeFrom, probeWithin = time.Second, 4 * time.Second
	moveFrom, moveWithin   = 300 * time.Millisecond, 700 * time.Millisecond
	probeStream            = 45 * time.Second
	// leastExpiry is what is left at least of a session's interval that ran
	// while nobody was here: time for a refresh.
	leastExpiry = 10 * time.Second
)

// save writes what another process needs to go on with an answered leg. It is
// called before what it says can be seen outside. An error is told by the
// journal; the next change, or the next second, tries again.
func (l *sipLeg) save() {
	if !l.t.vault.Keeps() || l.told || l.dlg == nil || l.dlg.State != dialog.Confirmed || !l.sdp.Settled && l.ok == nil {
		return
	}
	l.later.Stop()
	r := vault.Record{
		ID: l.id, Trunk: l.trunk, Phone: l.phone, Instance: l.instance, Dialog: *l.dlg, Session: l.sdp, Hop: l.hop,
		Contact: l.contact(), Held: l.held, Timer: l.began, Port: l.port.Save(),
	}
	if l.ok != nil {
		r.Answer = l.ok.note
	}
	if l.t.vault.Put(&r, l.port) != nil {
		l.saveSoon()
	}
}

// saveSoon is save for what costs nothing if it is lost: several changes are
// written at once.
func (l *sipLeg) saveSoon() {
	if l.t.vault.Keeps() && !l.told && l.dlg != nil && l.dlg.State == dialog.Confirmed {
		l.later.Set(saveWithin, l.save)
	}
}

func (l *sipLeg) contact() string {
	c := l.t.cfg.Sender.Contact(l.hop)
	return c.String()
}

// leave ends the goroutine of a leg that goes on in another process.
func (l *sipLeg) leave() bool {
	if !l.t.leaving.Load() || l.told || l.dlg == nil || l.dlg.State != dialog.Confirmed {
		return false
	}
	l.save()
	l.told = true
	l.stopAlarms()
	return true
}

// HandOver leaves the answered legs to another process, without a word to
// their peers; the others end as by Close. No goroutine is left.
func (t *Table) HandOver() {
	t.leaving.Store(true)
	t.mu.Lock()
	t.closed = true
	all := slices.Collect(maps.Values(t.live))
	t.mu.Unlock()
	t.stop()
	for _, l := range all {
		l.box.Post(func() {}) // so that it sees that it has to leave
	}
	t.wg.Wait()
	t.pool.Close()
}

// TakeUp takes up a leg of an earlier process, as leg.Dialer.TakeUp does.
func (t *Table) TakeUp(id pbx.LegID, lis leg.Listener) (leg.Leg, bool) {
	r, ok := t.vault.Take(id)
	if !ok {
		return nil, false
	}
	l := t.takeUp(r, lis)
	return l, l != nil
}

// EndRest hangs up the legs of an earlier process that no call has taken up.
func (t *Table) EndRest() {
	for _, r := range t.vault.Rest() {
		r.Answer = nil // nobody waits for the ACK
		if l := t.takeUp(r, nil); l != nil {
			l.log().Info("a leg without a call is hung up")
			l.End(pbx.Cause{SIP: 503, Q850: 41, Text: "the call was lost in a restart"})
		}
	}
}

// Acknowledge sends the ACK for a 2xx to a re-INVITE that an earlier process has
// sent: what it said of the session is asked for again anyway.
func (t *Table) Acknowledge(callID, localTag, remoteTag string, seq uint32) {
	l := t.find(callID, localTag)
	if l == nil {
		return
	}
	l.box.PostBounded(func() {
		if !l.told && l.dlg != nil && l.dlg.State == dialog.Confirmed && l.dlg.Remote.Tag == remoteTag && seq < l.dlg.LocalSeq {
			was := *l.dlg
			was.InviteSeq = seq
			l.sendACK(&was, l.hop, nil)
		}
	})
}

func (t *Table) takeUp(r *vault.Record, lis leg.Listener) *sipLeg {
	l := t.newLeg(r.ID, r.Dialog.CallID, r.Dialog.Local.Tag)
	l.lis, l.trunk, l.phone, l.instance, l.held, l.began = lis, r.Trunk, r.Phone, r.Instance, r.Held, r.Timer
	l.dlg, l.sdp = &r.Dialog, r.Session
	l.sdp.Fingerprint = t.cfg.Fingerprint
	l.dlg.LocalSeq += seqJump
	l.goTo(r.Hop)
	err := l.restoreMedia(r)
	if r.Answer == nil || l.change.moved { // in that case an ACK would still go to where we were
		r.Answer, l.dlg.Offer = nil, dialog.Offer{}
		l.sdp.Withdraw()
		l.sdp.Local = l.port.Local()
	}
	if !t.add(l) {
		l.port.Close()
		return nil
	}
	l.run(func() { l.resumed(r, err) })
	return l
}

// restoreMedia opens the leg's port again: the same one, or another if that is
// impossible or we are to be reached at another address now. In that case the
// peer must be told.
func (l *sipLeg) restoreMedia(r *vault.Record) error {
	was := r.Port
	own, err := netip.ParseAddr(strings.Trim(l.t.cfg.Sender.Contact(l.hop).Host, "[]"))
	if err == nil && own.Is4() == was.Local.Addr().Is4() {
		was.Local = netip.AddrPortFrom(own, was.Local.Port())
	}
	port, err := l.t.cfg.Media.Restore(was, l.notices())
	if err != nil {
		l.log().Warn("a media port cannot be opened again; the leg gets another", "port", was.Local, "error", err)
		if port, err = l.t.cfg.Media.Allocate(l.hop.Addr.Addr(), l.notices()); err != nil {
			return err
		}
		port.Apply(l.sdp.Stream)
	}
	l.port = port
	l.change.moved = port.Local() != l.sdp.Local || l.contact() != r.Contact
	l.sdp.Local = port.Local()
	return nil
}

// resumed is the first message of a leg that was taken up.
func (l *sipLeg) resumed(r *vault.Record, portErr error) {
	if portErr != nil {
		l.log().Error("no media port for a call that was taken up", "error", portErr)
		l.bye(pbx.Cause{SIP: 503, Q850: 34, Text: "no media port was free after the restart"})
		return
	}
	now := l.t.cfg.Now()
	l.runTimer(max(0, now.Sub(l.began)))
	if r.Answer != nil {
		l.awaitACK(r.Answer, now)
	}
	l.save()
	switch {
	case l.change.moved:
		l.retry.Set(moveFrom+time.Duration(l.t.cfg.Pick(int(moveWithin))), l.probe)
	case l.hop.Stream():
		l.retry.Set(probeStream, l.probe)
	default:
		l.retry.Set(probeFrom+time.Duration(l.t.cfg.Pick(int(probeWithin))), l.probe)
	}
}

// probe refreshes the session, which finds out whether the peer is there. Who
// has no place where it could be asked shows by its audio that it is.
func (l *sipLeg) probe() {
	if l.told {
		return
	}
	l.acquire(l.trunk) // full or not: it talks already
	if !l.reach() {
		return
	}
	l.change.refresh, l.change.tries = true, 0
	l.kick()
}

// awaitACK goes on with a 2xx of the process before: it is sent again until the
// ACK comes, which may have come while nobody was here.
func (l *sipLeg) awaitACK(a *vault.Answer, now time.Time) {
	tm := l.t.cfg.Timers
	left := 64*tm.T1 - max(0, now.Sub(a.Sent))
	l.ok = &accepted{seq: a.Seq, late: a.Late, again: a.Again, note: a}
	l.ok.resend.Box = l.box
	l.dlg.Offer.RemoteInvite = true
	send := func() {
		l.reach()
		_ = l.t.cfg.Sender.Repeat(a.Text, l.hop) // the next one, or the end of the wait, tells
	}
	if left > 0 {
		send()
	}
	l.ok.resend.Start(tm.T1, left, tm.T2, send, func() {
		late := l.ok.late
		l.acked()
		switch {
		case late:
			l.bye(pbx.Cause{SIP: 408, Q850: 102, Text: "no ACK came"})
		case l.ended != nil:
			l.end()
		default:
			l.probe()
		}
	})
}

// unreachable is the cause of a leg whose peer does not answer our requests.
func (l *sipLeg) unreachable() pbx.Cause {
	text := "the peer answers no more"
	if l.change.moved {
		text = "the peer did not follow the PBX to its new address"
	}
	return pbx.Cause{SIP: 408, Q850: 102, Text: text}
}
