package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dapple/client"
)

const (
	// steps is how many lines a load prints.
	steps = 20
	// settleTime bounds the wait for the end of compactions, settled is how long there must have been none.
	settleTime, settled = 5 * time.Minute, 3 * time.Second
)

// sizeCmd loads a catalogue and measures on the way.
type sizeCmd struct {
	common
	Files   int           `default:"10000000" help:"Files to load, at two RSEs each, in datasets of 1000."`
	Clients int           `default:"6" help:"Clients that load."`
	Probe   bool          `default:"true" negatable:"" help:"Register a file every 10 ms all along and tell how long that takes."`
	Read    time.Duration `default:"5s" help:"How long to measure lookups, and lists, each time."`
}

// sizeReport is what is written as JSON.
type sizeReport struct {
	Files      int          `json:"files"`
	Clients    int          `json:"clients"`
	Serve      []string     `json:"serve_arguments"`
	Seconds    float64      `json:"load_seconds"`
	Rate       float64      `json:"replicas_per_second"`
	Steps      []step       `json:"steps"`
	Milestones []milestone  `json:"milestones"`
	Snapshots  []snapshot   `json:"snapshots"`
	Probe      *probeReport `json:"probe,omitempty"`
	Restarts   []restart    `json:"restarts"`
	Join       *join        `json:"join,omitempty"`
}

// step is one line of a load.
type step struct {
	Replicas  int          `json:"replicas"`
	Rate      float64      `json:"replicas_per_second"`
	Nodes     []nodeSample `json:"nodes"`
	Probe     latencies    `json:"probe"`
	Snapshots int          `json:"snapshots"`
	// GeneratorCPU is the time of the load's own process in seconds, since its beginning.
	GeneratorCPU float64 `json:"generator_cpu_seconds"`
}

// milestone is measured while nothing is loaded; the probe goes on.
type milestone struct {
	Replicas int `json:"replicas"`
	// Settle is how long compactions went on, Nodes what there was after them.
	Settle float64      `json:"settle_seconds"`
	Nodes  []nodeSample `json:"nodes"`
	// StatePerReplica is the disk space of the state of the first node by the number of replicas.
	StatePerReplica float64    `json:"state_bytes_per_replica"`
	Lookup          readReport `json:"lookup"`
	List            readReport `json:"list"`
	// Snapshots have been taken by all nodes so far, Longest of them in seconds.
	Snapshots int     `json:"snapshots"`
	Longest   float64 `json:"longest_snapshot_seconds"`
	// Quiet is what the probe saw while compactions ended, Reading while reads were measured.
	Quiet   latencies `json:"probe_quiet"`
	Reading latencies `json:"probe_while_reading"`
}

// sizeRun is a run of sizeCmd.
type sizeRun struct {
	cmd    *sizeCmd
	fleet  *fleet
	report sizeReport
	load   []*client.Client
	probe  *probe
}

// Run loads, measures, restarts and joins, and writes the report, also of a run that fails midway.
func (c *sizeCmd) Run(ctx context.Context) (err error) {
	datasets := c.Files / datasetFiles
	if datasets < steps || datasets > runs {
		return fmt.Errorf("--files must be %d to %d, not %d", steps*datasetFiles, runs*datasetFiles, c.Files)
	}
	f, err := startFleet(ctx, c.common, 3)
	if err != nil {
		return err
	}
	r := &sizeRun{cmd: c, fleet: f, report: sizeReport{Files: datasets * datasetFiles, Clients: c.Clients, Serve: c.Serve}}
	defer func() { err = errors.Join(err, writeReport(c.JSON, r.report), f.stop()) }()
	if r.load, err = f.connectAll(c.Clients); err != nil {
		return err
	}
	if err := addPlaces(ctx, r.load[0]); err != nil {
		return err
	}
	if c.Probe {
		if r.probe, err = startProbe(ctx, f); err != nil {
			return err
		}
		defer r.probe.stop()
	}
	if err := r.loadAll(ctx, datasets); err != nil {
		return err
	}
	return r.ends(ctx)
}

// loadAll loads step by step, with the milestones where they are due.
func (r *sizeRun) loadAll(ctx context.Context, datasets int) error {
	replicas := func(datasets int) int { return 2 * datasets * datasetFiles }
	done := 0
	for n := 1; n <= steps; n++ {
		to := datasets * n / steps
		took, err := loadDatasets(ctx, r.load, done, to)
		if err != nil {
			return err
		}
		rate := float64(replicas(to-done)) / took.Seconds()
		r.report.Seconds += took.Seconds()
		r.report.Rate = float64(replicas(to)) / r.report.Seconds
		done = to
		if err := r.step(ctx, replicas(done), rate); err != nil {
			return err
		}
		if n == steps/20 || n == steps/4 || n == steps/2 || n == steps { // 1, 5, 10 and 20 million of 20
			if err := r.milestone(ctx, done, replicas(done)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *sizeRun) step(ctx context.Context, replicas int, rate float64) error {
	nodes, err := r.fleet.sampleAll(ctx)
	if err != nil {
		return err
	}
	snapshots, err := r.fleet.allSnapshots()
	if err != nil {
		return err
	}
	s := step{Replicas: replicas, Rate: rate, Nodes: nodes, Probe: r.probe.take(), Snapshots: len(snapshots), GeneratorCPU: ownCPU()}
	r.report.Steps = append(r.report.Steps, s)
	fmt.Println(s)
	return nil
}

// milestone waits for the end of compactions, and measures.
func (r *sizeRun) milestone(ctx context.Context, datasets, replicas int) error {
	m := milestone{Replicas: replicas}
	took, err := r.fleet.settle(ctx)
	if err != nil {
		return err
	}
	m.Settle, m.Quiet = took.Seconds(), r.probe.take()
	if m.Nodes, err = r.fleet.sampleAll(ctx); err != nil {
		return err
	}
	m.StatePerReplica = float64(m.Nodes[0].State) / float64(replicas)
	if m.Lookup, m.List, err = r.fleet.measureReads(ctx, datasets, r.cmd.Read); err != nil {
		return err
	}
	snapshots, err := r.fleet.allSnapshots()
	if err != nil {
		return err
	}
	m.Snapshots, m.Longest, m.Reading = len(snapshots), longest(snapshots), r.probe.take()
	r.report.Milestones = append(r.report.Milestones, m)
	fmt.Println(m)
	return nil
}

// settle waits until no node has compacted for a while, and returns how long they did.
func (f *fleet) settle(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	last := start
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for time.Since(start) < settleTime && time.Since(last) < settled {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-ticker.C:
		}
		for _, p := range f.nodes {
			m, err := p.metrics(ctx)
			if err != nil {
				return 0, err
			}
			if m.value("dapple_pebble_compactions_running") > 0 {
				last = time.Now()
			}
		}
	}
	return last.Sub(start), nil
}
