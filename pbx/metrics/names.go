package metrics

import "github.com/prometheus/client_golang/prometheus"

// The buckets of the histograms, in the unit of their metric.

// setupBuckets are seconds from the INVITE to the first ringing.
func setupBuckets() []float64 { return []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2, 5, 10} }

// ownBuckets are seconds of work that is our own.
func ownBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .15, .2, .5, 1, 5, 30}
}

// talkBuckets are seconds of talk.
func talkBuckets() []float64 { return []float64{5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200} }

// lossBuckets are lost packets as a share of those expected.
func lossBuckets() []float64 { return []float64{0, .001, .005, .01, .02, .05, .1, .2, .5} }

// jitterBuckets are seconds.
func jitterBuckets() []float64 { return []float64{.001, .005, .01, .02, .04, .08, .16, .32} }

// tripBuckets are seconds of a round trip. Half of it, and the jitter buffer, is
// what G.114 wants below 150 ms.
func tripBuckets() []float64 { return []float64{.005, .01, .025, .05, .1, .15, .2, .3, .5, 1} }

// mosBuckets are mean opinion scores: G.107 Annex B puts the borders of what
// users call very satisfied, satisfied, some, many and nearly all dissatisfied
// at 4.34, 4.03, 3.60, 3.10 and 2.58.
func mosBuckets() []float64 { return []float64{2, 2.58, 3.1, 3.6, 3.8, 4.03, 4.2, 4.34, 4.4, 4.5} }

// The metrics. What is counted elsewhere and only read here is in gauges.go.
type table struct {
	calls       *prometheus.GaugeVec   // dipcast_calls{state}
	ended       *prometheus.CounterVec // dipcast_calls_ended_total{direction,disposition}
	setup       prometheus.Histogram   // dipcast_call_setup_seconds
	talk        prometheus.Histogram   // dipcast_call_talk_seconds
	pulls       *prometheus.CounterVec // dipcast_pulls_total{target,result}
	loss        *prometheus.HistogramVec
	jitter      *prometheus.HistogramVec
	trip        prometheus.Histogram
	mos         *prometheus.HistogramVec
	rtpPackets  *prometheus.CounterVec
	rtpRefused  *prometheus.CounterVec
	card        prometheus.Histogram
	press       prometheus.Histogram
	presses     *prometheus.CounterVec
	callbacks   *prometheus.CounterVec
	works       *prometheus.CounterVec
	worksTime   *prometheus.HistogramVec
	applied     *prometheus.GaugeVec
	applyErrors prometheus.Counter
	dropped     prometheus.Counter
}

func newTable() *table {
	return &table{
		calls:       gauge("calls", "Calls that are not over, by state (routing, ringing, active).", "state"),
		ended:       counter("calls_ended_total", "Calls that ended, by direction and disposition.", "direction", "disposition"),
		setup:       histogram("call_setup_seconds", "Time from the INVITE to the first ringing of any phone.", setupBuckets()),
		talk:        histogram("call_talk_seconds", "Time of talk of answered calls.", talkBuckets()),
		pulls:       counter("pulls_total", "Pulls of calls by target and result (pulled, or the reason of the failure).", "target", "result"),
		loss:        histograms("rtp_loss_ratio", "Share of lost RTP packets of each leg, by direction (in: towards the PBX).", lossBuckets(), "direction"),
		jitter:      histograms("rtp_jitter_seconds", "Interarrival jitter of each leg at its end, by direction.", jitterBuckets(), "direction"),
		trip:        histogram("rtp_round_trip_seconds", "Round trip between the PBX and the peer of each leg at its end, as RTCP measures it.", tripBuckets()),
		mos:         histograms("rtp_mos", "Estimated opinion (E-model, 1 to 4.5) of what is heard of each leg, by direction.", mosBuckets(), "direction"),
		rtpPackets:  counter("rtp_packets_total", "RTP packets of ended legs, by direction.", "direction"),
		rtpRefused:  counter("rtp_refused_total", "RTP packets of ended legs that were dropped, by reason (foreign, malformed).", "reason"),
		card:        histogram("bot_card_seconds", "Time from the call's arrival to the request that sends its card.", ownBuckets()),
		press:       histogram("bot_press_seconds", "Time from a callback's arrival to the engine's answer to the press.", ownBuckets()),
		presses:     counter("bot_presses_total", "Presses of buttons, by action and outcome (ok, or the reason of the refusal).", "action", "outcome"),
		callbacks:   counter("bot_callbacks_total", "Callbacks by outcome (accepted, duplicate, unsigned, signature, bot, body, overflow).", "outcome"),
		works:       counter("works_requests_total", "Requests to the NAVER WORKS API by operation and HTTP status (0: no answer).", "operation", "status"),
		worksTime:   histograms("works_request_seconds", "Duration of requests to the NAVER WORKS API by operation.", ownBuckets(), "operation"),
		applied:     gauge("config_info", "The generation of the configuration that runs; the value is always 1.", "generation"),
		dropped:     counterOne("works_messages_dropped_total", "Bot messages that were given up: stale, or the queue was full."),
		applyErrors: counterOne("config_refused_total", "Configurations that were refused; the last good one went on."),
	}
}

func (t *table) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		t.calls, t.ended, t.setup, t.talk, t.pulls, t.loss, t.jitter, t.trip, t.mos, t.rtpPackets, t.rtpRefused,
		t.card, t.press, t.works, t.worksTime, t.applied, t.applyErrors, t.dropped, t.presses, t.callbacks,
	}
}

const namespace = "dipcast"

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func counterOne(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
}
