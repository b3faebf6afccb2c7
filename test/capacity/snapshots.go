package main

import (
	"bufio"
	"encoding/json"
	"os"
	"time"
)

// snapshot is one that a node has taken: from its log, since no metric tells.
type snapshot struct {
	Node    string    `json:"node"`
	Index   uint64    `json:"index"`
	Start   time.Time `json:"start"`
	Seconds float64   `json:"seconds"`
}

func (s snapshot) end() time.Time {
	return s.Start.Add(time.Duration(s.Seconds * float64(time.Second)))
}

// snapshots reads from a node's log which snapshots it has taken. Lines that are no JSON, a panic for one, are passed over.
func (p *process) snapshots() ([]snapshot, error) {
	f, err := os.Open(p.logFile())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []snapshot
	var started time.Time
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l struct {
			Time  time.Time
			Msg   string
			Index uint64
		}
		if json.Unmarshal(lines.Bytes(), &l) != nil {
			continue
		}
		switch l.Msg {
		case "starting snapshot up to":
			started = l.Time
		case "snapshot complete up to":
			all = append(all, snapshot{p.name, l.Index, started, l.Time.Sub(started).Seconds()})
		}
	}
	return all, lines.Err()
}

// allSnapshots are those of all nodes.
func (f *fleet) allSnapshots() (all []snapshot, err error) {
	for _, p := range f.nodes {
		list, err := p.snapshots()
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// longest returns the duration of the longest snapshot in seconds.
func longest(all []snapshot) (seconds float64) {
	for _, s := range all {
		seconds = max(seconds, s.Seconds)
	}
	return seconds
}
