package server

import "context"

// observe shows in the metrics what other parts count.
func (s *Server) observe() {
	s.metrics.Gauge("registrations", "Registered phones; every contact of an extension counts.", func() float64 {
		list, err := s.registrations(context.Background())
		if err != nil {
			return 0
		}
		return float64(len(list))
	})
	s.metrics.Gauge("registrations_operating", "Registrations above which the product's operating number is exceeded.", func() float64 {
		return float64(s.document().Limits.RegistrationsOperating)
	})
	s.metrics.Gauge("calls_limit", "Concurrent calls that the product allows.", func() float64 {
		return float64(s.document().Limits.ConcurrentCalls)
	})
	s.metrics.Gauge("rtp_ports_in_use", "Media ports of live legs.", func() float64 { return float64(s.pool.InUse()) })
	s.metrics.Gauge("cdrs_waiting", "Call records in memory that the database has not taken yet.", func() float64 {
		return float64(s.recorder.Stats().Waiting)
	})
	s.metrics.Gauge("trunks_up", "Trunks that can take a call now.", func() float64 {
		up := 0
		for _, t := range s.agent.Trunks().Status() {
			if t.Up {
				up++
			}
		}
		return float64(up)
	})
	s.metrics.Gauge("works_messages_waiting", "Bot messages that wait to be sent.", func() float64 {
		return float64(s.works.waiting())
	})
}
