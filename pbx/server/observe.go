package server

import (
	"context"
	"sync/atomic"

	"github.com/dipcast/dipcast/pbx/media/record"
	"github.com/dipcast/dipcast/pbx/media/rtpio"
)

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
	s.metrics.Gauge("cdrs_waiting", "Call records that the database has not taken yet.", func() float64 {
		return float64(s.recorder.Stats().Waiting)
	})
	s.metrics.Gauge("database_up", "1 if the database answers; calls go on without it.", s.databaseUp)
	s.metrics.Counter("process_restarts_total", "How often the PBX's process has died and was started again by its parent.", nil,
		func() float64 { return float64(s.opts.Restarts) })
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
	s.metrics.Gauge("sip_connections", "Open SIP connections: TCP, TLS and WebSocket.", func() float64 {
		return float64(s.agent.Counters().Streams.Load())
	})
	s.metrics.Gauge("http_connections", "Open HTTP connections of console, REST and callbacks.", func() float64 {
		open, _ := s.http.Counts()
		return float64(open)
	})
	s.metrics.Counter("http_connections_turned_total", "HTTP connections closed at once, over the cap.", nil, func() float64 {
		_, turned := s.http.Counts()
		return float64(turned)
	})
	s.metrics.Gauge("sip_transactions", "Live SIP transactions of both kinds.", func() float64 {
		server, client := s.agent.Transactions()
		return float64(server + client)
	})
	s.observeJournal()
	s.observeEdge()
	s.observeDrops()
	s.observeLoad()
	s.observeRecordings()
}

// observeLoad shows what is measured, and who is refused for it.
func (s *Server) observeLoad() {
	s.metrics.Gauge("load_level", "Who may begin calls: 0 everybody, 1 not phones, 2 nor trunks, 3 emergency calls alone.", func() float64 {
		if state := s.load.state.Load(); state != nil {
			return float64(state.level)
		}
		return 0
	})
	s.metrics.Gauge("load_cpu_ratio", "Share of the processors that this process may use.", func() float64 { return s.load.last().CPU })
	s.metrics.Gauge("load_memory_ratio", "Share of the memory limit in use; 0 without a limit.", func() float64 { return s.load.last().Memory })
	s.metrics.Gauge("load_media_late_seconds", "The most by which the media ran late in the last second or two.", func() float64 { return s.load.last().Late.Seconds() })
	s.metrics.Gauge("load_wait_seconds", "How long 99 % of what was to run waited for a processor at most.", func() float64 { return s.load.last().Wait.Seconds() })
	shed := s.agent.Shed()
	for what, n := range map[string]*atomic.Uint64{
		"phone": &shed.Phones, "trunk": &shed.Trunks, "registration": &shed.Registrations, "user": &shed.Users,
	} {
		s.metrics.Counter("shed_total", "Requests answered with 503 for overload, by kind (user: one extension asked too often).",
			map[string]string{"kind": what}, func() float64 { return float64(n.Load()) })
	}
}

// observeRecordings shows what is recorded, and what is not as it should be.
func (s *Server) observeRecordings() {
	s.metrics.Gauge("recordings", "Calls that are being recorded.", func() float64 { return float64(s.tapes.Stats().Running) })
	s.metrics.Gauge("recordings_failing", "Calls whose recording cannot be written now: the disk is full or fails.",
		func() float64 { return float64(s.tapes.Stats().Failing) })
	s.metrics.Counter("recording_bytes_total", "Bytes of recordings that were written.", nil,
		func() float64 { return float64(s.tapes.Stats().Octets) })
	s.metrics.Counter("recording_missing_seconds_total", "Time of recordings that could not be written; it is silent there.", nil,
		func() float64 { return s.tapes.Stats().Missing.Seconds() })
	for reason, of := range map[string]func(record.Stats) uint64{
		"late":      func(r record.Stats) uint64 { return r.Late },
		"lost":      func(r record.Stats) uint64 { return r.Lost },
		"undecoded": func(r record.Stats) uint64 { return r.Undecoded },
	} {
		s.metrics.Counter("recording_packets_missing_total", "Packets that are silent in their recording, by reason (late, lost: no memory was left, undecoded).",
			map[string]string{"reason": reason}, func() float64 { return float64(of(s.tapes.Stats())) })
	}
}

// observeJournal shows what another process would find.
func (s *Server) observeJournal() {
	s.metrics.Gauge("journal_records", "Records of live calls, legs and presses that another process would take up.", func() float64 {
		return float64(s.journal.Stats().Records)
	})
	s.metrics.Gauge("journal_bytes", "Size of the journal of live calls.", func() float64 { return float64(s.journal.Stats().Size) })
	s.metrics.Gauge("journal_failing", "1 if the journal cannot be written: calls go on, and would not outlive the process.", func() float64 {
		if s.journal.Stats().Failing {
			return 1
		}
		return 0
	})
}

// observeDrops shows the packets of calls that were not passed on.
func (s *Server) observeDrops() {
	for reason, of := range map[string]func(rtpio.Drops) uint64{
		"early":     func(d rtpio.Drops) uint64 { return d.Early },
		"malformed": func(d rtpio.Drops) uint64 { return d.Malformed },
		"foreign":   func(d rtpio.Drops) uint64 { return d.Foreign },
		"learning":  func(d rtpio.Drops) uint64 { return d.Learning },
		"unknown":   func(d rtpio.Drops) uint64 { return d.Unknown },
		"forged":    func(d rtpio.Drops) uint64 { return d.Forged },
		"flood":     func(d rtpio.Drops) uint64 { return d.Flood },
		"repeated":  func(d rtpio.Drops) uint64 { return d.Repeated },
		"sealed":    func(d rtpio.Drops) uint64 { return d.Sealed },
		"switched":  func(d rtpio.Drops) uint64 { return d.Switched },
		"unsent":    func(d rtpio.Drops) uint64 { return d.Unsent },
	} {
		s.metrics.Counter("rtp_dropped_total", "RTP packets that were not passed on, by reason.",
			map[string]string{"reason": reason}, func() float64 { return float64(of(s.pool.Drops())) })
	}
}

// observeEdge shows what the SIP edge does with messages.
func (s *Server) observeEdge() {
	c, r := s.agent.Counters(), &s.agent.Registrar().Counters
	for name, of := range map[string]struct {
		help  string
		count *atomic.Uint64
	}{
		"sip_messages_total":                 {"SIP messages and datagrams that came in.", &c.Received},
		"sip_garbage_total":                  {"Datagrams that are not SIP, dropped.", &c.Garbage},
		"sip_malformed_total":                {"Requests answered with 400.", &c.Malformed},
		"sip_refused_total":                  {"Requests refused by the edge with another status.", &c.Refused},
		"sip_limited_total":                  {"Messages dropped since their source sent too many.", &c.Limited},
		"sip_banned_total":                   {"Messages dropped since their source is banned.", &c.Banned},
		"sip_bans_total":                     {"Bans that began.", &c.Bans},
		"sip_auth_failures_total":            {"Requests with a wrong digest.", &c.Failures},
		"sip_overloaded_total":               {"Requests answered with 503 for lack of room.", &c.Overloaded},
		"sip_strays_total":                   {"Responses that belong to nothing, dropped.", &c.Strays},
		"sip_connections_turned_total":       {"Connections closed for want of room, handshakes over their measure among them.", &c.Turned},
		"sip_handshakes_failed_total":        {"TLS and WebSocket handshakes that failed or took too long.", &c.Handshakes},
		"registrations_accepted_total":       {"REGISTERs that were accepted.", &r.Accepted},
		"registrations_refused_total":        {"REGISTERs that were refused after their digest was right.", &r.Refused},
		"registrations_expired_total":        {"Bindings that ran out.", &r.Expired},
		"registrations_unstored_total":       {"Writes of bindings that the database refused.", &r.StoreFailures},
		"registrations_over_operating_total": {"New bindings above the product's operating number.", &r.OverOperating},
	} {
		s.metrics.Counter(name, of.help, nil, func() float64 { return float64(of.count.Load()) })
	}
}
