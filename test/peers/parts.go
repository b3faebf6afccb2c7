package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dapple/internal/httpload"
)

// parts is the floor of what a system like this can be: see partsNode.
func parts() (system, error) {
	self, err := os.Executable()
	return system{
		name: "parts", runs: []string{"register", "register-bulk", "lookup", "register-half"},
		start: func(ctx context.Context, folder string) (*nodes, error) { return startParts(ctx, self, folder) }, measure: measureParts,
	}, err
}

func startParts(ctx context.Context, self, folder string) (*nodes, error) {
	n := &nodes{folder: folder}
	clients, peers, err := n.clusterAddresses()
	if err != nil {
		return n, err
	}
	for i := range clusterSize {
		name := fmt.Sprintf("n%d", i+1)
		state := filepath.Join(folder, name)
		if err := os.Mkdir(state, 0o755); err != nil {
			return n, err
		}
		own := []string{clients[i], peers[i]}
		if i == 0 {
			own = append(own, peers[1:]...) // it begins, and so leads
		}
		n.urls = append(n.urls, "http://"+clients[i])
		if err := n.launch(name, nil, self, "--parts", state, "--addresses", strings.Join(own, ",")); err != nil {
			return n, err
		}
	}
	return n, n.ready(ctx, "/ready")
}

// measureParts asks the leader alone: the parts forward nothing.
func measureParts(ctx context.Context, n *nodes, w workload, d time.Duration) (httpload.Result, error) {
	leader := n.urls[:1]
	switch w.name {
	case "register", "register-half":
		return w.run(ctx, leader, d, nil, partsWriting(1))
	case "register-bulk":
		return w.run(ctx, leader, d, nil, partsWriting(bulkItems))
	}
	for first := 0; first < known; first += bulkItems {
		if err := n.await(ctx, func() error { return seedParts(ctx, leader[0], first) }); err != nil {
			return httpload.Result{}, err
		}
	}
	return w.run(ctx, leader, d, containing(`"md5"`), func(client int) httpload.Generator {
		numbers := random(client)
		return func(r *httpload.Request) bool {
			r.Set(http.MethodGet, 1, 0, "/files/bench/"+string(appendName(nil, seeded, numbers.IntN(known))))
			return true
		}
	})
}

func seedParts(ctx context.Context, url string, first int) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/files", strings.NewReader(string(appendFiles(nil, seeded, first, bulkItems))))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s: %s", url, answer.Status)
	}
	_ = answer.Body.Close()
	return err
}

func partsWriting(count int) func(client int) httpload.Generator {
	return func(client int) httpload.Generator {
		i := 0
		return func(r *httpload.Request) bool {
			r.Set(http.MethodPost, count, 0, "/files")
			r.Body = appendFiles(r.Body, client+1, i, count)
			i += count
			return true
		}
	}
}

// appendFiles appends a body of files with what dapple bench says of one.
func appendFiles(b []byte, series, first, count int) []byte {
	b = append(b, `{"rse":"BENCH_0001","files":[`...)
	for i := range count {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendName(append(b, `{"scope":"bench","name":"`...), series, first+i), `","bytes":1048576,"adler32":"0cc737eb","md5":"d41d8cd98f00b204e9800998ecf8427e"}`...)
	}
	return append(b, "]}"...)
}
