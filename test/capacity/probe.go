package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"dapple/client"
)

const (
	probeInterval = 10 * time.Millisecond
	// probesInFlight bounds the probes that wait for an answer; those that are due beyond it are told as missed.
	probesInFlight = 256
	stallTime      = 100 * time.Millisecond
	highest        = 10 * time.Minute
)

// latencies are those of one kind of request, in milliseconds.
type latencies struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, highest.Microseconds(), 3) }

func observe(h *hdrhistogram.Histogram, took time.Duration) {
	_ = h.RecordValue(min(max(took.Microseconds(), 1), highest.Microseconds())) // within its bounds
}

func latenciesOf(h *hdrhistogram.Histogram) latencies {
	ms := func(us int64) float64 { return float64(us) / 1000 }
	return latencies{Count: h.TotalCount(), P50: ms(h.ValueAtQuantile(50)), P99: ms(h.ValueAtQuantile(99)), Max: ms(h.Max())}
}

// String is for people.
func (l latencies) String() string {
	return fmt.Sprintf("p50 %.1f p99 %.1f max %.0f ms", l.P50, l.P99, l.Max)
}

// stall is a write that took longer than stallTime.
type stall struct {
	Start time.Time `json:"start"`
	Ms    float64   `json:"ms"`
}

// probe registers one file every 10 ms, at each node in turn, and remembers how long each took since it was due.
type probe struct {
	clients []*client.Client
	cancel  context.CancelFunc
	done    sync.WaitGroup
	waiting atomic.Int64
	missed  atomic.Int64

	mu     sync.Mutex
	recent *hdrhistogram.Histogram // since the last take
	all    *hdrhistogram.Histogram
	stalls []stall
	failed int64
	last   error
}

// startProbe begins to probe the nodes that there are now.
func startProbe(ctx context.Context, f *fleet) (*probe, error) {
	clients, err := f.connectAll(len(f.nodes))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &probe{clients: clients, cancel: cancel, recent: newHistogram(), all: newHistogram()}
	p.done.Go(func() { p.run(ctx) })
	return p, nil
}

func (p *probe) run(ctx context.Context) {
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; n++ {
		due := start.Add(time.Duration(n) * probeInterval)
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if p.waiting.Load() >= probesInFlight {
			p.missed.Add(1)
			continue
		}
		p.waiting.Add(1)
		p.done.Go(func() {
			defer p.waiting.Add(-1)
			p.write(ctx, n, due)
		})
	}
}

func (p *probe) write(ctx context.Context, n int, due time.Time) {
	name := fmt.Sprintf("data18_13TeV.probe.%020d.root.1", n)
	err := p.clients[n%len(p.clients)].AddReplicas(ctx, rseName(n%rseCount), []client.NewFile{{Scope: scope, Name: name, Bytes: 1, Adler32: "00000001"}})
	took := time.Since(due)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case err != nil:
		p.failed, p.last = p.failed+1, err
	default:
		observe(p.recent, took)
		observe(p.all, took)
		if took > stallTime {
			p.stalls = append(p.stalls, stall{due, float64(took.Microseconds()) / 1000})
		}
	}
}

// take returns the latencies since the last call, none without a probe.
func (p *probe) take() latencies {
	if p == nil {
		return latencies{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := latenciesOf(p.recent)
	p.recent.Reset()
	return l
}

// probeReport is what the probe saw from begin to end.
type probeReport struct {
	latencies
	// Missed were due while too many others waited, Failed were answered with an error, Example is one of those.
	Missed  int64  `json:"missed"`
	Failed  int64  `json:"failed"`
	Example string `json:"example,omitempty"`
	// Stalls are those that took more than 100 ms; DuringSnapshots of them overlap a snapshot of some node.
	Stalls          int `json:"stalls"`
	DuringSnapshots int `json:"stalls_during_snapshots"`
	// Longest are the longest of them.
	Longest []stall `json:"longest"`
}

// stop ends the probe.
func (p *probe) stop() {
	p.cancel()
	p.done.Wait()
}
