package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"dapple/bench"
	"dapple/internal/httpload"
)

const (
	clusterSize      = 3
	deletedPerSecond = 30000 // at most: when no file is left the measurement ends early
)

// dapple is what this project makes.
func dapple(binary string) system {
	return system{
		name: "dapple",
		runs: []string{"register", "register-bulk", "lookup", "list", "state", "delete", "exists", "mixed", "register-half"},
		start: func(ctx context.Context, folder string) (*nodes, error) {
			n := &nodes{folder: folder}
			clients, peers, err := n.clusterAddresses()
			if err != nil {
				return n, err
			}
			for i := range clusterSize {
				name := fmt.Sprintf("n%d", i+1)
				n.urls = append(n.urls, "http://"+clients[i])
				if err := n.launch(name, []string{"DAPPLE_ROOT_USER=bench", "DAPPLE_ROOT_PASSWORD=bench"}, binary, "serve",
					"--node-id", name, "--data-dir", filepath.Join(folder, name), "--http-addr", clients[i], "--http-advertise", n.urls[i],
					"--cluster-addr", peers[i], "--cluster-advertise", peers[i], "--join", strings.Join(peers, ","), "--log-level", "warn",
				); err != nil {
					return n, err
				}
			}
			return n, n.ready(ctx, "/readyz")
		},
		measure: func(ctx context.Context, n *nodes, w workload, d time.Duration) (httpload.Result, error) {
			cfg := bench.Config{Clients: w.clients, Duration: d, Warmup: warmup}
			if w.name == "delete" {
				cfg.Files = int((d + warmup).Seconds() * deletedPerSecond)
			}
			return runBench(ctx, n, w, cfg)
		},
	}
}

// runBench runs one of dapple bench's workloads.
func runBench(ctx context.Context, n *nodes, w workload, cfg bench.Config) (httpload.Result, error) {
	cfg.Targets, cfg.User, cfg.Password = w.targets(n.urls), "bench", "bench"
	cfg.Workload = strings.TrimSuffix(w.name, "-half")
	report, err := bench.Run(ctx, cfg)
	if err == nil && w.half {
		cfg.Rate = cmp.Or(report.RequestsPerSecond/2, 1)
		report, err = bench.Run(ctx, cfg)
	}
	return report.Result, err
}
