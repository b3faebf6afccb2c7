package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"dapple/internal/httpload"
)

const (
	etcdPut   = "/v3/kv/put"
	etcdTxn   = "/v3/kv/txn"
	etcdRange = "/v3/kv/range"
	// etcdValue is what Dapple keeps of a replica, as text, about 150 bytes.
	etcdValue = `{"rse":"BENCH_0001","bytes":1048576,"adler32":"0cc737eb","md5":"d41d8cd98f00b204e9800998ecf8427e","state":"A","lock_cnt":0,"created_at":1700000000}`
)

// etcd speaks by its gateway for JSON, as the others are asked by HTTP and JSON.
func etcd(ctx context.Context) (system, error) {
	binary, err := buildEtcd(ctx)
	return system{
		name: "etcd", runs: []string{"register", "register-bulk", "lookup", "list", "register-half"},
		start: func(ctx context.Context, folder string) (*nodes, error) { return startEtcd(ctx, binary, folder) }, measure: measureEtcd,
	}, err
}

func startEtcd(ctx context.Context, binary, folder string) (*nodes, error) {
	n := &nodes{folder: folder}
	clients, peers, err := n.clusterAddresses()
	if err != nil {
		return n, err
	}
	var all []string
	for i, peer := range peers {
		all = append(all, fmt.Sprintf("n%d=http://%s", i+1, peer))
	}
	for i := range clusterSize {
		name := fmt.Sprintf("n%d", i+1)
		n.urls = append(n.urls, "http://"+clients[i])
		if err := n.launch(name, nil, binary, "--name", name, "--data-dir", filepath.Join(folder, name), "--log-level", "error",
			"--listen-client-urls", n.urls[i], "--advertise-client-urls", n.urls[i],
			"--listen-peer-urls", "http://"+peers[i], "--initial-advertise-peer-urls", "http://"+peers[i],
			"--initial-cluster", strings.Join(all, ","), "--initial-cluster-state", "new"); err != nil {
			return n, err
		}
	}
	return n, n.ready(ctx, "/health")
}

func measureEtcd(ctx context.Context, n *nodes, w workload, d time.Duration) (httpload.Result, error) {
	switch w.name {
	case "register", "register-half":
		return w.run(ctx, n.urls, d, nil, etcdPutting)
	case "register-bulk":
		return w.run(ctx, n.urls, d, containing(`"succeeded":true`), etcdPuttingMany)
	}
	if err := seedEtcd(ctx, n); err != nil {
		return httpload.Result{}, err
	}
	generate := etcdGetting
	if w.name == "list" {
		generate = etcdListing
	}
	return w.run(ctx, n.urls, d, containing(`"kvs":[`), generate)
}

// seedEtcd writes the keys that reads find.
func seedEtcd(ctx context.Context, n *nodes) error {
	for first := 0; first < known; first += etcdBulk {
		body := appendTxn(nil, seeded, first, min(etcdBulk, known-first))
		if _, err := ask(ctx, http.MethodPost, n.urls[0]+etcdTxn, body); err != nil {
			return err
		}
	}
	return n.settle(ctx, func() (int, error) {
		text, err := ask(ctx, http.MethodPost, n.urls[0]+etcdRange, appendAll(nil))
		return bytes.Count(text, []byte(`"mod_revision"`)), err
	})
}

func etcdPutting(client int) httpload.Generator {
	i := 0
	return func(r *httpload.Request) bool {
		r.Set(http.MethodPost, 1, 0, etcdPut)
		r.Body = appendPut(r.Body, client+1, i)
		i++
		return true
	}
}

func etcdPuttingMany(client int) httpload.Generator {
	i := 0
	return func(r *httpload.Request) bool {
		r.Set(http.MethodPost, etcdBulk, 0, etcdTxn)
		r.Body = appendTxn(r.Body, client+1, i, etcdBulk)
		i += etcdBulk
		return true
	}
}

func etcdGetting(client int) httpload.Generator {
	numbers := random(client)
	return func(r *httpload.Request) bool {
		r.Set(http.MethodPost, 1, 0, etcdRange)
		r.Body = append(r.Body, `{"serializable":true,"key":`...)
		r.Body = append(appendKey(r.Body, seeded, numbers.IntN(known)), '}')
		return true
	}
}

func etcdListing(int) httpload.Generator {
	return func(r *httpload.Request) bool {
		r.Set(http.MethodPost, known, 0, etcdRange)
		r.Body = appendAll(r.Body)
		return true
	}
}

// appendAll asks for all keys that reads find.
func appendAll(b []byte) []byte {
	b = append(b, `{"serializable":true,"key":`...)
	b = appendKey(b, seeded, 0)
	b = append(b, `,"range_end":`...)
	return append(appendKey(b, seeded, known), '}')
}

func appendTxn(b []byte, series, first, count int) []byte {
	b = append(b, `{"success":[`...)
	for i := range count {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendPut(append(b, `{"request_put":`...), series, first+i), '}')
	}
	return append(b, "]}"...)
}

func appendPut(b []byte, series, i int) []byte {
	b = appendKey(append(b, `{"key":`...), series, i)
	return append(appendBase64(append(b, `,"value":`...), []byte(etcdValue)), '}')
}

func appendKey(b []byte, series, i int) []byte {
	return appendBase64(b, appendName(make([]byte, 0, 80), series, i))
}

func appendBase64(b, text []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(b, '"'), text), '"')
}

// containing makes a check that a success says so.
func containing(part string) func([]byte) error {
	want := []byte(part)
	return func(head []byte) error {
		if !bytes.Contains(head, want) {
			return errors.New(string(head))
		}
		return nil
	}
}
