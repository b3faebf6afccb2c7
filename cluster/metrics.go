package cluster

import (
	"github.com/prometheus/client_golang/prometheus"

	"dapple/command"
)

// metrics are the package's own; Raft's are not exported.
type metrics struct {
	logStore     prometheus.Histogram
	entryBytes   prometheus.Histogram
	entryGroup   prometheus.Histogram
	proposals    *prometheus.CounterVec
	forwardedOut prometheus.Counter
	forwardedIn  prometheus.Counter
	checkedOut   prometheus.Counter
	noSpace      prometheus.Counter
	restarts     prometheus.Counter
	rounds       *prometheus.CounterVec
	roundCallers *prometheus.HistogramVec
	gauges       []prometheus.Collector
}

const namespace = "dapple"

func newMetrics(n *Node) *metrics {
	histogram := func(subsystem, name, help string, start, factor float64, count int) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: name, Help: help,
			Buckets: prometheus.ExponentialBuckets(start, factor, count),
		})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: "cluster", Name: name, Help: help})
	}
	return &metrics{
		logStore:   histogram("raft", "log_store_seconds", "Time of one durable append to Raft's log.", 0.00025, 2, 15),
		entryBytes: histogram("raft", "entry_bytes", "Stored size of the log entries that this node appended as leader.", 128, 4, 8),
		entryGroup: histogram("raft", "entry_commands", "Commands in one log entry that this node appended as leader.", 1, 2, 10),
		proposals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "cluster", Name: "proposals_total",
			Help: "Commands proposed at this node, by outcome: ok, refused, queue_full, no_leader, too_large, unknown, deadline, failed, not_ready, other.",
		}, []string{"outcome"}),
		forwardedOut: counter("forwarded_commands_total", "Commands sent to the leader, repeats included."),
		forwardedIn:  counter("received_commands_total", "Commands received from other nodes as leader, repeats included."),
		checkedOut:   counter("unfit_commands_total", "Commands that this node refused as leader, since applying them would stop members."),
		noSpace:      counter("disk_refused_commands_total", "Commands that this node refused as leader, since disks are nearly full."),
		restarts:     counter("replication_restarts_total", "Replications that this node, as leader, restarted because they stood still."),
		rounds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "cluster", Name: "read_rounds_total",
			Help: "Rounds that found a read index, by kind (confirm: the leader asks the voters; ask: a follower asks the leader) and outcome: ok or failed.",
		}, []string{"kind", "outcome"}),
		roundCallers: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "cluster", Name: "read_round_requests",
			Help: "Requests that shared one round, by kind; the leader itself asks for a round with each poll of the members.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}, []string{"kind"}),
		gauges: newGauges(n),
	}
}

func newGauges(n *Node) []prometheus.Collector {
	gauge := func(subsystem, name, help string, read func(c *consensus) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, func() float64 {
			return read(n.consensus.Load())
		})
	}
	member := func(read func(c *consensus) float64) func(*consensus) float64 {
		return func(c *consensus) float64 {
			if c == nil {
				return 0
			}
			return read(c)
		}
	}
	return append(alarmGauges(n),
		gauge("raft", "term", "Raft's current term.", member(func(c *consensus) float64 { return float64(c.raft.CurrentTerm()) })),
		gauge("raft", "is_leader", "1 where this node leads, else 0.", func(*consensus) float64 {
			if n.IsLeader() {
				return 1
			}
			return 0
		}),
		gauge("raft", "commit_index", "Log index up to which entries are committed, as known here.", member(func(c *consensus) float64 { return float64(c.raft.CommitIndex()) })),
		gauge("raft", "first_index", "Log index of the first entry that is kept; those before it are in the state alone.", member(func(*consensus) float64 { return n.store.first() })),
		gauge("raft", "applied_index", "Log index up to which the state machine has applied.", func(*consensus) float64 { return float64(n.cfg.Machine.AppliedIndex()) }),
		gauge("raft", "last_contact_seconds", "Age of the leader's last word, 0 on the leader, -1 before the first.", member(func(*consensus) float64 { return n.contactSeconds() })),
		gauge("cluster", "reachable_voters", "Voters that this node can reach, itself among them, while it leads or has no leader; -1 on a follower with a leader.", member(func(*consensus) float64 { return n.reachableVoters() })),
		gauge("cluster", "digest_agreed_index", "Log index of the last digest of the state on which this leader found a majority to agree; 0 for none.", func(*consensus) float64 {
			return float64(n.digests.agreedIndex())
		}),
		gauge("cluster", "disk_free_bytes", "Free bytes of the file system of the data folder.", func(*consensus) float64 { return float64(n.space.own().Free) }),
		gauge("cluster", "disk_min_free_bytes", "Free bytes below which the disk counts as nearly full; 0 if that is not watched.", func(*consensus) float64 {
			return float64(n.space.own().Wanted)
		}),
		gauge("cluster", "queued_commands", "Commands taken in and not answered yet.", func(*consensus) float64 {
			return float64(n.queue.all.load().commands)
		}),
		gauge("cluster", "queued_bytes", "Bytes of the commands taken in and not answered yet.", func(*consensus) float64 {
			return float64(n.queue.all.load().bytes)
		}),
	)
}

// alarmGauges are the alarms by their reason.
func alarmGauges(n *Node) (all []prometheus.Collector) {
	for _, reason := range alarmReasons {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: "cluster", Name: "alarms", ConstLabels: prometheus.Labels{"reason": reason},
			Help: "Members that an alarm is raised for, by reason; status names them. Anything but 0 needs an operator.",
		}, func() float64 { return float64(n.alarms.count(reason)) }))
	}
	return all
}

func (m *metrics) entry(e entry) {
	m.entryBytes.Observe(float64(len(e.data)))
	m.entryGroup.Observe(float64(e.count))
}

// round returns what counts the rounds of a kind.
func (m *metrics) round(kind string) func(*round) {
	ok, failed := m.rounds.WithLabelValues(kind, "ok"), m.rounds.WithLabelValues(kind, "failed")
	callers := m.roundCallers.WithLabelValues(kind)
	return func(r *round) {
		callers.Observe(float64(r.callers))
		if r.err != nil {
			failed.Inc()
			return
		}
		ok.Inc()
	}
}

func (m *metrics) proposed(r command.Result, err *Error) {
	m.proposals.WithLabelValues(outcomeLabel(r, err)).Inc()
}

func outcomeLabel(r command.Result, err *Error) string {
	switch {
	case err == nil && r.Code == command.CodeOK:
		return "ok"
	case err == nil:
		return "refused"
	}
	switch err.Code {
	case command.CodeQueueFull:
		return "queue_full"
	case command.CodeNoLeader:
		return "no_leader"
	case command.CodeTooLarge:
		return "too_large"
	case command.CodeUnknownOutcome:
		return "unknown"
	case command.CodeDeadline:
		return "deadline"
	case command.CodeFailed:
		return "failed"
	case command.CodeNotReady:
		return "not_ready"
	}
	return "other"
}

// Collectors returns the metrics of consensus, membership and transport, to be registered once.
func (n *Node) Collectors() []prometheus.Collector {
	m := n.metrics
	own := []prometheus.Collector{m.logStore, m.entryBytes, m.entryGroup, m.proposals, m.forwardedOut, m.forwardedIn, m.checkedOut, m.noSpace, m.restarts, m.rounds, m.roundCallers}
	return append(append(own, m.gauges...), n.transport.Collectors()...)
}
