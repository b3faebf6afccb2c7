package node_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
	"dapple/node"
)

// lockedBuffer is a log that a test reads while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestNameSchemaOfANewCluster forms a cluster with a schema of names, and starts its nodes again with another and with the same.
func TestNameSchemaOfANewCluster(t *testing.T) {
	cluster := testcluster.Start(t, 1, func(cfg *node.Config) { cfg.NameSchema = "cms" })
	c := &client{t: t, base: cluster.URLs()[0]}
	c.login()
	require.JSONEq(t, `{"name-schema": "cms"}`, c.must(http.MethodGet, "/cluster/settings/name-schema", nil))
	c.must(http.MethodPost, "/rses/T2_CH_CERN_Disk", map[string]any{})
	response, text := c.do(http.MethodPost, "/rses/ONE", map[string]any{}, nil)
	require.Equal(t, http.StatusBadRequest, response.StatusCode)
	require.Contains(t, text, "InvalidObject")

	restart := func(schema string) *lockedBuffer {
		log := &lockedBuffer{}
		cluster.StopNode(0)
		cluster.Configure(0, func(cfg *node.Config) { cfg.NameSchema, cfg.Logger = schema, slog.New(slog.NewTextHandler(log, nil)) })
		cluster.StartNode(0)
		cluster.WaitReady()
		return log
	}
	log := restart("belleii")
	require.Eventually(t, func() bool { return bytes.Contains([]byte(log.String()), []byte("PUT /cluster/settings/name-schema")) }, 10*time.Second, 10*time.Millisecond)
	require.Contains(t, log.String(), "cluster=cms flag=belleii")
	c.login()
	require.JSONEq(t, `{"name-schema": "cms"}`, c.must(http.MethodGet, "/cluster/settings/name-schema", nil), "the cluster keeps its own")
}

// An unknown schema stops the start and says which there are.
func TestUnknownNameSchema(t *testing.T) {
	_, err := node.Start(t.Context(), node.Config{
		NodeID: "n", DataDir: t.TempDir(), HTTPAddr: "127.0.0.1:0", ClusterAddr: "127.0.0.1:0", NameSchema: "csm",
	})
	require.ErrorContains(t, err, "unknown name schema 'csm'")
	require.ErrorContains(t, err, "atlas, belleii, cms, ")
}
