package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// nodeSample is what a node holds at a moment. Bytes, but for the counts.
type nodeSample struct {
	Node   string `json:"node"`
	Leader bool   `json:"leader"`
	// RSS is resident memory, RSSPeak the most there ever was, Heap what Go's heap has in use.
	RSS     int64 `json:"rss_bytes"`
	RSSPeak int64 `json:"rss_peak_bytes"`
	Heap    int64 `json:"heap_inuse_bytes"`
	// State and Log are the disk space of the state's folder and of all beside it, that is the log.
	State int64 `json:"state_disk_bytes"`
	Log   int64 `json:"log_disk_bytes"`
	// CPU is in seconds since the process began.
	CPU            float64 `json:"cpu_seconds"`
	Goroutines     int64   `json:"goroutines"`
	QueuedCommands int64   `json:"queued_commands"`
	QueuedBytes    int64   `json:"queued_bytes"`
	BodyBytes      int64   `json:"body_bytes_in_flight"`
	Memtables      int64   `json:"memtable_bytes"`
	BlockCache     int64   `json:"block_cache_bytes"`
	Compactions    int64   `json:"compactions_running"`
	Debt           int64   `json:"compaction_debt_bytes"`
	ReadAmp        int64   `json:"read_amplification"`
	// Posts are the answers to POST /replicas since the process began.
	Posts posts `json:"posts"`
}

// posts are answers to POST /replicas.
type posts struct {
	Accepted int64 `json:"accepted"`
	Busy     int64 `json:"answered_503"`
	Other    int64 `json:"other"`
}

func (f families) posts() posts {
	of := func(code string) int64 {
		return int64(f.sum("dapple_http_requests_total", map[string]string{"method": "POST", "route": "/replicas", "code": code}))
	}
	p := posts{Accepted: of("201"), Busy: of("503")}
	p.Other = of("") - p.Accepted - p.Busy
	return p
}

// sample looks at a node that runs.
func (p *process) sample(ctx context.Context) (nodeSample, error) {
	m, err := p.metrics(ctx)
	if err != nil {
		return nodeSample{}, fmt.Errorf("%s: %w", p.name, err)
	}
	whole := func(name string) int64 { return int64(m.value(name)) }
	s := nodeSample{
		Node: p.name, Leader: whole("dapple_raft_is_leader") == 1, Heap: whole("go_memstats_heap_inuse_bytes"), CPU: m.value("process_cpu_seconds_total"),
		Goroutines: whole("go_goroutines"), QueuedCommands: whole("dapple_cluster_queued_commands"), QueuedBytes: whole("dapple_cluster_queued_bytes"),
		BodyBytes: whole("dapple_http_body_bytes_in_flight"), Memtables: whole("dapple_pebble_memtable_bytes"), BlockCache: whole("dapple_pebble_block_cache_bytes"),
		Compactions: whole("dapple_pebble_compactions_running"), Debt: whole("dapple_pebble_compaction_debt_bytes"), ReadAmp: whole("dapple_pebble_read_amplification"),
		Posts: m.posts(),
	}
	if s.RSS, s.RSSPeak, err = residentMemory(p.cmd.Process.Pid); err != nil {
		return s, fmt.Errorf("%s: %w", p.name, err)
	}
	all, err := diskUsage(p.dir)
	if err != nil {
		return s, err
	}
	s.State, err = diskUsage(filepath.Join(p.dir, "state"))
	s.Log = all - s.State
	return s, err
}

// sampleAll looks at all nodes.
func (f *fleet) sampleAll(ctx context.Context) (samples []nodeSample, err error) {
	for _, p := range f.nodes {
		s, err := p.sample(ctx)
		if err != nil {
			return samples, err
		}
		samples = append(samples, s)
	}
	return samples, nil
}

// residentMemory returns what a process has resident and the most that it ever had.
func residentMemory(pid int) (now, peak int64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kilobytes int64
		if _, err := fmt.Sscanf(lines.Text(), "VmRSS: %d kB", &kilobytes); err == nil {
			now = kilobytes << 10
		}
		if _, err := fmt.Sscanf(lines.Text(), "VmHWM: %d kB", &kilobytes); err == nil {
			peak = kilobytes << 10
		}
	}
	if now == 0 {
		return 0, 0, fmt.Errorf("process %d has no resident memory", pid)
	}
	return now, peak, nil
}

// diskUsage returns the disk space of all files below a folder; those that go away meanwhile do not count.
func diskUsage(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = entry.Info(); err == nil {
				if stat, ok := info.Sys().(*syscall.Stat_t); ok {
					total += stat.Blocks * 512
				}
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return total, err
}

// families are the metrics of a node by name.
type families map[string]*dto.MetricFamily

func (p *process) metrics(ctx context.Context) (families, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url()+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := p.fleet.web.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET /metrics: %s", answer.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(answer.Body)
}

// value returns a gauge or counter without labels, 0 where it is missing.
func (f families) value(name string) float64 { return f.sum(name, nil) }

// sum returns the sum of a gauge's or counter's series that have the labels; a label that is to be "" may have any value.
func (f families) sum(name string, labels map[string]string) (total float64) {
	for _, m := range f[name].GetMetric() {
		if hasLabels(m, labels) {
			total += m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
		}
	}
	return total
}

// hasLabels reports whether a series has labels with the values given, any for "".
func hasLabels(m *dto.Metric, labels map[string]string) bool {
	found := 0
	for _, l := range m.GetLabel() {
		if want, asked := labels[l.GetName()]; asked && (want == "" || l.GetValue() == want) {
			found++
		}
	}
	return found == len(labels)
}
