package bench

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/client"
	"dapple/internal/testcluster"
)

// Every workload runs against a node without an error, and what it says that it did is there.
func TestWorkloadsOnNode(t *testing.T) {
	cluster := testcluster.Start(t, 1)
	c, err := client.New(client.Config{URLs: cluster.URLs(), User: testcluster.User, Password: testcluster.Password, Account: "root"})
	require.NoError(t, err)
	defer c.Close()
	check := map[string]func(t *testing.T, run string){
		"register":      func(t *testing.T, run string) { requireFiles(t, c, run, 1, 1, true) },
		"register-bulk": func(t *testing.T, run string) { requireFiles(t, c, run, 1, 20, true) },
		"delete":        func(t *testing.T, run string) { requireFiles(t, c, run, 0, 200, false) },
		"state":         func(t *testing.T, run string) { requireStates(t, c, run) },
		"list": func(t *testing.T, run string) {
			dataset := client.DIDName{Scope: scope, Name: string(appendDataset(nil, run, 0))}
			n := 0
			for file, err := range c.ListReplicas(t.Context(), client.ReplicaQuery{DIDs: []client.DIDName{dataset}}) {
				require.NoError(t, err)
				require.Len(t, file.RSEs, 2)
				n++
			}
			require.Equal(t, 200, n)
		},
	}
	items := map[string]int64{"register": 10, "register-bulk": 200, "state": 200, "delete": 200, "lookup": 10, "list": 2000, "exists": 200}
	for _, name := range Workloads() {
		t.Run(name, func(t *testing.T) {
			report, err := Run(t.Context(), Config{
				Targets: cluster.URLs(), User: testcluster.User, Password: testcluster.Password, Workload: name,
				Clients: 2, Batch: 20, Files: 200, RSEs: 3, Requests: 10,
			})
			require.NoError(t, err)
			require.Empty(t, report.Errors, report.Example)
			require.Zero(t, report.Rejected)
			require.EqualValues(t, 10, report.Requests)
			require.Positive(t, report.RequestsPerSecond)
			if want, fixed := items[name]; fixed {
				require.Equal(t, want, report.Items)
			}
			if check[name] != nil {
				check[name](t, report.Run)
			}
		})
	}
}

// requireFiles asks for the first files of a series.
func requireFiles(t *testing.T, c *client.Client, run string, series, count int, want bool) {
	t.Helper()
	var dids []client.DIDName
	for i := range count {
		dids = append(dids, client.DIDName{Scope: scope, Name: string(appendName(nil, run, series, i))})
	}
	n := 0
	for found, err := range c.Exists(t.Context(), dids, "") {
		require.NoError(t, err)
		require.Equal(t, want, found.Exists, found.Name)
		n++
	}
	require.Equal(t, count, n)
}

// requireStates finds replicas that are unavailable now.
func requireStates(t *testing.T, c *client.Client, run string) {
	t.Helper()
	var dids []client.DIDName
	for i := range 200 {
		dids = append(dids, client.DIDName{Scope: scope, Name: string(appendName(nil, run, 0, i))})
	}
	states := map[string]int{}
	for file, err := range c.ListReplicas(t.Context(), client.ReplicaQuery{DIDs: dids, AllStates: true}) {
		require.NoError(t, err)
		for _, state := range file.States {
			states[state]++
		}
	}
	require.Positive(t, states["UNAVAILABLE"], states)
	require.Equal(t, 200, states["AVAILABLE"]+states["UNAVAILABLE"])
}

// A fixed rate with a warm-up sends what is due and reports only what was measured.
func TestRateOnNode(t *testing.T) {
	cluster := testcluster.Start(t, 1)
	report, err := Run(t.Context(), Config{
		Targets: cluster.URLs(), User: testcluster.User, Password: testcluster.Password, Workload: "lookup",
		Clients: 4, Files: 100, Rate: 50, Warmup: 200 * time.Millisecond, Duration: 400 * time.Millisecond,
	})
	require.NoError(t, err)
	require.Empty(t, report.Errors, report.Example)
	require.LessOrEqual(t, report.Requests+report.Unsent, int64(30))
	require.Positive(t, report.Requests)
	text, err := json.Marshal(report)
	require.NoError(t, err)
	require.Contains(t, string(text), `"errors":{}`)
}

// A server without Dapple's own route is told from one that fails.
func TestExistsNeedsDapple(t *testing.T) {
	server := newFakeServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, existsPath) {
			http.NotFound(w, r)
		}
	})
	_, err := Run(t.Context(), server.config("exists"))
	require.ErrorContains(t, err, "Dapple's own")
}
