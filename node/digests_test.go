package node_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"dapple/internal/halt"
	"dapple/internal/testcluster"
	"dapple/node"
)

// TestDifferingStateStops changes a record in one node's store, as a damaged disk or a fault of the program would. The members
// compare their states: this node stops and says why, the others go on. It does not matter whether it leads.
func TestDifferingStateStops(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t, 3)
	c := &client{t: t, base: cluster.URLs()[0]}
	c.login()
	c.must(http.MethodPost, "/accounts/bo", map[string]any{"type": "USER", "email": "bo@right.example"})
	requireSameDigest(t, c, cluster.URLs())
	cluster.StopNode(2)
	cluster.Configure(2, func(cfg *node.Config) { replaceInStore(t, cfg.DataDir, "bo@right.example", "bo@wrong.example") })
	cluster.StartNode(2)
	cluster.WaitReady()

	// The others' word is asked for, so that the leader has somebody to compare with; any node may be asked.
	c.must(http.MethodGet, "/cluster/digest", nil)
	select {
	case <-cluster.Node(2).Done():
	case <-time.After(2 * time.Minute):
		t.Fatal("the node goes on")
	}
	err := cluster.Node(2).Err()
	require.ErrorIs(t, err, halt.ErrStoreDamaged)
	require.ErrorContains(t, err, "that of a majority of the voters has")
	cluster.StopNode(2)
	c.must(http.MethodPost, "/accounts/root/scopes/later", nil)
	for _, i := range []int{0, 1} {
		require.NoError(t, cluster.Node(i).Err())
	}
}

// TestStatesAreCompared has the leader compare by itself, on a sound cluster, which raises nothing.
func TestStatesAreCompared(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t, 3, func(cfg *node.Config) { cfg.DigestInterval = 50 * time.Millisecond })
	require.Eventually(t, func() bool {
		for _, url := range cluster.URLs() {
			if metric(t, url, "dapple_cluster_digest_agreed_index") > 0 {
				return metric(t, url, "dapple_cluster_alarms{reason=\"state_differs\"}") == 0
			}
		}
		return false
	}, time.Minute, 50*time.Millisecond)
	for i := range 3 {
		require.NoError(t, cluster.Node(i).Err())
	}
}

// replaceInStore changes a text in the values of a stopped node's store.
func replaceInStore(t *testing.T, dataDir, from, to string) {
	t.Helper()
	state := filepath.Join(dataDir, "state")
	current, err := os.ReadFile(filepath.Join(state, "CURRENT"))
	require.NoError(t, err)
	db, err := pebble.Open(filepath.Join(state, strings.TrimSpace(string(current))), &pebble.Options{FormatMajorVersion: pebble.FormatValueSeparation})
	require.NoError(t, err)
	iter, err := db.NewIter(nil)
	require.NoError(t, err)
	changed := 0
	for iter.First(); iter.Valid(); iter.Next() {
		if value := iter.Value(); bytes.Contains(value, []byte(from)) {
			require.NoError(t, db.Set(bytes.Clone(iter.Key()), bytes.ReplaceAll(value, []byte(from), []byte(to)), nil))
			changed++
		}
	}
	require.NoError(t, iter.Close())
	require.Positive(t, changed)
	require.NoError(t, db.Flush())
	require.NoError(t, db.Close())
}

// metric returns the value of a metric without labels.
func metric(t *testing.T, url, name string) float64 {
	t.Helper()
	at := &client{t: t, base: url}
	_, text := at.do(http.MethodGet, "/metrics", nil, nil)
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, name+" "); found {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			require.NoError(t, err)
			return value
		}
	}
	t.Fatalf("%s has no metric %s", url, name)
	return 0
}
