package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dapple/bench"
)

// overloadCmd offers more than a cluster can take.
type overloadCmd struct {
	common
	Workloads []string      `default:"register,register-bulk" help:"Workloads of dapple bench, one after another."`
	Duration  time.Duration `default:"10m" help:"How long to offer too much, by workload."`
	Closed    time.Duration `default:"20s" help:"How long to find the rate that can be sustained."`
	Warmup    time.Duration `default:"2s" help:"How long to warm up before each measurement."`
	Clients   int           `default:"2000" help:"Connections of the overload."`
	Factor    float64       `default:"2" help:"What is offered, in sustainable rates."`
	Every     time.Duration `default:"10s" help:"How often to look at the nodes."`
}

// closedClients find the sustainable rate: enough to keep the cluster busy.
func closedClients(workload string) int {
	if workload == "register" {
		return 256
	}
	return 16
}

// lateness is how late a request may begin: what no client was free for by then is not sent, else latencies would be those of a queue
// within the generator.
const lateness = 10 * time.Millisecond

// overloadReport is what is written as JSON.
type overloadReport struct {
	Serve []string   `json:"serve_arguments"`
	Runs  []overload `json:"runs"`
}

// overload is one workload's.
type overload struct {
	Sustainable bench.Report `json:"sustainable"`
	Overloaded  bench.Report `json:"overloaded"`
	// Rate is what was offered, in requests a second.
	Rate    float64 `json:"offered_per_second"`
	Watched []watch `json:"watched"`
	// Proposals are the commands that nodes took in under the overload, by what became of them.
	Proposals map[string]int64 `json:"proposals"`
	// Growth compares the memory of the last third of the run with that of the middle one, node by node.
	Growth []growth `json:"growth"`
}

// watch is a look at the nodes; requests are those since the last one, by all nodes together.
type watch struct {
	Seconds  float64      `json:"seconds"`
	Nodes    []nodeSample `json:"nodes"`
	Accepted float64      `json:"accepted_per_second"`
	Busy     float64      `json:"answered_503_per_second"`
	Other    float64      `json:"other_per_second"`
}

// growth is the most memory of a node in two parts of a run, and what it answered in all of it.
type growth struct {
	Node       string `json:"node"`
	Posts      posts  `json:"posts"`
	MiddleRSS  int64  `json:"middle_third_rss_bytes"`
	LastRSS    int64  `json:"last_third_rss_bytes"`
	MiddleHeap int64  `json:"middle_third_heap_bytes"`
	LastHeap   int64  `json:"last_third_heap_bytes"`
}

// Run measures workload after workload, and writes the report, also of a run that fails midway.
func (c *overloadCmd) Run(ctx context.Context) (err error) {
	f, err := startFleet(ctx, c.common, 3)
	if err != nil {
		return err
	}
	report := overloadReport{Serve: c.Serve}
	defer func() { err = errors.Join(err, writeReport(c.JSON, report), f.stop()) }()
	for _, workload := range c.Workloads {
		o, err := c.workload(ctx, f, workload)
		report.Runs = append(report.Runs, o)
		if err != nil {
			return err
		}
	}
	fmt.Println("report:", c.JSON)
	return nil
}

func (c *overloadCmd) workload(ctx context.Context, f *fleet, workload string) (o overload, err error) {
	cfg := bench.Config{Targets: f.urls(), User: user, Password: password, Workload: workload, Warmup: c.Warmup}
	closed := cfg
	closed.Clients, closed.Duration = closedClients(workload), c.Closed
	if o.Sustainable, err = bench.Run(ctx, closed); err != nil {
		return o, err
	}
	o.Rate = c.Factor * o.Sustainable.RequestsPerSecond
	fmt.Printf("%s: %.0f requests/s (%.0f items/s) with %d clients, p50 %.1f p99 %.1f ms; now %.0f/s with %d clients for %s\n", workload,
		o.Sustainable.RequestsPerSecond, o.Sustainable.ItemsPerSecond, closed.Clients, o.Sustainable.P50, o.Sustainable.P99, o.Rate, c.Clients, c.Duration)
	if o.Rate == 0 {
		return o, fmt.Errorf("%s: no request was accepted: %s", workload, o.Sustainable.Example)
	}
	cfg.Clients, cfg.Duration, cfg.Rate, cfg.Lateness = c.Clients, c.Duration, o.Rate, lateness
	before, err := f.proposals(ctx)
	if err != nil {
		return o, err
	}
	watchCtx, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan error, 1)
	go func() { watched <- c.watch(watchCtx, f, &o) }()
	o.Overloaded, err = bench.Run(ctx, cfg)
	stop()
	if err = errors.Join(err, <-watched); err != nil {
		return o, err
	}
	if o.Proposals, err = f.proposals(ctx); err != nil {
		return o, err
	}
	for outcome, n := range before {
		o.Proposals[outcome] -= n
	}
	o.Growth = growthOf(o.Watched)
	fmt.Println(o)
	return o, nil
}

// watch looks at the nodes until ctx ends.
func (c *overloadCmd) watch(ctx context.Context, f *fleet, o *overload) error {
	start := time.Now()
	ticker := time.NewTicker(c.Every)
	defer ticker.Stop()
	for {
		// A look that has begun is not cut off by the end of the run.
		whole := context.WithoutCancel(ctx)
		nodes, err := f.sampleAll(whole)
		if err != nil {
			return err
		}
		w := watch{Seconds: time.Since(start).Seconds(), Nodes: nodes}
		if n := len(o.Watched); n > 0 {
			w.since(o.Watched[n-1])
		}
		o.Watched = append(o.Watched, w)
		fmt.Println(w)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// since sets the rates of what was answered since an earlier look.
func (w *watch) since(before watch) {
	elapsed := w.Seconds - before.Seconds
	for i, n := range w.Nodes {
		now, then := n.Posts, before.Nodes[i].Posts
		w.Accepted += float64(now.Accepted-then.Accepted) / elapsed
		w.Busy += float64(now.Busy-then.Busy) / elapsed
		w.Other += float64(now.Other-then.Other) / elapsed
	}
}

// proposals counts the commands that all nodes have taken in, by outcome.
func (f *fleet) proposals(ctx context.Context) (map[string]int64, error) {
	all := map[string]int64{}
	for _, p := range f.nodes {
		m, err := p.metrics(ctx)
		if err != nil {
			return nil, err
		}
		for _, series := range m["dapple_cluster_proposals_total"].GetMetric() {
			all[series.GetLabel()[0].GetValue()] += int64(series.GetCounter().GetValue())
		}
	}
	return all, nil
}

// growthOf compares the last third of what was watched with the middle one.
func growthOf(watched []watch) (all []growth) {
	if len(watched) < 3 {
		return nil
	}
	most := func(part []watch, node int, value func(nodeSample) int64) int64 {
		return value(slices.MaxFunc(part, func(a, b watch) int { return cmp.Compare(value(a.Nodes[node]), value(b.Nodes[node])) }).Nodes[node])
	}
	rss, heap := func(n nodeSample) int64 { return n.RSS }, func(n nodeSample) int64 { return n.Heap }
	third := len(watched) / 3
	middle, last := watched[third:len(watched)-third], watched[len(watched)-third:]
	for i, n := range watched[0].Nodes {
		now, then := watched[len(watched)-1].Nodes[i].Posts, n.Posts
		answered := posts{now.Accepted - then.Accepted, now.Busy - then.Busy, now.Other - then.Other}
		all = append(all, growth{n.Node, answered, most(middle, i, rss), most(last, i, rss), most(middle, i, heap), most(last, i, heap)})
	}
	return all
}
