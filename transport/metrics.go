package transport

import "github.com/prometheus/client_golang/prometheus"

// metrics are the transport's own; labels are bounded by the table of methods.
type metrics struct {
	calls    *prometheus.CounterVec
	served   *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	inbound  prometheus.GaugeFunc
	outbound prometheus.GaugeFunc
}

func newMetrics(t *Transport) *metrics {
	const ns, sub = "dapple", "transport"
	gauge := func(name, help string, read func() int) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help}, func() float64 {
			t.mu.Lock()
			defer t.mu.Unlock()
			return float64(read())
		})
	}
	return &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "calls_total",
			Help: "Internal calls made to other nodes, by method and outcome: answered, not_sent, unknown.",
		}, []string{"method", "outcome"}),
		served: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: ns, Subsystem: sub, Name: "served_seconds",
			Help:    "Time taken to answer internal calls of other nodes, by method.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
		}, []string{"method"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: ns, Subsystem: sub, Name: "refused_connections_total",
			Help: "Connections refused, by reason.",
		}, []string{"reason"}),
		inbound: gauge("inbound_connections", "Open connections that other nodes made.", func() int { return t.inbound }),
		outbound: gauge("outbound_connections", "Open connections to other nodes.", func() int {
			return len(t.conns) - t.inbound
		}),
	}
}

// Collectors returns the metrics of the transport, to be registered once.
func (t *Transport) Collectors() []prometheus.Collector {
	m := t.metrics
	return []prometheus.Collector{m.calls, m.served, m.refused, m.inbound, m.outbound}
}
