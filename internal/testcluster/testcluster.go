// Package testcluster runs a whole cluster in one process for tests.
package testcluster

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/ports"
	"dapple/node"
)

// Root's identity in every test cluster.
const (
	User     = "ddmlab"
	Password = "secret"
)

// patience bounds the wait for what must happen. It is much longer than that takes, also on a busy machine.
const patience = 2 * time.Minute

// Cluster is a set of nodes on loopback ports with folders that are removed at the end of the test.
type Cluster struct {
	t       testing.TB
	configs []node.Config
	nodes   []*node.Node
}

// Start starts n nodes, waits until all are ready and stops them at the end of the test. The options change the
// configuration of each node before it starts.
func Start(t testing.TB, n int, options ...func(*node.Config)) *Cluster {
	t.Helper()
	c := &Cluster{t: t, nodes: make([]*node.Node, n)}
	dir := t.TempDir()
	var join, listen []string
	for range n {
		join, listen = append(join, FreeAddress(t)), append(listen, FreeAddress(t))
	}
	for i := range n {
		name := "node" + strconv.Itoa(i+1)
		cfg := node.Config{
			NodeID: name, DataDir: filepath.Join(dir, name),
			HTTPAddr: listen[i], HTTPAdvertise: "http://" + listen[i], ClusterAddr: join[i], ClusterAdvertise: join[i],
			BootstrapExpect: n, Join: join, RootUser: User, RootPassword: Password,
			HeartbeatTimeout: 300 * time.Millisecond, ElectionTimeout: 300 * time.Millisecond, LeaseTimeout: 200 * time.Millisecond,
			MinFreeDisk: -1, CacheBytes: 8 << 20, Version: "test", Logger: slog.New(slog.DiscardHandler),
		}
		for _, option := range options {
			option(&cfg)
		}
		c.configs = append(c.configs, cfg)
	}
	t.Cleanup(c.stop)
	for i := range n {
		c.StartNode(i)
	}
	c.WaitReady()
	return c
}

// FreeAddress returns an address of the loopback interface on which the test may start a server, stop it and start it
// again. Nobody else gets it by chance before the test ends.
func FreeAddress(t testing.TB) string {
	t.Helper()
	reserved, err := ports.Reserve()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, reserved.Release()) })
	return reserved.Address
}

// StartNode starts a node that is stopped.
func (c *Cluster) StartNode(i int) {
	c.t.Helper()
	n, err := node.Start(context.Background(), c.configs[i])
	require.NoError(c.t, err)
	c.nodes[i] = n
}

// Configure changes the configuration that a stopped node starts with.
func (c *Cluster) Configure(i int, change func(*node.Config)) { change(&c.configs[i]) }

// Node returns a node, nil if it is stopped.
func (c *Cluster) Node(i int) *node.Node { return c.nodes[i] }

// StopNode stops a node; its folder stays.
func (c *Cluster) StopNode(i int) {
	c.t.Helper()
	if n := c.nodes[i]; n != nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(c.t, n.Close(ctx))
		c.nodes[i] = nil
	}
}

func (c *Cluster) stop() {
	for i := range c.nodes {
		c.StopNode(i)
	}
}

// URLs returns the base URLs of all nodes.
func (c *Cluster) URLs() []string {
	urls := make([]string, len(c.configs))
	for i := range c.configs {
		urls[i] = c.configs[i].HTTPAdvertise
	}
	return urls
}

// WaitReady waits until every running node is ready.
func (c *Cluster) WaitReady() {
	c.t.Helper()
	for i, n := range c.nodes {
		if n != nil {
			url := c.configs[i].HTTPAdvertise + "/readyz"
			require.Eventually(c.t, func() bool { return ready(url) }, patience, 20*time.Millisecond, "%s is not ready", url)
		}
	}
}

func ready(url string) bool {
	client := http.Client{Timeout: 3 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}
