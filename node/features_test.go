package node_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
	"dapple/node"
)

// TestFeatureLevelRises replaces the nodes of a cluster that an earlier program formed one by one: what needs the level is refused
// until the last member knows it, and works on every node soon after.
func TestFeatureLevelRises(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t, 3, func(cfg *node.Config) { cfg.FeatureLevel = new(uint64) })
	c := &client{t: t, base: cluster.URLs()[0]}
	c.login()
	set := func(url string) int {
		at := &client{t: t, base: url, token: c.token}
		response, _ := at.do(http.MethodDelete, "/cluster/settings/name-schema", nil, nil)
		return response.StatusCode
	}
	for i, url := range cluster.URLs() {
		require.Equal(t, http.StatusServiceUnavailable, set(url), "%d nodes are new", i)
		cluster.StopNode(i)
		cluster.Configure(i, func(cfg *node.Config) { cfg.FeatureLevel = nil })
		cluster.StartNode(i)
		cluster.WaitReady()
	}
	for _, url := range cluster.URLs() {
		require.Eventually(t, func() bool { return set(url) == http.StatusOK }, 30*time.Second, 50*time.Millisecond, url)
	}
}
