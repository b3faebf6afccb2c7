package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	default:
		return fmt.Sprintf("%d KiB", n>>10)
	}
}

// memory is one line about the memory of nodes, the leader with a star.
func memory(nodes []nodeSample) string {
	var parts []string
	for _, n := range nodes {
		star := ""
		if n.Leader {
			star = "*"
		}
		parts = append(parts, fmt.Sprintf("%s%s %s (heap %s)", n.Node, star, size(n.RSS), size(n.Heap)))
	}
	return strings.Join(parts, ", ")
}

// String is the line of a step.
func (s step) String() string {
	n := s.Nodes[0]
	return fmt.Sprintf("%9d replicas, %.0f/s; memory: %s; disk of %s: state %s, log %s; probe: %s; snapshots: %d",
		s.Replicas, s.Rate, memory(s.Nodes), n.Node, size(n.State), size(n.Log), s.Probe, s.Snapshots)
}

// String are the lines of a milestone.
func (m milestone) String() string {
	n := m.Nodes[0]
	return fmt.Sprintf(`== %d replicas, compacted after %.1f s
   memory: %s
   disk of %s: state %s and memtables %s, log %s; %.1f bytes of state a replica
   lookup: %s, %.0f/s with %d clients; dataset of %d files: %s, %.0f/s
   snapshots: %d, the longest %.2f s; probe: %s, while reading %s`,
		m.Replicas, m.Settle, memory(m.Nodes), n.Node, size(n.State), size(n.Memtables), size(n.Log), m.StatePerReplica,
		m.Lookup, m.Lookup.Rate, m.Lookup.Clients, datasetFiles, m.List, m.List.Rate, m.Snapshots, m.Longest, m.Quiet, m.Reading)
}

// String is the line of the probe.
func (r probeReport) String() string {
	text := fmt.Sprintf("probe: %d writes, %s; %d took more than 100 ms, %d of them while a snapshot was taken; %d failed, %d missed",
		r.Count, r.latencies, r.Stalls, r.DuringSnapshots, r.Failed, r.Missed)
	if r.Example != "" {
		text += "; one failure: " + r.Example
	}
	return text
}

// String is one line about the nodes.
func (w watch) String() string {
	var commands, bytes, bodies int64
	for _, n := range w.Nodes {
		commands, bytes, bodies = commands+n.QueuedCommands, bytes+n.QueuedBytes, bodies+n.BodyBytes
	}
	return fmt.Sprintf("%4.0f s: accepted %.0f/s, 503 %.0f/s, other %.0f/s; memory: %s; queued %d commands, %s; bodies %s",
		w.Seconds, w.Accepted, w.Busy, w.Other, memory(w.Nodes), commands, size(bytes), size(bodies))
}

// String are the lines of a workload.
func (o overload) String() string {
	r := o.Overloaded
	text := fmt.Sprintf("== %s: offered %.0f/s, accepted %.0f/s (%.0f items/s), p50 %.0f p99 %.0f max %.0f ms; %d accepted, %d answered 503 with Retry-After, %d not sent, %d errors",
		r.Workload, o.Rate, r.RequestsPerSecond, r.ItemsPerSecond, r.P50, r.P99, r.Max, r.Requests, r.Rejected, r.Unsent, r.Failed())
	if r.Example != "" {
		text += "; one of the errors: " + r.Example
	}
	text += "\n   commands by outcome:"
	for _, outcome := range slices.Sorted(maps.Keys(o.Proposals)) {
		if n := o.Proposals[outcome]; n > 0 {
			text += fmt.Sprintf(" %s %d", outcome, n)
		}
	}
	for _, g := range o.Growth {
		text += fmt.Sprintf("\n   %s: accepted %d, 503 %d, other %d; most memory in the middle and the last third: %s, %s; heap %s, %s",
			g.Node, g.Posts.Accepted, g.Posts.Busy, g.Posts.Other, size(g.MiddleRSS), size(g.LastRSS), size(g.MiddleHeap), size(g.LastHeap))
	}
	return text
}
