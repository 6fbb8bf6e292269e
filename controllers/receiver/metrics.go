package receiver

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The outcomes of callbacks.
const (
	outcomeForwarded = "forwarded" // proven, and the PBX took it at once
	outcomeHeld      = "held"      // proven, and the PBX was away
	outcomeDelivered = "delivered" // held, and the PBX took it
	outcomeExpired   = "expired"   // held, and the PBX did not come back in time
	outcomeRefused   = "refused"   // nothing that a PBX takes
	outcomeUnproven  = "unproven"  // no bot's secret proves it: the PBX has answered
	outcomeAway      = "away"      // nothing proves it, and no PBX was to be asked
	outcomeUnknown   = "unknown"   // no company has the host
	outcomeOverflow  = "overflow"  // proven, and there was no room to hold it
)

// metrics are those of a Receiver.
type metrics struct {
	outcomes *prometheus.CounterVec
	delay    prometheus.Histogram
}

// newMetrics registers the metrics; held is asked how many presses are held.
func newMetrics(r prometheus.Registerer, held func() int) (*metrics, error) {
	m := &metrics{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dipcast_operator_callbacks_total", Help: "Callbacks of bots by what became of them.",
		}, []string{"outcome"}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "dipcast_operator_callback_delay_seconds", Help: "How long callbacks were held that their PBX took in the end.",
			Buckets: []float64{0.25, 0.5, 1, 2, 5, 10, 20, 30},
		}),
	}
	gauge := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dipcast_operator_callbacks_held", Help: "Callbacks that wait for their PBX.",
	}, func() float64 { return float64(held()) })
	return m, errors.Join(r.Register(m.outcomes), r.Register(m.delay), r.Register(gauge))
}

func (m *metrics) count(outcome string) { m.outcomes.WithLabelValues(outcome).Inc() }

func (m *metrics) delivered(after time.Duration) {
	m.count(outcomeDelivered)
	m.delay.Observe(after.Seconds())
}
