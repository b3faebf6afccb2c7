package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Names are those of the experiment: 60 characters, all different, at two RSEs that are not the same.
func TestNames(t *testing.T) {
	seen, use := map[string]bool{}, map[int]int{}
	for d := range 20000 {
		name := datasetName(d)
		require.False(t, seen[name], name)
		seen[name] = true
		require.Len(t, fileName(d, 999), 60)
		first, second := places(d)
		require.NotEqual(t, first, second)
		use[first]++
		use[second]++
	}
	require.Len(t, use, rseCount)
	for rse, n := range use {
		require.InDelta(t, 400, n, 100, rseName(rse))
	}
	files := datasetOf(7)
	require.Len(t, files, datasetFiles)
	require.Equal(t, fileName(7, 3), files[3].Name)
	require.Len(t, files[3].Adler32, 8)
	require.NotEqual(t, files[3].Adler32, files[4].Adler32)
}

// The durations of snapshots come from a node's log.
func TestSnapshots(t *testing.T) {
	p := &process{name: "n1", dir: filepath.Join(t.TempDir(), "n1")}
	require.NoError(t, os.WriteFile(p.logFile(), []byte(`{"time":"2026-01-01T10:00:00.5Z","level":"INFO","msg":"starting snapshot up to","component":"raft","index":100}
not JSON
{"time":"2026-01-01T10:00:00.6Z","level":"INFO","msg":"compacting logs","from":1,"to":50}
{"time":"2026-01-01T10:00:01.75Z","level":"INFO","msg":"snapshot complete up to","component":"raft","index":100}
{"time":"2026-01-01T10:01:00Z","level":"INFO","msg":"starting snapshot up to","component":"raft","index":200}
`), 0o600))
	all, err := p.snapshots()
	require.NoError(t, err)
	begun := time.Date(2026, 1, 1, 10, 0, 0, 500_000_000, time.UTC)
	require.Equal(t, []snapshot{{"n1", 100, begun, 1.25}}, all)
	require.InDelta(t, 1.25, longest(all), 1e-9)

	probe := &probe{all: newHistogram(), stalls: []stall{{begun.Add(-time.Second), 1100}, {begun.Add(-time.Second), 900}, {begun.Add(time.Second), 500}}}
	report := probe.report(all)
	require.Equal(t, [2]int{3, 2}, [2]int{report.Stalls, report.DuringSnapshots}, "one was over before")
	require.InDelta(t, 1100, report.Longest[0].Ms, 0)
}

// Metrics are summed over the series that have the labels.
func TestMetrics(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `# TYPE dapple_http_requests_total counter
dapple_http_requests_total{code="201",method="POST",route="/replicas"} 5
dapple_http_requests_total{code="503",method="POST",route="/replicas"} 2
dapple_http_requests_total{code="504",method="POST",route="/replicas"} 1
dapple_http_requests_total{code="201",method="POST",route="/replicas/bad"} 7
dapple_http_requests_total{code="200",method="GET",route="/metrics"} 9
# TYPE go_goroutines gauge
go_goroutines 12
`)
	}))
	t.Cleanup(server.Close)
	p := &process{http: server.Listener.Addr().String(), fleet: &fleet{web: server.Client()}}
	m, err := p.metrics(t.Context())
	require.NoError(t, err)
	require.InDelta(t, 12, m.value("go_goroutines"), 0)
	require.Zero(t, m.value("no_such"))
	require.Equal(t, posts{Accepted: 5, Busy: 2, Other: 1}, m.posts())
}

func TestMemoryAndDisk(t *testing.T) {
	now, peak, err := residentMemory(os.Getpid())
	require.NoError(t, err)
	require.Positive(t, now)
	require.GreaterOrEqual(t, peak, now)
	_, _, err = residentMemory(0)
	require.Error(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), make([]byte, 1<<20), 0o600))
	used, err := diskUsage(dir)
	require.NoError(t, err)
	require.InDelta(t, 1<<20, used, 1<<16)
}

func TestGrowth(t *testing.T) {
	var watched []watch
	for i := range 9 {
		watched = append(watched, watch{Seconds: float64(2 * i), Nodes: []nodeSample{{
			Node: "n1", RSS: int64(i), Heap: int64(10 - i), Posts: posts{Accepted: int64(100 + i), Busy: int64(4 * i)},
		}}})
	}
	require.Equal(t, []growth{{"n1", posts{8, 32, 0}, 5, 8, 7, 4}}, growthOf(watched))
	watched[8].since(watched[7])
	require.Equal(t, [3]float64{0.5, 2, 0}, [3]float64{watched[8].Accepted, watched[8].Busy, watched[8].Other})
	require.Nil(t, growthOf(watched[:2]))
}

// The commands run whole, at the smallest size.
func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("real processes are left out with -short")
	}
	binary := filepath.Join(t.TempDir(), "dapple")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "dapple/cmd/dapple").CombinedOutput()
	require.NoError(t, err, string(out))
	of := func(t *testing.T) common {
		return common{Binary: binary, Dir: t.TempDir(), JSON: filepath.Join(t.TempDir(), "report.json"), Serve: []string{"--cache-bytes=8000000"}}
	}
	t.Run("size", func(t *testing.T) {
		t.Parallel()
		requireSized(t, of(t))
	})
	t.Run("overload", func(t *testing.T) {
		t.Parallel()
		requireOverloaded(t, of(t))
	})
}

// report reads what a command has written.
func report(t *testing.T, c common, into any) {
	t.Helper()
	b, err := os.ReadFile(c.JSON)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, into))
}

func requireSized(t *testing.T, c common) {
	t.Helper()
	load := &sizeCmd{common: c, Files: steps * datasetFiles, Clients: 2, Probe: true, Read: 200 * time.Millisecond}
	require.NoError(t, load.Run(t.Context()))
	var sized sizeReport
	report(t, c, &sized)
	require.Len(t, sized.Steps, steps)
	require.Len(t, sized.Milestones, 4)
	require.Positive(t, sized.Milestones[3].List.Count)
	require.Len(t, sized.Restarts, 2)
	require.Positive(t, sized.Join.Voter)
	require.Positive(t, sized.Probe.Count)
	require.Zero(t, sized.Probe.Failed, sized.Probe.Example)
}

func requireOverloaded(t *testing.T, c common) {
	t.Helper()
	// Without a warm-up every request that a client begins is counted, however slow the machine is.
	over := &overloadCmd{
		common: c, Workloads: []string{"register"}, Duration: 2 * time.Second, Closed: time.Second, Clients: 2, Factor: 20, Every: 500 * time.Millisecond,
	}
	require.NoError(t, over.Run(t.Context()))
	var overloaded overloadReport
	report(t, c, &overloaded)
	run := overloaded.Runs[0]
	require.Positive(t, run.Sustainable.Requests)
	require.Positive(t, run.Overloaded.Requests+run.Overloaded.Rejected)
	require.Positive(t, run.Overloaded.Unsent, "two clients cannot offer that much")
	require.NotEmpty(t, run.Watched)
	require.Len(t, run.Watched[0].Nodes, 3)
	if len(run.Watched) >= 3 { // else the nodes were slow to answer, and there are no thirds to compare
		require.Len(t, run.Growth, 3)
	}
}
