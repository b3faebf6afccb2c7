package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"dapple/internal/httpload"
)

const (
	rqliteExecute = "/db/execute"
	rqliteQuery   = "/db/query?level=none"
	rqliteSchema  = `["CREATE TABLE replicas (scope TEXT, name TEXT, rse TEXT, bytes INTEGER, adler32 TEXT, md5 TEXT, state TEXT, PRIMARY KEY (scope, name, rse))"]`
)

// rqlite's server is not built here: RQLITED names its binary.
func rqlite() (system, error) {
	binary, err := variable("RQLITED", "binary of rqlite's server")
	return system{
		name: "rqlite", runs: []string{"register", "register-bulk", "lookup", "list", "register-half"},
		start: func(ctx context.Context, folder string) (*nodes, error) { return startRqlite(ctx, binary, folder) }, measure: measureRqlite,
	}, err
}

func startRqlite(ctx context.Context, binary, folder string) (*nodes, error) {
	n := &nodes{folder: folder}
	clients, peers, err := n.clusterAddresses()
	if err != nil {
		return n, err
	}
	for i := range clusterSize {
		name := fmt.Sprintf("n%d", i+1)
		n.urls = append(n.urls, "http://"+clients[i])
		if err := n.launch(name, nil, binary, "-node-id", name, "-http-addr", clients[i], "-raft-addr", peers[i],
			"-bootstrap-expect", strconv.Itoa(clusterSize), "-join", strings.Join(peers, ","), filepath.Join(folder, name)); err != nil {
			return n, err
		}
	}
	return n, n.ready(ctx, "/readyz")
}

func measureRqlite(ctx context.Context, n *nodes, w workload, d time.Duration) (httpload.Result, error) {
	if err := executeRqlite(ctx, n, []byte(rqliteSchema)); err != nil {
		return httpload.Result{}, err
	}
	switch w.name {
	case "register", "register-half":
		return w.run(ctx, n.urls, d, withoutError, rqliteInserting)
	case "register-bulk":
		return w.run(ctx, n.urls, d, withoutError, rqliteInsertingMany)
	}
	if err := seedRqlite(ctx, n); err != nil {
		return httpload.Result{}, err
	}
	generate := rqliteGetting
	if w.name == "list" {
		generate = rqliteListing
	}
	return w.run(ctx, n.urls, d, containing(`"values":[[`), generate)
}

func executeRqlite(ctx context.Context, n *nodes, body []byte) error {
	text, err := ask(ctx, http.MethodPost, n.urls[0]+rqliteExecute, body)
	if err == nil {
		err = withoutError(text)
	}
	return err
}

// seedRqlite writes the rows that reads find.
func seedRqlite(ctx context.Context, n *nodes) error {
	for first := 0; first < known; first += bulkItems {
		if err := executeRqlite(ctx, n, appendInsert(nil, seeded, first, bulkItems)); err != nil {
			return err
		}
	}
	return n.settle(ctx, func() (int, error) {
		text, err := ask(ctx, http.MethodPost, n.urls[0]+rqliteQuery, appendSelectAll(nil))
		return bytes.Count(text, []byte(`"BENCH_`)), err
	})
}

func rqliteInserting(client int) httpload.Generator {
	i := 0
	return func(r *httpload.Request) bool {
		r.Set(http.MethodPost, 1, 0, rqliteExecute)
		r.Body = append(r.Body, `[["INSERT INTO replicas VALUES (?,?,?,?,?,?,?)","bench","`...)
		r.Body = appendName(r.Body, client+1, i)
		r.Body = append(r.Body, `","BENCH_0001",1048576,"0cc737eb","d41d8cd98f00b204e9800998ecf8427e","A"]]`...)
		i++
		return true
	}
}

func rqliteInsertingMany(client int) httpload.Generator {
	i := 0
	return func(r *httpload.Request) bool {
		r.Set(http.MethodPost, bulkItems, 0, rqliteExecute)
		r.Body = appendInsert(r.Body, client+1, i, bulkItems)
		i += bulkItems
		return true
	}
}

func rqliteGetting(client int) httpload.Generator {
	numbers := random(client)
	return func(r *httpload.Request) bool {
		r.Set(http.MethodPost, 1, 0, rqliteQuery)
		r.Body = append(r.Body, `[["SELECT * FROM replicas WHERE scope = ? AND name = ?","bench","`...)
		r.Body = append(appendName(r.Body, seeded, numbers.IntN(known)), `"]]`...)
		return true
	}
}

func rqliteListing(int) httpload.Generator {
	return func(r *httpload.Request) bool {
		r.Set(http.MethodPost, known, 0, rqliteQuery)
		r.Body = appendSelectAll(r.Body)
		return true
	}
}

func appendSelectAll(b []byte) []byte { return append(b, `["SELECT * FROM replicas"]`...) }

// appendInsert appends one statement with many rows.
func appendInsert(b []byte, series, first, count int) []byte {
	b = append(b, `["INSERT INTO replicas VALUES `...)
	for i := range count {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `('bench','`...)
		b = appendName(b, series, first+i)
		b = append(b, `','BENCH_0001',1048576,'0cc737eb','d41d8cd98f00b204e9800998ecf8427e','A')`...)
	}
	return append(b, `"]`...)
}

// withoutError finds the errors of statements, which come with status 200.
func withoutError(head []byte) error {
	if bytes.Contains(head, []byte(`"error"`)) {
		return errors.New(string(head[:min(len(head), 500)]))
	}
	return nil
}
