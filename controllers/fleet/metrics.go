package fleet

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dipcast/dipcast/api/v1alpha1"
)

// PutClass remembers the figures of a class for the metrics.
func (f *Fleet) PutClass(class string, status v1alpha1.PBXClassStatus) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.classes[class] = status
}

// DeleteClass forgets a class.
func (f *Fleet) DeleteClass(class string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.classes, class)
}

// collector counts the fleet when it is asked, from memory: no call to the API
// server. Controller-runtime adds the metrics of reconciles and queues.
type collector struct {
	fleet *Fleet

	tenants, free, slots, updates *prometheus.Desc
}

// Collector returns the fleet's metrics.
func (f *Fleet) Collector() prometheus.Collector {
	return &collector{
		fleet:   f,
		tenants: prometheus.NewDesc("dipcast_operator_tenants", "Tenants by condition and its status.", []string{"condition", "status"}, nil),
		free:    prometheus.NewDesc("dipcast_operator_slots_free", "How many more tenants find host ports, by class.", []string{"class"}, nil),
		slots:   prometheus.NewDesc("dipcast_operator_slots", "Slots of host ports on one node, by class.", []string{"class"}, nil),
		updates: prometheus.NewDesc("dipcast_operator_updates", "Tenants with a change that takes a new process, by whether it has begun.", []string{"state"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.tenants
	out <- c.free
	out <- c.slots
	out <- c.updates
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	figures := c.fleet.Figures()
	for state, n := range figures.Conditions {
		gauge(c.tenants, n, state.Type, state.Status)
	}
	gauge(c.updates, figures.Waiting, "waiting")
	gauge(c.updates, figures.Started, "started")
	for class, status := range figures.Classes {
		gauge(c.free, int(status.Free), class)
		gauge(c.slots, int(status.Slots), class)
	}
}
