package main

import (
	"context"
	"net"
	"path/filepath"
	"time"

	"dapple/bench"
	"dapple/internal/httpload"
)

// rucio is Rucio's server on PostgreSQL, from the tree of its source that RUCIO_SOURCE names. It has one server and one database. It
// deletes replicas for nobody with the generic permissions.
func rucio(scripts string) (system, error) {
	_, err := variable("RUCIO_SOURCE", "tree of Rucio's source")
	return system{
		name: "rucio", runs: []string{"register", "register-bulk", "lookup", "list", "state"}, slow: true,
		start: func(ctx context.Context, folder string) (*nodes, error) {
			n := &nodes{folder: folder}
			addresses, err := n.addresses(1)
			if err != nil {
				return n, err
			}
			_, port, err := net.SplitHostPort(addresses[0])
			if err != nil {
				return n, err
			}
			n.urls = []string{"http://" + addresses[0]}
			if err := n.launch("rucio", nil, filepath.Join(scripts, "rucio-server"), port); err != nil {
				return n, err
			}
			return n, n.ready(ctx, "/ping")
		},
		measure: func(ctx context.Context, n *nodes, w workload, d time.Duration) (httpload.Result, error) {
			// No warm-up: an answer may take longer than that and the measurement together, and would then be in neither.
			cfg := bench.Config{Clients: min(w.clients, 32), Duration: d}
			if w.name != "register" && w.name != "register-bulk" {
				cfg.Files = rucioFiles
			}
			return runBench(ctx, n, w, cfg)
		},
	}, err
}
