package fsm

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"dapple/command"
)

// What became of a command.
const (
	outcomeDone     = "done"
	outcomeRefused  = "refused"
	outcomeRepeated = "repeated" // answered from the session
	outcomeVoid     = "void"     // session unknown or number already answered: not executed
)

// metrics counts what the machine does.
type metrics struct {
	applySeconds prometheus.Histogram
	batchEntries prometheus.Histogram
	entryBytes   prometheus.Histogram
	commitKeys   prometheus.Histogram
	commands     *prometheus.CounterVec
	commandTime  *prometheus.HistogramVec
	installed    prometheus.Counter
	flushSeconds prometheus.Histogram
	sentBytes    prometheus.Counter
	views        openViews
	// byCommand and timeOf keep what has been looked up; apply alone uses them.
	byCommand map[commandOutcome]prometheus.Counter
	timeOf    map[command.Type]prometheus.Observer
}

type commandOutcome struct {
	number  command.Type
	outcome string
}

// openViews counts the views that have not been closed.
type openViews struct{ n atomic.Int64 }

func (o *openViews) add(n int64) { o.n.Add(n) }

func newMetrics() *metrics {
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "dapple", Subsystem: "fsm", Name: name, Help: help, Buckets: buckets,
		})
	}
	return &metrics{
		applySeconds: histogram("apply_seconds", "Time to apply and commit one batch of log entries.",
			prometheus.ExponentialBuckets(0.00005, 2, 16)),
		batchEntries: histogram("batch_entries", "Log entries in one batch.", prometheus.ExponentialBuckets(1, 2, 8)),
		entryBytes: histogram("entry_bytes", "Size of a log entry as it is stored.",
			prometheus.ExponentialBuckets(64, 4, 9)),
		commitKeys: histogram("commit_keys", "Keys written in one commit.", prometheus.ExponentialBuckets(4, 4, 9)),
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "dapple", Subsystem: "fsm", Name: "commands_total", Help: "Commands applied, by what became of them.",
		}, []string{"command", "outcome"}),
		commandTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "dapple", Subsystem: "fsm", Name: "command_seconds", Help: "Time to apply one command, without its commit.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 10, 5),
		}, []string{"command"}),
		installed: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "dapple", Subsystem: "fsm", Name: "snapshots_installed_total",
			Help: "Snapshots of other nodes that became this node's state.",
		}),
		flushSeconds: histogram("snapshot_seconds", "Time of one snapshot of this node's state, which is a flush.",
			prometheus.ExponentialBuckets(0.005, 2, 13)),
		sentBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "dapple", Subsystem: "fsm", Name: "snapshot_sent_bytes_total",
			Help: "Bytes of snapshots sent to other nodes.",
		}),
		byCommand: map[commandOutcome]prometheus.Counter{},
		timeOf:    map[command.Type]prometheus.Observer{},
	}
}

// command counts a command that is in the registry, so the label is bounded.
func (s *metrics) command(number command.Type, outcome string) {
	key := commandOutcome{number, outcome}
	counter := s.byCommand[key]
	if counter == nil {
		counter = s.commands.WithLabelValues(number.String(), outcome)
		s.byCommand[key] = counter
	}
	counter.Inc()
}

// applied notes how long a command in the registry took.
func (s *metrics) applied(number command.Type, took time.Duration) {
	observer := s.timeOf[number]
	if observer == nil {
		observer = s.commandTime.WithLabelValues(number.String())
		s.timeOf[number] = observer
	}
	observer.Observe(took.Seconds())
}

func (s *metrics) batch(entries []*raft.Log, took time.Duration) {
	s.applySeconds.Observe(took.Seconds())
	s.batchEntries.Observe(float64(len(entries)))
	for _, e := range entries {
		s.entryBytes.Observe(float64(len(e.Data)))
	}
}

// flushing times a snapshot of this node's state; what it returns is called at the end.
func (s *metrics) flushing() (done func()) {
	started := time.Now()
	return func() { s.flushSeconds.Observe(time.Since(started).Seconds()) }
}

func (s *metrics) committed(keys int) { s.commitKeys.Observe(float64(keys)) }

func (s *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{s.applySeconds, s.batchEntries, s.entryBytes, s.commitKeys, s.commands, s.commandTime, s.installed, s.flushSeconds, s.sentBytes}
}

// collector reads the machine and its store whenever it is asked.
type collector struct{ m *Machine }

// reading is a number that is read at collection.
type reading struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*pebble.Metrics) float64
}

func pebbleReading(kind prometheus.ValueType, name, help string, value func(*pebble.Metrics) float64) reading {
	return reading{prometheus.NewDesc("dapple_pebble_"+name, help, nil, nil), kind, value}
}

var (
	appliedDesc = prometheus.NewDesc("dapple_fsm_applied_index", "Log index of the last entry in the state.", nil, nil)
	failedDesc  = prometheus.NewDesc("dapple_fsm_failed", "1 where the state machine has stopped after a failure.", nil, nil)
	viewsDesc   = prometheus.NewDesc("dapple_fsm_views", "Read views that are open.", nil, nil)

	levelFilesDesc = prometheus.NewDesc("dapple_pebble_level_files", "Tables in a level.", []string{"level"}, nil)
	levelBytesDesc = prometheus.NewDesc("dapple_pebble_level_bytes", "Size of a level's tables.", []string{"level"}, nil)
)

// pebbleReadings is never written after it is declared.
var pebbleReadings = [...]reading{
	pebbleReading(prometheus.GaugeValue, "disk_bytes", "Disk space used by the store.",
		func(p *pebble.Metrics) float64 { return float64(p.DiskSpaceUsage()) }),
	pebbleReading(prometheus.GaugeValue, "memtable_bytes", "Memory of the memtables.",
		func(p *pebble.Metrics) float64 { return float64(p.MemTable.Size) }),
	pebbleReading(prometheus.GaugeValue, "memtables", "Memtables, the one that is written to included.",
		func(p *pebble.Metrics) float64 { return float64(p.MemTable.Count) }),
	pebbleReading(prometheus.GaugeValue, "read_amplification", "Tables that a read may have to look into.",
		func(p *pebble.Metrics) float64 { return float64(p.ReadAmp()) }),
	pebbleReading(prometheus.GaugeValue, "compaction_debt_bytes", "Estimate of the bytes that wait to be compacted.",
		func(p *pebble.Metrics) float64 { return float64(p.Compact.EstimatedDebt) }),
	pebbleReading(prometheus.GaugeValue, "compactions_running", "Compactions in progress.",
		func(p *pebble.Metrics) float64 { return float64(p.Compact.NumInProgress) }),
	pebbleReading(prometheus.GaugeValue, "snapshots", "Open snapshots of the store, those of read views included.",
		func(p *pebble.Metrics) float64 { return float64(p.Snapshots.Count) }),
	pebbleReading(prometheus.GaugeValue, "block_cache_bytes", "Size of the block cache.",
		func(p *pebble.Metrics) float64 { return float64(p.BlockCache.Size) }),
	pebbleReading(prometheus.CounterValue, "block_cache_hits_total", "Blocks found in the block cache.",
		func(p *pebble.Metrics) float64 { return float64(p.BlockCache.Hits) }),
	pebbleReading(prometheus.CounterValue, "block_cache_misses_total", "Blocks read from disk.",
		func(p *pebble.Metrics) float64 { return float64(p.BlockCache.Misses) }),
	pebbleReading(prometheus.CounterValue, "bloom_filter_hits_total", "Reads of a table that its filter spared.",
		func(p *pebble.Metrics) float64 { return float64(p.Filter.Hits) }),
	pebbleReading(prometheus.CounterValue, "flushes_total", "Flushes of memtables.",
		func(p *pebble.Metrics) float64 { return float64(p.Flush.Count) }),
	pebbleReading(prometheus.CounterValue, "flushed_bytes_total", "Bytes written by flushes.",
		func(p *pebble.Metrics) float64 { return float64(p.Levels[0].TableBytesFlushed) }),
	pebbleReading(prometheus.CounterValue, "compactions_total", "Compactions.",
		func(p *pebble.Metrics) float64 { return float64(p.Compact.Count) }),
	pebbleReading(prometheus.CounterValue, "compacted_bytes_total", "Bytes written by compactions.",
		func(p *pebble.Metrics) float64 { t := p.Total(); return float64(t.TableBytesCompacted) }),
	pebbleReading(prometheus.CounterValue, "compaction_seconds_total", "Time spent in compactions.",
		func(p *pebble.Metrics) float64 { return p.Compact.Duration.Seconds() }),
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, part := range c.m.stats.collectors() {
		part.Describe(to)
	}
	for _, d := range []*prometheus.Desc{appliedDesc, failedDesc, viewsDesc, levelFilesDesc, levelBytesDesc} {
		to <- d
	}
	for i := range pebbleReadings {
		to <- pebbleReadings[i].desc
	}
}

// Collect implements prometheus.Collector. On a closed machine only its own numbers are left.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	for _, part := range c.m.stats.collectors() {
		part.Collect(to)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	failed := 0.0
	if c.m.Err() != nil {
		failed = 1
	}
	gauge(appliedDesc, float64(c.m.AppliedIndex()))
	gauge(failedDesc, failed)
	gauge(viewsDesc, float64(c.m.stats.views.n.Load()))
	live, err := c.m.stores.acquire()
	if err != nil {
		return
	}
	defer live.release()
	p := live.db.Metrics()
	for i := range pebbleReadings {
		r := &pebbleReadings[i]
		to <- prometheus.MustNewConstMetric(r.desc, r.kind, r.value(p))
	}
	for level := range p.Levels {
		gauge(levelFilesDesc, float64(p.Levels[level].TablesCount), strconv.Itoa(level))
		gauge(levelBytesDesc, float64(p.Levels[level].TablesSize), strconv.Itoa(level))
	}
}
