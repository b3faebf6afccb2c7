package node_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
	"dapple/node"
)

// status asks for something and returns the status of the answer.
func (c *client) status(method, path string, body any) int {
	c.t.Helper()
	response, _ := c.do(method, path, body, nil)
	return response.StatusCode
}

// TestLifetimesEnd gives a dataset a lifetime of a second: it is gone on every node soon after, comes back on every node, and
// cannot come back any more once the window is over.
func TestLifetimesEnd(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t, 3, func(cfg *node.Config) { cfg.ExpiryInterval = 20 * time.Millisecond })
	nodes := make([]*client, 3)
	for i, url := range cluster.URLs() {
		nodes[i] = &client{t: t, base: url}
	}
	nodes[0].login()
	c, name := nodes[0], map[string]any{"scope": "s", "name": "ds"}
	everywhere := func(path string, status int) {
		t.Helper()
		for _, at := range nodes {
			at.token = c.token
			require.Eventually(t, func() bool { return at.status(http.MethodGet, path, nil) == status }, 30*time.Second, 20*time.Millisecond, at.base)
		}
	}
	c.must(http.MethodPost, "/accounts/root/scopes/s", nil)
	c.must(http.MethodPost, "/rses/ONE", map[string]any{})
	c.must(http.MethodPost, "/replicas", map[string]any{"rse": "ONE", "files": []any{map[string]any{"scope": "s", "name": "a", "bytes": 1}}})
	c.must(http.MethodPost, "/dids/s/ds", map[string]any{
		"type": "DATASET", "lifetime": 1, "meta": map[string]any{"own": 7}, "dids": []any{map[string]any{"scope": "s", "name": "a"}},
	})
	c.must(http.MethodPost, "/dids/s/stays", map[string]any{"type": "DATASET", "lifetime": 3600})
	everywhere("/dids/s/ds", http.StatusNotFound)
	everywhere("/dids/s/stays", http.StatusOK)
	everywhere("/dids/s/a", http.StatusOK)

	c.must(http.MethodPost, "/dids/resurrect", []any{name})
	everywhere("/dids/s/ds", http.StatusOK)
	require.Contains(t, c.must(http.MethodGet, "/dids/s/ds/dids", nil), `"a"`)
	require.Contains(t, c.must(http.MethodGet, "/dids/s/ds/meta?plugin=ALL", nil), `"own": 7`)

	c.must(http.MethodPost, "/dids/s/ds/meta/lifetime", map[string]any{"value": -1})
	require.Equal(t, http.StatusNotFound, c.status(http.MethodGet, "/dids/s/ds", nil), "at once")
	c.must(http.MethodPut, "/cluster/settings/resurrect-window", map[string]any{"value": "1ms"})
	everywhere("/dids/s/ds", http.StatusNotFound)
	require.Eventually(t, func() bool { return c.status(http.MethodPost, "/dids/resurrect", []any{name}) == http.StatusNotFound }, 30*time.Second, 20*time.Millisecond)
}

// TestLifetimesOfAnEarlierProgram has a lifetime that was set before the members knew of ends: it is honoured once they all do.
func TestLifetimesOfAnEarlierProgram(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t, 1, func(cfg *node.Config) {
		cfg.FeatureLevel, cfg.ExpiryInterval = new(uint64), 20*time.Millisecond
	})
	c := &client{t: t, base: cluster.URLs()[0]}
	c.login()
	c.must(http.MethodPost, "/accounts/root/scopes/s", nil)
	c.must(http.MethodPost, "/dids/s/ds", map[string]any{"type": "DATASET", "lifetime": -1})
	require.Equal(t, http.StatusOK, c.status(http.MethodGet, "/dids/s/ds", nil))
	cluster.StopNode(0)
	cluster.Configure(0, func(cfg *node.Config) { cfg.FeatureLevel = nil })
	cluster.StartNode(0)
	cluster.WaitReady()
	require.Eventually(t, func() bool { return c.status(http.MethodGet, "/dids/s/ds", nil) == http.StatusNotFound }, 30*time.Second, 50*time.Millisecond)
}
