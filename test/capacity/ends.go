package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"
)

// restart is how a node came back.
type restart struct {
	Node string `json:"node"`
	// How is SIGTERM or SIGKILL, Stop how long the process took to end, Ready how long from its start to ready.
	How   string  `json:"how"`
	Stop  float64 `json:"stop_seconds"`
	Ready float64 `json:"ready_seconds"`
	// StateBytes is the disk space of its state.
	StateBytes int64 `json:"state_disk_bytes"`
}

// join is how a node with an empty folder came in.
type join struct {
	Node string `json:"node"`
	// Ready is how long from its start until it was ready, Voter until it was a voter.
	Ready      float64 `json:"ready_seconds"`
	Voter      float64 `json:"voter_seconds"`
	StateBytes int64   `json:"state_disk_bytes"`
	// BytesPerSecond is the state's disk space by the time until it was ready; SnapshotsInstalled is 0 where it came from the log alone.
	BytesPerSecond     float64 `json:"bytes_per_second"`
	SnapshotsInstalled int64   `json:"snapshots_installed"`
}

// ends restarts a follower in two ways, lets a fourth node join, and tells what the probe has seen.
func (r *sizeRun) ends(ctx context.Context) error {
	for _, how := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := r.restart(ctx, how); err != nil {
			return err
		}
	}
	if err := r.join(ctx); err != nil {
		return err
	}
	snapshots, err := r.fleet.allSnapshots()
	if err != nil {
		return err
	}
	r.report.Snapshots = snapshots
	if r.probe != nil {
		r.probe.stop()
		report := r.probe.report(snapshots)
		r.report.Probe = &report
		fmt.Println(report)
	}
	fmt.Printf("snapshots: %d, the longest %.2f s\n", len(snapshots), longest(snapshots))
	fmt.Printf("load: %.0f replicas/s in %.0f s\nreport: %s\n", r.report.Rate, r.report.Seconds, r.cmd.JSON)
	return nil
}

// follower returns the last node that does not lead.
func (f *fleet) follower(ctx context.Context) (*process, error) {
	for _, p := range slices.Backward(f.nodes) {
		m, err := p.metrics(ctx)
		if err != nil {
			return nil, err
		}
		if m.value("dapple_raft_is_leader") == 0 {
			return p, nil
		}
	}
	return nil, fmt.Errorf("all nodes lead")
}

func (r *sizeRun) restart(ctx context.Context, how syscall.Signal) error {
	p, err := r.fleet.follower(ctx)
	if err != nil {
		return err
	}
	result := restart{Node: p.name, How: map[bool]string{true: "SIGKILL", false: "SIGTERM"}[how == syscall.SIGKILL]}
	start := time.Now()
	if err := p.end(how); err != nil {
		return err
	}
	result.Stop = time.Since(start).Seconds()
	if err := p.start(); err != nil {
		return err
	}
	took, err := p.awaitReady(ctx)
	if err != nil {
		return err
	}
	result.Ready = took.Seconds()
	s, err := p.sample(ctx)
	result.StateBytes = s.State
	r.report.Restarts = append(r.report.Restarts, result)
	fmt.Printf("restart of %s by %s: stopped in %.2f s, ready %.2f s after its start, state %s\n", p.name, result.How, result.Stop, result.Ready, size(s.State))
	return err
}

func (r *sizeRun) join(ctx context.Context) error {
	p, err := r.fleet.add()
	if err != nil {
		return err
	}
	p.join = r.fleet.nodes[0].join
	start := time.Now()
	if err := p.start(); err != nil {
		return err
	}
	took, err := p.awaitReady(ctx)
	if err != nil {
		return err
	}
	j := &join{Node: p.name, Ready: took.Seconds()}
	s, err := p.sample(ctx)
	if err != nil {
		return err
	}
	m, err := p.metrics(ctx)
	if err != nil {
		return err
	}
	j.StateBytes, j.SnapshotsInstalled = s.State, int64(m.value("dapple_fsm_snapshots_installed_total"))
	j.BytesPerSecond = float64(s.State) / j.Ready
	if err := r.fleet.awaitVoter(ctx, p); err != nil {
		return err
	}
	j.Voter = time.Since(start).Seconds()
	r.report.Join = j
	fmt.Printf("join of %s: ready after %.2f s, a voter after %.2f s, state %s, %s/s, snapshots installed: %d\n",
		p.name, j.Ready, j.Voter, size(j.StateBytes), size(int64(j.BytesPerSecond)), j.SnapshotsInstalled)
	return nil
}

// awaitVoter waits until a node has a vote.
func (f *fleet) awaitVoter(ctx context.Context, p *process) error {
	r, err := f.newReader(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		var status struct{ Members []struct{ Name, Role string } }
		err := r.get(ctx, f.nodes[0].url()+"/cluster/status", func(body io.Reader) error { return json.NewDecoder(body).Decode(&status) })
		if err != nil {
			return err
		}
		for _, m := range status.Members {
			if m.Name == p.name && m.Role == "voter" {
				return nil
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%s is no voter: %w", p.name, ctx.Err())
		}
	}
}

// report tells what the probe has seen. A stall is of a snapshot where both overlap.
func (p *probe) report(snapshots []snapshot) probeReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := probeReport{latencies: latenciesOf(p.all), Missed: p.missed.Load(), Failed: p.failed, Stalls: len(p.stalls)}
	if p.last != nil {
		r.Example = p.last.Error()
	}
	for _, s := range p.stalls {
		end := s.Start.Add(time.Duration(s.Ms * float64(time.Millisecond)))
		if slices.ContainsFunc(snapshots, func(n snapshot) bool { return s.Start.Before(n.end()) && end.After(n.Start) }) {
			r.DuringSnapshots++
		}
	}
	r.Longest = slices.Clone(p.stalls)
	slices.SortFunc(r.Longest, func(a, b stall) int { return int(b.Ms - a.Ms) })
	r.Longest = r.Longest[:min(len(r.Longest), 20)]
	return r
}

// writeReport writes a report as JSON.
func writeReport(name string, report any) error {
	b, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o644)
}

// ownCPU is the processor time of this process in seconds.
func ownCPU() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
