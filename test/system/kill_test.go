package system

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// leaderKills is how often the leader is killed, longLeaderKills in long tests.
	leaderKills, longLeaderKills = 4, 10
	// resumeLimit is how soon writes must go on after the leader's death.
	resumeLimit = 3 * time.Second
	// lateTries is how often in a row they must be later than that to fail the test.
	lateTries = 3
)

// TestKillLeader kills the leader again and again under steady writes through all nodes.
func TestKillLeader(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	root := login(t, c.nodes[0])
	l := startLoad(t, root, c.nodes)
	kills := leaderKills
	if long() {
		kills = longLeaderKills
	}
	for round := range kills {
		l.waitWrites(300)
		killLeaderOnce(t, c, root, l, round)
	}
	l.stop()
	c.requireEqualDigests(root) // all have applied what the load wrote
	for _, p := range c.nodes {
		l.verify(root.at(p))
	}
}

// killLeaderOnce kills the leader and starts it again. If writes were late it does so again, since a machine that is busy with other
// things can make them late as well; they must not be late each time.
func killLeaderOnce(t *testing.T, c *cluster, root *client, l *load, round int) {
	t.Helper()
	for try := 1; ; try++ {
		leader := c.leader(root, c.nodes...)
		probe := startFsyncProbe(t)
		killed := time.Now()
		leader.kill()
		took := l.waitResumed(killed)
		stall := probe.stop()
		t.Logf("kill %d of %s: writes went on after %v, longest fsync beside it %v", round+1, leader.name, took, stall)
		leader.start()
		c.waitReady(leader)
		if took <= resumeLimit {
			return
		}
		require.Less(t, try, lateTries, "writes went on after %v, the limit is %v", took, resumeLimit)
		t.Logf("writes went on late: this kill is repeated")
	}
}

// TestKillAll kills all three nodes at once under steady writes: what was acknowledged is there afterwards, once.
func TestKillAll(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	root := login(t, c.nodes[0])
	l := startLoad(t, root, c.nodes)
	for range 3 {
		l.waitWrites(300)
		for _, p := range c.nodes {
			require.NoError(t, p.cmd.Process.Kill())
		}
		for _, p := range c.nodes {
			p.kill()
		}
		for _, p := range c.nodes {
			p.start()
		}
		c.waitReady(c.nodes...)
	}
	l.waitResumed(time.Now())
	l.stop()
	c.requireEqualDigests(root) // all have applied what the load wrote
	for _, p := range c.nodes {
		l.verify(root.at(p))
	}
}

// TestWipedFolderLosesNothing is the fault that a node with an emptied folder and an old name could cause: with C down a write
// is acknowledged by A and B, B is wiped, A dies, B and C start. If B could vote it would elect C, which lacks the write.
func TestWipedFolderLosesNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	root := login(t, c.nodes[0])
	root.prepare(t, "wiped", "WIPED")
	leader := c.leader(root, c.nodes...)
	var others []*process
	for _, p := range c.nodes {
		if p != leader {
			others = append(others, p)
		}
	}
	nodeA, nodeB, nodeC := leader, others[0], others[1]

	nodeC.kill()
	root.at(nodeA).must(t, http.MethodPost, "/replicas", registration("WIPED", "wiped", "kept"), 201)
	nodeB.kill()
	nodeB.wipe()
	nodeA.kill()
	nodeB.start()
	nodeC.start()

	// Nothing may happen, for many election timeouts: there is no event to wait for.
	require.Never(t, func() bool { return nodeB.ready() || nodeC.ready() }, 8*time.Second, 200*time.Millisecond, "B or C is ready without A")

	nodeA.start()
	c.waitReady(c.nodes...)
	for _, p := range c.nodes {
		require.True(t, root.at(p).existing(t, "wiped", []string{"kept"})["kept"], "the write is lost on %s", p.name)
	}
	c.waitVoters(root, 3)
	c.requireEqualDigests(root)
}

// waitVoters waits until the cluster has so many voters and no learner.
func (c *cluster) waitVoters(root *client, want int) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		s, err := root.at(c.nodes[0]).status(c.t.Context())
		if err != nil || len(s.Members) != want {
			return false
		}
		for _, m := range s.Members {
			if m.Role == "learner" {
				return false
			}
		}
		return true
	}, time.Minute, 50*time.Millisecond, "no %d voters", want)
}
