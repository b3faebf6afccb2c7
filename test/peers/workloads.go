package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dapple/internal/httpload"
)

const (
	warmup     = 2 * time.Second
	known      = 10000 // rows that reads find
	bulkItems  = 1000
	etcdBulk   = 128 // etcd's default limit of a transaction
	rucioFiles = 10000
)

// workload is one row of the table. Its name is that of dapple bench's workload, where half does not say otherwise.
type workload struct {
	name    string
	title   string
	clients int
	oneNode bool // all clients ask one node of three
	half    bool // at half of the rate that a closed loop came to just before
	metric  metric
}

// metric is what a row shows of a result.
type metric struct {
	unit string
	less bool // is better
	of   func(httpload.Result) float64
}

func requestsPerSecond() metric {
	return metric{unit: "requests/s", of: func(r httpload.Result) float64 { return r.RequestsPerSecond }}
}

func itemsPerSecond() metric {
	return metric{unit: "items/s", of: func(r httpload.Result) float64 { return r.ItemsPerSecond }}
}

func median() metric {
	return metric{unit: "ms p50", less: true, of: func(r httpload.Result) float64 { return r.P50 }}
}

func tail() metric {
	return metric{unit: "ms p99", less: true, of: func(r httpload.Result) float64 { return r.P99 }}
}

// allWorkloads returns the rows of the table in their order.
func allWorkloads() []workload {
	return []workload{
		{name: "register", title: "single write", clients: 64, metric: requestsPerSecond()},
		{name: "register-bulk", title: "bulk write", clients: 8, metric: itemsPerSecond()},
		{name: "lookup", title: "single read, one node of three", clients: 64, oneNode: true, metric: requestsPerSecond()},
		{name: "list", title: "10,000 rows in one answer", clients: 1, oneNode: true, metric: median()},
		{name: "state", title: "changes of state", clients: 8, metric: itemsPerSecond()},
		{name: "delete", title: "deletion", clients: 8, metric: itemsPerSecond()},
		{name: "exists", title: "existence of 1,000 files", clients: 8, metric: itemsPerSecond()},
		{name: "mixed", title: "80 % lookup, 15 % list of 100, 5 % register", clients: 64, metric: requestsPerSecond()},
		{name: "register-half", title: "single write at half of its rate", clients: 64, half: true, metric: tail()},
	}
}

// chosenWorkloads returns those that are named, all where none is.
func chosenWorkloads(names []string) ([]workload, error) {
	all := allWorkloads()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []workload
	for _, name := range names {
		i := slices.IndexFunc(all, func(w workload) bool { return w.name == name })
		if i < 0 {
			var there []string
			for _, w := range all {
				there = append(there, w.name)
			}
			return nil, fmt.Errorf("no workload %q: there are %s", name, strings.Join(there, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
