package bench

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/internal/httpload"
)

// seen is one request that a fake server got.
type seen struct {
	method, path string
	body         struct {
		RSE         string
		Files, DIDs []map[string]any
	}
}

// requests runs a workload against a fake server and returns what its one client sent: the last requests, not those of setup.
func requests(t *testing.T, workload string) (got []seen, report Report) {
	t.Helper()
	var mu sync.Mutex
	server := newFakeServer(t, func(w http.ResponseWriter, r *http.Request) {
		s := seen{method: r.Method, path: r.URL.Path}
		text, err := io.ReadAll(r.Body)
		if err == nil && len(text) > 0 {
			err = json.Unmarshal(text, &s.body)
		}
		if err != nil {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		if r.Header.Get("User-Agent") == "dapple-bench" {
			mu.Lock()
			got = append(got, s)
			mu.Unlock()
		}
		n := len(s.body.DIDs)
		if strings.Contains(r.URL.Path, ".AOD.dataset.") {
			n = 200
		} else if r.Method == http.MethodGet {
			n = 1
		}
		_, _ = io.WriteString(w, strings.Repeat("{}\n", n))
	})
	report, err := Run(t.Context(), server.config(workload))
	require.NoError(t, err)
	require.Empty(t, report.Errors, report.Example)
	require.EqualValues(t, 3, report.Requests)
	require.Len(t, got, 3)
	return got, report
}

func TestBodies(t *testing.T) {
	for workload, want := range map[string]struct {
		method, path string
		keys         []string
		items        int
	}{
		"register":      {http.MethodPost, "/replicas", []string{"scope", "name", "bytes", "adler32"}, 1},
		"register-bulk": {http.MethodPost, "/replicas", []string{"scope", "name", "bytes", "adler32"}, 2},
		"state":         {http.MethodPut, "/replicas", []string{"scope", "name", "state"}, 2},
		"delete":        {http.MethodDelete, "/replicas", []string{"scope", "name"}, 2},
		"exists":        {http.MethodPost, existsPath, []string{"scope", "name"}, 2},
	} {
		t.Run(workload, func(t *testing.T) {
			got, report := requests(t, workload)
			names := map[any]bool{}
			for _, r := range got {
				require.Equal(t, []string{want.method, want.path}, []string{r.method, r.path})
				items := append(r.body.Files, r.body.DIDs...)
				require.Len(t, items, want.items)
				require.Equal(t, workload != "exists", r.body.RSE != "")
				for _, item := range items {
					require.Len(t, item, len(want.keys))
					for _, key := range want.keys {
						require.NotEmpty(t, item[key], key)
					}
					require.InDelta(t, 60, len(item["name"].(string)), 6)
					require.Contains(t, item["name"], report.Run)
					names[item["name"]] = true
				}
			}
			if workload != "state" && workload != "exists" {
				require.Len(t, names, 3*want.items, "no file twice")
			}
		})
	}
}

func TestPaths(t *testing.T) {
	for workload, part := range map[string]string{"lookup": ".AOD.merge.", "list": ".AOD.dataset."} {
		got, report := requests(t, workload)
		for _, r := range got {
			require.Equal(t, http.MethodGet, r.method)
			require.True(t, strings.HasPrefix(r.path, "/replicas/bench/mc26_14TeV."+report.Run+part), r.path)
		}
	}
}

// The parts of the mixed workload are what they are said to be.
func TestMix(t *testing.T) {
	p := &plan{Config: Config{Files: 1000, RSEs: 2}, workload: workloads["mixed"], run: "r"}
	next := mixing(p, 0)
	count := map[string]int{}
	var r httpload.Request
	for range 10000 {
		require.True(t, next(&r))
		switch {
		case r.Method == http.MethodPost:
			count["write"]++
		case bytes.Contains(r.Path, []byte(".dataset.")):
			count["list"]++
			require.Equal(t, mixedDataset, r.Lines)
		default:
			count["lookup"]++
			require.Empty(t, r.Body, "nothing is left of the last write")
		}
	}
	require.InDelta(t, 8000, count["lookup"], 200)
	require.InDelta(t, 1500, count["list"], 200)
	require.InDelta(t, 500, count["write"], 100)
}

// Making a body of a thousand files allocates nothing once its buffer is there.
func TestBodiesReuseTheirBuffer(t *testing.T) {
	p := &plan{Config: Config{Batch: 1000, RSEs: 2}, workload: workloads["register-bulk"], run: "r"}
	next := registering(p, 0)
	var r httpload.Request
	next(&r)
	require.LessOrEqual(t, testing.AllocsPerRun(10, func() { next(&r) }), 1.0)
}
