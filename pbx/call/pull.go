package call

import (
	"cmp"
	"slices"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/call/outcome"
	"github.com/dipcast/dipcast/pbx/call/state"
	"github.com/dipcast/dipcast/pbx/dialplan"
)

// resumeAtLeast is what a stage has left at least when a pull goes back to it.
const resumeAtLeast = 5 * time.Second

// A pull moves the call to the presser. While one is under way no stage times
// out and nobody else's pull is taken; the presser may choose another target.
//
//	press ─► asked ─► ringing ──────────────► pulled
//	  │        │         └─► confirming ─1──────┘    (a mobile)
//	  └ refused└ refused └─► failed: back to where it rang, or talked
func (in press) apply(m *machine) {
	s := m.s
	if err := m.mayPull(in); err != nil {
		m.do(reply{in.Ticket, err})
		return
	}
	if s.Pull != nil {
		m.changeTarget()
	}
	s.Pull = &Pull{Ticket: in.Ticket, Phone: in.Phone, To: in.To, Out: in.Out, Diverted: in.Diverted}
	if !s.StageAt.IsZero() {
		s.StageLeft, s.StageAt = s.StageAt.Sub(m.now), time.Time{}
	}
	if in.To == pbx.ToMobile {
		m.ask(state.ForPull, nil, in.Out)
		return
	}
	m.ask(state.ForPull, []string{in.Phone.Extension}, nil)
}

// changeTarget ends the presser's own pull since another target was pressed.
// The desk phones of a call that nobody has answered ring on: they are as good
// a place as any until the mobile has confirmed.
func (m *machine) changeTarget() {
	s := m.s
	for i := range s.Legs {
		if l := &s.Legs[i]; l.Pulled && l.Role == pbx.RoleDesk && s.Peer == "" && s.Answered.IsZero() {
			l.Pulled = false
		}
	}
	m.dropPull(pbx.Errorf(pbx.CodeChanged, "extension %s chose another target", s.Pull.Phone.Extension), outcome.NoAnswer)
}

// mayPull says why the press comes to nothing, or nil.
func (m *machine) mayPull(in press) *pbx.Error {
	s := m.s
	peer := s.Leg(s.Peer)
	switch {
	case !m.running():
		return pbx.ErrGone
	case !slices.Contains(s.Offered, in.Phone.Extension):
		return pbx.Errorf(pbx.CodeNotYours, "the call was not offered to extension %s", in.Phone.Extension)
	case in.To == pbx.ToAssistant:
		return pbx.Errorf(pbx.CodeNoAssistant, "no assistant is configured for this company")
	case in.To != pbx.ToDesk && in.To != pbx.ToMobile:
		return pbx.Errorf(pbx.CodeFailed, "a call cannot be pulled to %q", dialplan.Visible(string(in.To)))
	case s.Pull != nil && s.Pull.Phone.Extension != in.Phone.Extension:
		return taken(s.Pull.Phone.Party())
	case s.Pull != nil && (s.Pull.To == in.To || s.Pull.Ticket != 0):
		return pbx.Errorf(pbx.CodePressed, "extension %s is pulling this call already", in.Phone.Extension)
	case peer != nil && peer.Party.Extension != in.Phone.Extension:
		return taken(peer.Party)
	case peer != nil && in.To == pbx.ToMobile && peer.Role == pbx.RoleMobile:
		return pbx.Errorf(pbx.CodePressed, "the call is on the mobile of extension %s already", in.Phone.Extension)
	case in.To == pbx.ToMobile && in.Refused != nil:
		return in.Refused
	case in.To == pbx.ToMobile && in.Out == nil:
		return pbx.Errorf(pbx.CodeNoMobile, "extension %s has no mobile number", in.Phone.Extension)
	case s.Made >= maxLegs:
		return pbx.Errorf(pbx.CodeLimit, "the call has rung %d phones and rings no more", maxLegs)
	default:
		return nil
	}
}

// taken says who was faster.
func taken(p pbx.Party) *pbx.Error {
	return &pbx.Error{
		Code: pbx.CodeTaken, Who: cmp.Or(p.Name, p.Number),
		Text: "the call is with " + cmp.Or(p.Extension, p.Number),
	}
}

func (m *machine) foundPull(in found) {
	s := m.s
	if s.Pull == nil || s.Pull.Ticket == 0 {
		return
	}
	if s.Pull.To == pbx.ToMobile {
		m.ringMobile(in)
	} else {
		m.ringDesk(in.Contacts[s.Pull.Phone.Extension])
	}
}

// ringDesk rings the presser's own phones and no others. Phones of the
// presser that ring for this call already go on as they are.
func (m *machine) ringDesk(contacts []pbx.Contact) {
	s := m.s
	p := s.Pull
	if peer := s.Leg(s.Peer); peer != nil {
		contacts = slices.DeleteFunc(slices.Clone(contacts), func(c pbx.Contact) bool { return c.ID == peer.Contact })
	}
	ringing := false
	for i := range s.Legs {
		if l := &s.Legs[i]; m.ofStage(l) && l.Party.Extension == p.Phone.Extension {
			l.Pulled, ringing = true, true
		}
	}
	if !ringing && len(contacts) == 0 {
		m.refusePull(pbx.Errorf(pbx.CodeNotRegistered, "no other phone of extension %s is registered", p.Phone.Extension))
		return
	}
	m.acceptPull(s.Timing.Desk)
	if !ringing {
		for i, c := range byPreference(contacts) {
			if i < maxFork && s.Made < maxLegs {
				m.dialPhone(pbx.RoleDesk, p.Phone, c, "", p.Phone.AutoAnswer).Pulled = true
			}
		}
	}
	if s.Peer == "" {
		s.Waiting = false
		m.endOthers(func(l *Leg) bool { return l.ID == s.Caller || l.Pulled })
	}
	m.alert()
}

// ringMobile calls the presser's mobile. What rings goes on ringing until the
// mobile has confirmed, so that nothing is lost if it never does.
func (m *machine) ringMobile(in found) {
	s := m.s
	p := s.Pull
	p.Up = in.Up
	switch {
	case in.Refused != nil:
		m.refusePull(in.Refused.Error())
	case !slices.ContainsFunc(p.Out.Ways[p.Way:], func(w dialplan.Way) bool { return slices.Contains(p.Up, w.Trunk) }):
		m.refusePull(pbx.Errorf(pbx.CodeNoTrunk, "no trunk is up that may call the mobile"))
	default:
		m.acceptPull(s.Timing.Mobile)
		m.dialMobile()
		m.alert()
	}
}

// dialMobile tries the next trunk that is up; false if there is none left.
func (m *machine) dialMobile() bool {
	s := m.s
	p := s.Pull
	for ; p.Way < len(p.Out.Ways); p.Way++ {
		if w := p.Out.Ways[p.Way]; slices.Contains(p.Up, w.Trunk) && s.Made < maxLegs {
			party := p.Phone.Party()
			party.Number = p.Out.Display
			m.dialTrunk(pbx.RoleMobile, party, p.Out, p.Way, p.Up, p.Diverted).Pulled = true
			return true
		}
	}
	return false
}

// acceptPull answers the presser and starts the pull's time.
func (m *machine) acceptPull(limit time.Duration) {
	p := m.s.Pull
	m.do(reply{Ticket: p.Ticket})
	p.Ticket = 0
	m.s.PullAt = m.now.Add(limit)
	m.emit(pbx.Event{Type: pbx.EventPulling, Extension: p.Phone.Extension, PullTo: p.To})
}

// refusePull answers the presser before anything has changed. The presser may
// have hung up while changing the target: then nothing is left.
func (m *machine) refusePull(err *pbx.Error) {
	m.do(reply{m.s.Pull.Ticket, err})
	m.s.Pull = nil
	if m.s.Peer == "" && !m.s.Answered.IsZero() {
		m.finish(outcome.NotMoved)
		return
	}
	m.resume(0)
}

// confirm asks the answerer of the mobile to press 1.
func (m *machine) confirm(l *Leg) {
	s := m.s
	s.Pull.Confirming = true
	s.PullAt = m.now.Add(s.Timing.Confirm)
	m.sound(l, SoundConfirm)
}

// pulled ends a pull with success: the caller talks with the leg.
func (m *machine) pulled(l *Leg) {
	s := m.s
	p := s.Pull
	s.Pull, s.PullAt = nil, time.Time{}
	s.PulledBy, s.PulledTo = p.Phone.Extension, p.To
	for i := range s.Legs {
		s.Legs[i].Pulled = false
	}
	m.connect(l)
	m.emit(pbx.Event{Type: pbx.EventPulled, Leg: l.ID, Extension: s.PulledBy, PullTo: s.PulledTo})
}

// pullLegGone goes on after a leg of the pull ended by itself.
func (m *machine) pullLegGone(l *Leg, cause pbx.Cause, answered bool) {
	s := m.s
	p := s.Pull
	if p == nil {
		return
	}
	if answered {
		m.failPull(pbx.Errorf(pbx.CodeNotConfirmed, "the mobile answered and pressed nothing"))
		return
	}
	p.Best = outcome.Better(p.Best, cause)
	if p.To == pbx.ToMobile && retriable(l, cause) {
		p.Way++
		if m.dialMobile() {
			return
		}
	}
	if p.To == pbx.ToDesk && outcome.Declined(cause) && !slices.Contains(s.Declined, p.Phone.Extension) {
		s.Declined = append(s.Declined, p.Phone.Extension)
	}
	if !slices.ContainsFunc(s.Legs, func(o Leg) bool { return o.Pulled && o.Live() }) {
		m.failPull(outcome.PullError(p.Best))
	}
}

// pullTimeout ends a pull whose target did nothing in time.
func (m *machine) pullTimeout() {
	p := m.s.Pull
	switch {
	case p == nil:
	case p.Confirming:
		m.failPull(pbx.Errorf(pbx.CodeNotConfirmed, "the mobile answered and pressed nothing"))
	default:
		m.failPull(pbx.Errorf(pbx.CodeNoAnswer, "the target did not answer"))
	}
}

// dropPull ends the pull without going back to anything.
func (m *machine) dropPull(err *pbx.Error, cause pbx.Cause) *Pull {
	s := m.s
	p := s.Pull
	s.Pull, s.PullAt = nil, time.Time{}
	for i := range s.Legs {
		if l := &s.Legs[i]; l.Pulled {
			m.endLeg(l, cause)
			l.Pulled = false
		}
	}
	if p.Ticket != 0 {
		m.do(reply{p.Ticket, err})
		return p
	}
	m.emit(pbx.Event{Type: pbx.EventPullFailed, Extension: p.Phone.Extension, PullTo: p.To, Err: err})
	return p
}

// failPull takes the call back to where it was: to the one who talked, or to
// the stage that rang. If the presser hung up meanwhile nothing is left.
func (m *machine) failPull(err *pbx.Error) {
	s := m.s
	p := m.dropPull(err, outcome.NoAnswer)
	switch {
	case s.Peer != "":
	case !s.Answered.IsZero():
		m.finish(outcome.NotMoved)
	case p.To == pbx.ToDesk:
		m.beginStage() // its phones were cancelled: ring them again
	default:
		m.resume(resumeAtLeast)
	}
}

// resume lets the stage go on where a pull suspended it.
func (m *machine) resume(atLeast time.Duration) {
	s := m.s
	if s.Peer != "" || s.Stage() == nil {
		return
	}
	s.StageAt, s.StageLeft = m.now.Add(max(s.StageLeft, atLeast)), 0
	if c := s.Leg(s.Caller); slices.ContainsFunc(s.Legs, func(l Leg) bool { return l.Live() && l.To != "" && l.To == s.Caller }) {
		m.sound(c, "") // what the callee's network says is heard again
	}
	m.checkStage()
}
