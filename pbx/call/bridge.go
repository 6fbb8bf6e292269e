package call

import (
	"time"

	"github.com/dipcast/dipcast/pbx"
)

// route lets `to` hear the leg, once.
func (m *machine) route(l *Leg, to pbx.LegID) {
	if l.To != to {
		l.To = to
		m.do(hear{From: l.ID, To: to})
	}
}

// sound plays a sound to the leg, once; an empty one stops it.
func (m *machine) sound(l *Leg, name string) {
	if l.Sound != name {
		l.Sound = name
		m.do(play{l.ID, name})
	}
}

// silence takes a leg out of the audio: it hears nobody and nobody hears it.
func (m *machine) silence(l *Leg) {
	m.route(l, "")
	m.sound(l, "")
	for i := range m.s.Legs {
		if o := &m.s.Legs[i]; o.To == l.ID {
			m.route(o, "")
		}
	}
}

// alert lets the caller know that somebody is rung: by 180, or by a tone once
// our audio is open towards the caller.
func (m *machine) alert() {
	s := m.s
	if s.Phase == pbx.CallRouting {
		s.Phase = pbx.CallRinging
	}
	c := s.Leg(s.Caller)
	switch {
	case c == nil || !c.Live() || s.Peer != "":
	case s.Early || c.State == pbx.LegConfirmed:
		m.sound(c, SoundRingback)
	case c.State == pbx.LegTrying:
		c.State = pbx.LegRinging
		m.do(ring{c.ID})
	}
}

// early passes what the callee's network plays before it answers, and what the
// caller says and presses: services ask for keys before they take the call.
func (m *machine) early(l *Leg) {
	s := m.s
	c := s.Leg(s.Caller)
	if c == nil || !c.Live() {
		return
	}
	s.Phase = pbx.CallRinging
	if !s.Early && c.State != pbx.LegConfirmed {
		s.Early = true
		c.State = pbx.LegRinging
		m.do(progress{c.ID, l.ID})
	}
	m.sound(c, "")
	m.route(l, c.ID)
	m.route(c, l.ID)
}

// connect lets the caller talk with the leg; all other legs end. Legs of a
// pull that replaces the leg that talked now find it ended elsewhere, too.
func (m *machine) connect(l *Leg) {
	s := m.s
	c := s.Leg(s.Caller)
	s.Peer = l.ID
	m.endOthers(func(o *Leg) bool { return o.ID == s.Caller || o.ID == s.Peer })
	if c.State != pbx.LegConfirmed {
		c.State, c.Answered = pbx.LegConfirmed, m.now
		m.do(answer{c.ID, l.ID})
	}
	s.Phase, s.AnsweredBy = pbx.CallActive, l.Party
	s.StageAt, s.StageLeft, s.SetupAt, s.Waiting = time.Time{}, 0, time.Time{}, false
	s.AudioAt = m.now
	m.route(c, l.ID)
	m.route(l, c.ID)
	m.hold()
	if c.Party.Extension != "" && l.Party.Number != s.To.Number {
		m.do(present{c.ID, l.Party})
	}
	if s.Answered.IsZero() {
		s.Answered, s.LongestAt = m.now, m.now.Add(s.Timing.Longest)
		m.record()
		m.emit(pbx.Event{Type: pbx.EventAnswered, Leg: l.ID})
	}
}

// hold plays the hold sound to whoever is held by the other side, and stops
// every other sound of the two who talk.
func (m *machine) hold() {
	a, b := m.s.Leg(m.s.Caller), m.s.Leg(m.s.Peer)
	if a == nil || b == nil || !a.Live() || !b.Live() {
		return
	}
	heard := func(l, other *Leg) string {
		if other.Held && !l.Held {
			return SoundHold
		}
		return ""
	}
	m.sound(a, heard(a, b))
	m.sound(b, heard(b, a))
}

// peerGone ends an answered call, unless the presser hung up the phone while
// the call moves from it: then the caller hears ringing again.
func (m *machine) peerGone(cause pbx.Cause) {
	s := m.s
	s.Peer = ""
	if s.Pull == nil {
		m.finish(cause)
		return
	}
	m.alert()
}

func (in legHeld) apply(m *machine) {
	l := m.s.Leg(in.Leg)
	if l == nil || !l.Live() || l.State != pbx.LegConfirmed {
		return
	}
	if l.Held != in.Held {
		l.Held, m.s.AudioAt = in.Held, m.now
	}
	m.hold()
}

// maxSilence is how long a side of a call may send nothing.
const maxSilence = 30 * time.Second

// Nobody hears a call end by silence while one side holds it: a phone on hold
// sends nothing. Nor before both had time to speak: a phone may send nothing
// until the call is answered, however long it rings.
func (in legSilent) apply(m *machine) {
	a, b := m.s.Leg(m.s.Caller), m.s.Leg(m.s.Peer)
	if !m.running() || a == nil || b == nil || a.Held || b.Held || (in.Leg != a.ID && in.Leg != b.ID) ||
		m.now.Sub(m.s.AudioAt) < maxSilence {
		return
	}
	m.finish(pbx.Cause{SIP: 408, Q850: 41, Text: "No audio came from " + side(m.s, in.Leg) + " for 30 s"})
}

func side(s *State, id pbx.LegID) string {
	if id == s.Caller {
		return "the caller"
	}
	return "the called side"
}

// A sound that came to its end begins again: all of ours are loops.
func (in legPlayed) apply(m *machine) {
	if l := m.s.Leg(in.Leg); l != nil && l.Live() && l.Sound != "" {
		m.do(play{l.ID, l.Sound})
	}
}

// Key presses belong to the mobile's confirmation, or to the other side of
// the call.
func (in legDigit) apply(m *machine) {
	s := m.s
	l := s.Leg(in.Leg)
	if l == nil || !l.Live() || !m.running() {
		return
	}
	if l.Pulled && s.Pull != nil && s.Pull.Confirming {
		if in.Digit == '1' {
			m.pulled(l)
		}
		return
	}
	if s.Peer == "" {
		return
	}
	switch l.ID {
	case s.Caller:
		m.do(sendDigit{s.Peer, in.Digit, in.InRTP})
	case s.Peer:
		m.do(sendDigit{s.Caller, in.Digit, in.InRTP})
	}
}
