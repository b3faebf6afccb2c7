package system

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
	"dapple/node"
	"dapple/transport/transporttest"
)

// TestReadsOfProcesses writes on one node and reads on others while the leader is stopped, killed and changed, and a follower is
// stopped: session never misses its own write, linearizable is never older than any answer before it, local sometimes is.
func TestReadsOfProcesses(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	root := login(t, c.nodes[0])
	var nodes []*client
	for _, p := range c.nodes {
		nodes = append(nodes, root.at(p))
	}
	l := startReadLoad(t, nodes, roundsWanted(t), 24)
	stopLeader := func() {
		leader := c.leader(root, c.nodes...)
		defer leader.pause()()
		c.leader(root, c.others(leader)...)
		l.awaitMore(pauseRounds)
	}
	stopFollower := func() {
		follower := c.others(c.leader(root, c.nodes...))[0]
		l.readOnWaking(root.at(follower), follower.pause)
	}
	killLeader := func() {
		leader := c.leader(root, c.nodes...)
		leader.kill()
		leader.start()
		c.waitReady(leader)
	}
	faults := []func(){stopFollower, stopLeader, killLeader, stopFollower, stopLeader, killLeader, stopLeader}
	for i, fault := range faults {
		l.await(float64(i+1) / float64(len(faults)+1))
		fault()
	}
	l.finish()
	require.NotZero(t, l.stale.Load(), "no local read was stale, though a follower was stopped")
	c.waitReady(c.nodes...)
	c.requireEqualDigests(root)
}

// pauseRounds is how many rounds the others do while a node is stopped or cut off.
const pauseRounds = 30

// others returns the nodes of a cluster but for one.
func (c *cluster) others(one *process) (others []*process) {
	for _, p := range c.nodes {
		if p != one {
			others = append(others, p)
		}
	}
	return others
}

// pause stops a process, as SIGSTOP does, until resume is called.
func (p *process) pause() (resume func()) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGSTOP))
	return func() { require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGCONT)) }
}

// readOnWaking has local reads waiting at a node while it is stopped: it answers them when it wakes, before it has caught up.
func (l *readLoad) readOnWaking(c *client, pause func() (resume func())) {
	resume := pause()
	before := l.values()
	l.awaitMore(pauseRounds)
	raised := l.raisedSince(before)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var sent, reading sync.WaitGroup
	for range 8 {
		sent.Add(1)
		reading.Go(func() {
			wrote := sync.OnceFunc(sent.Done)
			defer wrote() // where it was not sent
			asking := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { wrote() }})
			value := raised.seen.Load()
			got, err := c.ask(asking, http.MethodGet, raised.path(), "", nil)
			if err != nil {
				return
			}
			l.local.Add(1)
			if got.status == http.StatusNotFound || got.value < value {
				l.stale.Add(1)
			}
		})
	}
	sent.Wait()
	resume()
	reading.Wait()
}

// cutCluster is three nodes in this process, whose network can be cut.
type cutCluster struct {
	*testcluster.Cluster
	t     *testing.T
	net   *transporttest.Network
	nodes []*client // node1, node2, node3
}

// withPassword gives a cluster in this process the password of those in processes of their own.
func withPassword(cfg *node.Config) { cfg.RootPassword = rootPassword }

func newCutCluster(t *testing.T) *cutCluster {
	t.Helper()
	network := transporttest.New()
	c := &cutCluster{t: t, net: network}
	c.Cluster = testcluster.Start(t, 3, func(cfg *node.Config) {
		network.Name(cfg.ClusterAdvertise, cfg.NodeID)
		cfg.Hook = network
	}, withPassword)
	root := loginAt(t, c.URLs()[0])
	for _, url := range c.URLs() {
		c.nodes = append(c.nodes, newClient(url, root.token))
	}
	return c
}

// leader waits until a node says that it leads and returns its name, and a follower's.
func (c *cutCluster) leader() (leader, follower string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		leader, follower = "", ""
		for _, n := range c.nodes {
			s, err := n.status(c.t.Context())
			switch {
			case err != nil:
			case s.Role == "leader":
				leader = s.NodeID
			default:
				follower = s.NodeID
			}
		}
		return leader != "" && follower != ""
	}, patience, 10*time.Millisecond, "no leader")
	return leader, follower
}

// isolate cuts a node off from the others until another node leads and meanwhile returns. Clients reach it all the time.
func (c *cutCluster) isolate(name string, meanwhile func()) {
	c.t.Helper()
	c.net.Isolate(name)
	defer c.net.Rejoin(name)
	require.Eventually(c.t, func() bool {
		for _, n := range c.nodes {
			if s, err := n.status(c.t.Context()); err == nil && s.Role == "leader" && s.NodeID != name {
				return true
			}
		}
		return false
	}, patience, 10*time.Millisecond, "no leader without %s", name)
	meanwhile()
}

// TestReadsOfCutNodes is TestReadsOfProcesses with nodes that are cut off from the others and not from their clients.
func TestReadsOfCutNodes(t *testing.T) {
	t.Parallel()
	rounds := roundsWanted(t) / 5
	if testing.Short() {
		rounds = 300
	}
	c := newCutCluster(t)
	l := startReadLoad(t, c.nodes, rounds, 16)
	for i := range 5 {
		l.await(float64(i+1) / 6)
		leader, follower := c.leader()
		if i == 2 {
			leader = follower
		}
		c.isolate(leader, func() { l.awaitMore(pauseRounds) })
	}
	l.finish()
	require.NotZero(t, l.stale.Load(), "no local read was stale, though nodes were cut off")
}

// A leader that is cut off refuses what it cannot promise, tells how old its state may be, and serves the rest.
func TestLevelsOnBothSidesOfACut(t *testing.T) {
	t.Parallel()
	c := newCutCluster(t)
	leader, _ := c.leader()
	c.net.Isolate(leader)
	defer c.net.Rejoin(leader)
	require.Eventually(t, func() bool {
		now, _ := c.leader()
		return now != leader
	}, patience, 10*time.Millisecond)
	ask := func(n *client, query string) told {
		got, err := n.ask(t.Context(), http.MethodGet, "/scopes"+query, "", nil)
		require.NoError(t, err)
		return got
	}
	for i, n := range c.nodes {
		cut := strings.HasSuffix(leader, string(rune('1'+i)))
		for query, refusable := range map[string]bool{
			"": false, "?consistency=session": false, "?consistency=bounded&max_stale=1h": false,
			"?consistency=bounded&max_stale=200ms": true, "?consistency=linearizable": true,
		} {
			if cut && refusable {
				require.Eventually(t, func() bool { return ask(n, query).status == 503 }, patience, 10*time.Millisecond, "%s at the cut node", query)
				continue
			}
			require.Eventually(t, func() bool { return ask(n, query).status == 200 }, patience, 10*time.Millisecond, "%s at node %d", query, i+1)
		}
	}
}
