package httpapi

import (
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

const (
	namespace = "dapple"
	subsystem = "http"
)

// metrics are the server's own. Labels have few values: route is the template, never the path.
type metrics struct {
	requests      *prometheus.CounterVec
	errors        *prometheus.CounterVec
	latency       *prometheus.HistogramVec
	inFlight      prometheus.Gauge
	brokenStreams *prometheus.CounterVec
	logins        *prometheus.CounterVec
	repeated      prometheus.Counter
	reads         *prometheus.CounterVec
	refusals      *prometheus.CounterVec

	mu    sync.RWMutex
	known map[servedSeries]servedMetrics // so that each request need not look its series up by their labels
}

// servedSeries names the series of requests that were answered in the same way.
type servedSeries struct {
	method, route string
	status        int
}

type servedMetrics struct {
	requests prometheus.Counter
	latency  prometheus.Observer
}

func newMetrics(s *Server) (*metrics, error) {
	m := &metrics{
		known: map[servedSeries]servedMetrics{},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "requests_total",
			Help: "Requests answered, by method, route template and status.",
		}, []string{"method", "route", "code"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "errors_total",
			Help: "Requests answered with an error, by method, route template and exception class.",
		}, []string{"method", "route", "class"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "request_duration_seconds",
			Help:    "Time from a request's header to the end of its answer, by method, route template and status class.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method", "route", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "requests_in_flight",
			Help: "Requests being handled.",
		}),
		brokenStreams: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "broken_streams_total",
			Help: "Streamed answers that ended early, by whose fault it was: client or server.",
		}, []string{"cause"}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "logins_total",
			Help: "Attempts to log in, by method (userpass or x509) and outcome: ok, undecided (the accounts to choose from were sent), refused, overloaded or failed.",
		}, []string{"method", "outcome"}),
	}
	m.repeated = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "repeated_writes_total",
		Help: "Writes with an Idempotency-Key that were answered as the first one with that key, without another effect.",
	})
	m.reads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "reads_total",
		Help: "Reads by level (local, session, bounded, linearizable) and outcome: served, or refused where the state was not fresh enough in time.",
	}, []string{"level", "outcome"})
	m.refusals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "limit_refusals_total",
		Help: "Requests and connections refused by a limit that protects other clients, by limit.",
	}, []string{"limit"})
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info",
		Help:        "Always 1; the labels tell the version of the program.",
		ConstLabels: prometheus.Labels{"version": s.version, "go_version": runtime.Version()},
	}, func() float64 { return 1 })
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "body_bytes_in_flight",
		Help: "Memory held by request bodies.",
	}, func() float64 { return float64(s.bodies.used.Load()) })
	for _, c := range []prometheus.Collector{
		m.requests, m.errors, m.latency, m.inFlight, m.brokenStreams, m.logins, m.repeated, m.reads, m.refusals, build, held, &sizes{s.reader}, s.feeds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := s.registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// served counts a request at its end.
func (m *metrics) served(c *gin.Context, elapsed time.Duration) {
	as := m.series(servedSeries{methodLabel(c.Request.Method), routeOf(c), c.Writer.Status()})
	as.requests.Inc()
	as.latency.Observe(elapsed.Seconds())
}

func (m *metrics) series(s servedSeries) servedMetrics {
	m.mu.RLock()
	as, known := m.known[s]
	m.mu.RUnlock()
	if known {
		return as
	}
	as = servedMetrics{
		m.requests.WithLabelValues(s.method, s.route, strconv.Itoa(s.status)),
		m.latency.WithLabelValues(s.method, s.route, strconv.Itoa(s.status/100)+"xx"),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[s] = as
	return as
}

// failed counts an answer that is an error.
func (m *metrics) failed(c *gin.Context, row errorRow) {
	m.errors.WithLabelValues(methodLabel(c.Request.Method), routeOf(c), row.class).Inc()
}

// methodLabel keeps invented methods from making new series.
func methodLabel(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS":
		return method
	default:
		return "other"
	}
}
