package trunk

import "time"

// state is an owner's published, immutable view of its trunk.
type state struct {
	hosts []Host
	reg   registration
	wants bool // the trunk registers
	// unseen is until when addresses of a host that was never resolved may
	// still come; zero if there is none.
	unseen time.Time
}

// registeredAt returns the index of the host that holds the binding, -1 if
// there is none.
func (s *state) registeredAt(now time.Time) int {
	if s.wants && s.reg.registered(now) {
		return s.reg.host
	}
	return -1
}

// best returns the health of the healthiest host.
func (s *state) best() Health {
	best := Down
	for _, h := range s.hosts {
		best = min(best, h.Health)
	}
	return best
}

func (s *state) up(now time.Time) bool {
	switch best := s.best(); {
	case len(s.hosts) == 0 || best == Down:
		return false
	case !s.wants || s.reg.registered(now):
		return true
	default:
		return best == Alive && !s.reg.refused
	}
}

func (s *state) status(name string, now time.Time) Status {
	st := Status{Name: name, Up: s.up(now), Registered: s.registeredAt(now) >= 0, Text: s.text(now)}
	if len(s.hosts) > 0 {
		first := order(s.hosts, s.registeredAt(now), func() float64 { return 0 })[0]
		st.Host = s.hosts[first].Host
	}
	return st
}

// text is one sentence about the trunk, the most telling fact first.
func (s *state) text(now time.Time) string {
	switch best := s.best(); {
	case len(s.hosts) == 0:
		return "the trunk has no host"
	case best == Down:
		return s.silence()
	case s.wants && s.reg.text != "":
		return s.reg.text
	case s.wants && s.reg.registered(now):
		return "registered at " + s.hosts[s.reg.host].Host
	case s.wants:
		return "registering"
	case best == Unknown:
		return "no host has answered OPTIONS yet"
	default:
		return "a host answers OPTIONS"
	}
}

// silence is why no host answers, as far as one of them lets it be known.
func (s *state) silence() string {
	for _, h := range s.hosts {
		if h.Fault != "" {
			return "no host answers over TLS: " + h.Host + ": " + h.Fault
		}
	}
	return "no host answers"
}
