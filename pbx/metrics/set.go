package metrics

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/dipcast/dipcast/pbx"
)

// Set is the metrics of one tenant.
type Set struct {
	*table
	registry prometheus.Registerer
	gatherer prometheus.Gatherer

	mu         sync.Mutex
	states     map[pbx.CallID]pbx.CallState // calls that are not over
	rang       map[pbx.CallID]bool          // calls whose setup time is known
	generation string
}

// New returns an empty set; every series carries the tenant's namespace and
// name as constant labels.
func New(tenantNamespace, tenantName string) *Set {
	r := prometheus.NewRegistry()
	s := &Set{
		table:    newTable(),
		registry: prometheus.WrapRegistererWith(prometheus.Labels{"tenant_namespace": tenantNamespace, "tenant": tenantName}, r),
		gatherer: r,
		states:   make(map[pbx.CallID]pbx.CallState),
		rang:     make(map[pbx.CallID]bool),
	}
	s.registry.MustRegister(append(s.collectors(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))...)
	for _, state := range []pbx.CallState{pbx.CallRouting, pbx.CallRinging, pbx.CallActive} {
		s.calls.WithLabelValues(string(state)).Set(0)
	}
	return s
}

// Handler serves the metrics in the formats of Prometheus.
func (s *Set) Handler() http.Handler {
	return promhttp.HandlerFor(s.gatherer, promhttp.HandlerOpts{})
}

// Gauge adds a gauge that is read when metrics are asked for. name is without
// the prefix "dipcast_". It panics on a name that is already taken: names are
// constants of this program.
func (s *Set) Gauge(name, help string, read func() float64) {
	s.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, read))
}

// Counter is Gauge for a number that only grows.
func (s *Set) Counter(name, help string, labels map[string]string, read func() float64) {
	s.registry.MustRegister(prometheus.NewCounterFunc(
		prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels}, read))
}

// Handle implements pbx.EventSink.
func (s *Set) Handle(e pbx.Event) {
	s.count(e)
	switch e.Type {
	case pbx.EventPulled:
		s.pulls.WithLabelValues(string(e.PullTo), "pulled").Inc()
	case pbx.EventPullFailed:
		result := string(pbx.CodeFailed)
		if e.Err != nil {
			result = string(e.Err.Code)
		}
		s.pulls.WithLabelValues(string(e.PullTo), result).Inc()
	case pbx.EventLegEnded:
		if l, ok := e.Call.Leg(e.Leg); ok {
			s.quality(l.Quality)
		}
	case pbx.EventEnded:
		s.end(e.Call)
	}
}

// count keeps the gauge of calls by state, and the setup time once a call.
func (s *Set) count(e pbx.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, now := e.Call.ID, e.Call.State
	if e.Type == pbx.EventRinging && !s.rang[id] {
		s.rang[id] = true
		s.setup.Observe(e.Time.Sub(e.Call.Started).Seconds())
	}
	before, known := s.states[id]
	if known && before != now {
		s.calls.WithLabelValues(string(before)).Dec()
	}
	if e.Type == pbx.EventEnded || now == pbx.CallOver {
		if known && before == now {
			s.calls.WithLabelValues(string(before)).Dec()
		}
		delete(s.states, id)
		if e.Type == pbx.EventEnded {
			delete(s.rang, id)
		}
		return
	}
	if !known || before != now {
		s.calls.WithLabelValues(string(now)).Inc()
		s.states[id] = now
	}
}

func (s *Set) quality(q pbx.Quality) {
	s.rtpPackets.WithLabelValues("in").Add(float64(q.PacketsIn))
	s.rtpPackets.WithLabelValues("out").Add(float64(q.PacketsOut))
	s.rtpRefused.WithLabelValues("foreign").Add(float64(q.Foreign))
	s.rtpRefused.WithLabelValues("malformed").Add(float64(q.Malformed))
	if q.PacketsIn > 0 {
		s.loss.WithLabelValues("in").Observe(share(q.LostIn, q.PacketsIn+q.LostIn))
		s.jitter.WithLabelValues("in").Observe(q.JitterIn.Seconds())
	}
	if q.PacketsOut > 0 {
		s.loss.WithLabelValues("out").Observe(share(q.LostOut, q.PacketsOut))
		s.jitter.WithLabelValues("out").Observe(q.JitterOut.Seconds())
	}
	if q.RoundTrip > 0 {
		s.trip.Observe(q.RoundTrip.Seconds())
	}
	if q.MOSIn > 0 {
		s.mos.WithLabelValues("in").Observe(q.MOSIn)
	}
	if q.MOSOut > 0 {
		s.mos.WithLabelValues("out").Observe(q.MOSOut)
	}
}

func share(part, whole uint64) float64 { return float64(part) / float64(whole) }

func (s *Set) end(c pbx.Call) {
	if !c.Answered.IsZero() {
		s.talk.Observe(c.Ended.Sub(c.Answered).Seconds())
	}
	s.ended.WithLabelValues(string(c.Direction), string(c.Disposition())).Inc()
}

// Card observes how long after the call's arrival its card was sent.
func (s *Set) Card(d time.Duration) { s.card.Observe(d.Seconds()) }

// Press observes how long after a callback's arrival the press was answered.
func (s *Set) Press(d time.Duration) { s.press.Observe(d.Seconds()) }

// Works observes one request to the NAVER WORKS API; status 0 means that no
// answer came.
func (s *Set) Works(operation string, status int, d time.Duration) {
	s.works.WithLabelValues(operation, strconv.Itoa(status)).Inc()
	s.worksTime.WithLabelValues(operation).Observe(d.Seconds())
}

// Applied tells which configuration runs now.
func (s *Set) Applied(generation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied.DeleteLabelValues(s.generation)
	s.generation = generation
	s.applied.WithLabelValues(generation).Set(1)
}

// Refused counts a configuration that was refused.
func (s *Set) Refused() { s.applyErrors.Inc() }

// Dropped counts a bot message that was given up.
func (s *Set) Dropped() { s.dropped.Inc() }

// Pressed counts a press that was answered.
func (s *Set) Pressed(action, outcome string) { s.presses.WithLabelValues(action, outcome).Inc() }

// Callback counts a callback by what became of it.
func (s *Set) Callback(outcome string) { s.callbacks.WithLabelValues(outcome).Inc() }
