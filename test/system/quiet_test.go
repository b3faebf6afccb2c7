package system

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
)

var loud = regexp.MustCompile(`(?m)^.*level=(WARN|ERROR).*$`)

// requireQuiet requires that no node has logged anything above INFO so far.
func (c *cluster) requireQuiet(when string) {
	c.t.Helper()
	for _, p := range c.nodes {
		b, err := os.ReadFile(p.dir + ".log")
		require.NoError(c.t, err)
		require.Contains(c.t, string(b), "level=INFO", "%s logs", p.name)
		require.Empty(c.t, loud.FindAllString(string(b), -1), "%s, %s", p.name, when)
	}
}

// joined makes one more process, which joins the cluster.
func (c *cluster) joined() *process {
	c.t.Helper()
	p := &process{
		t: c.t, name: "n" + strconv.Itoa(len(c.nodes)+1), http: testcluster.FreeAddress(c.t), cluster: testcluster.FreeAddress(c.t),
		join: c.nodes[0].join, extra: c.nodes[0].extra,
	}
	p.dir = filepath.Join(filepath.Dir(c.nodes[0].dir), p.name)
	c.t.Cleanup(p.kill)
	c.nodes = append(c.nodes, p)
	p.start()
	c.waitReady(p)
	return p
}

// A healthy cluster forms, takes in a fourth node, restarts each node in turn, is stopped and started as a whole and logs
// nothing above INFO, on any node, whether its nodes speak TLS to each other or not. Writes go on meanwhile.
func TestHealthyClusterIsQuiet(t *testing.T) {
	t.Run("plain", func(t *testing.T) { requireQuietLife(t, newCluster(t, 3)) })
	t.Run("TLS", func(t *testing.T) {
		cert, key, _ := testcluster.Certificate(t)
		requireQuietLife(t, newCluster(t, 3, "--cluster-tls-cert", cert, "--cluster-tls-key", key, "--cluster-tls-ca", cert))
	})
}

func requireQuietLife(t *testing.T, c *cluster) {
	t.Helper()
	c.start()
	root := login(t, c.nodes[0])
	root.prepare(t, "quiet", "QUIET")
	c.waitVoters(root, 3)
	c.requireQuiet("after the start")

	c.joined()
	c.waitVoters(root, 4)
	c.requireQuiet("after the join of a fourth node")

	for i, p := range c.nodes {
		p.terminate()
		other := c.nodes[(i+1)%len(c.nodes)]
		root.at(other).must(t, "POST", "/replicas", registration("QUIET", "quiet", "file"+strconv.Itoa(i)), 201)
		p.start()
		c.waitReady(p)
	}
	c.requireQuiet("after the restart of each node in turn")

	for _, p := range c.nodes[2:] { // nothing is written meanwhile
		p.terminate()
		p.start()
		c.waitReady(p)
	}
	c.requireQuiet("after a restart without writes")

	leader := c.leader(root, c.nodes...)
	leader.terminate()
	b, err := os.ReadFile(leader.dir + ".log")
	require.NoError(t, err)
	require.Contains(t, string(b), "leadership was handed over")
	leader.start()
	c.waitReady(leader)
	c.requireQuiet("after the restart of the leader")

	for _, p := range c.nodes {
		p.terminate()
	}
	c.requireQuiet("after the stop of all")
	for _, p := range c.nodes {
		p.start()
	}
	c.waitReady(c.nodes...)
	c.requireQuiet("after the start of all")
}

// A node that dies without a word is warned of: what is quiet in a healthy cluster is not when something fails.
func TestDeathIsLoud(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	root := login(t, c.nodes[0])
	c.waitVoters(root, 3)
	leader := c.leader(root, c.nodes...)
	var dead *process
	for _, p := range c.nodes {
		if p != leader {
			dead = p
		}
	}
	dead.kill()
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(leader.dir + ".log")
		require.NoError(t, err)
		for _, line := range loud.FindAllString(string(b), -1) {
			if strings.Contains(line, dead.name+" cannot be reached") {
				return true
			}
		}
		return false
	}, waitLimit, waitStep, "the leader warns of the dead node")
}
