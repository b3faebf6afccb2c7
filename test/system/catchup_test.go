package system

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// TestWipedNodeComesBack wipes a follower of a cluster that has cut its log: it comes back by snapshot, as a learner with a
// new incarnation, and is promoted.
func TestWipedNodeComesBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, "--log-bytes", "1", "--snapshot-interval", "500ms")
	c.start()
	root := login(t, c.nodes[0])
	root.prepare(t, "back", "BACK")
	leader := c.leader(root, c.nodes...)
	files := 0
	for leader.metric("dapple_raft_first_index") <= 1 {
		registerSingly(t, root.at(leader), "back", "BACK", files, 1000, 4)
		files += 1000
		require.LessOrEqual(t, files, 100_000, "the log is never cut")
	}
	follower := c.nodes[0]
	if follower == leader {
		follower = c.nodes[1]
	}
	before, err := root.at(leader).status(t.Context())
	require.NoError(t, err)
	follower.terminate()
	follower.wipe()
	follower.start()
	c.waitReady(follower)
	c.waitVoters(root.at(leader), 3)
	require.NotZero(t, follower.metric("dapple_fsm_snapshots_installed_total"), "it came back without a snapshot")
	after, err := root.at(leader).status(t.Context())
	require.NoError(t, err)
	incarnations := map[string]string{}
	for _, m := range before.Members {
		incarnations[m.Name] = m.ID
	}
	for _, m := range after.Members {
		if m.Name == follower.name {
			require.NotEqual(t, incarnations[m.Name], m.ID, "the wiped node came back under its old incarnation")
		} else {
			require.Equal(t, incarnations[m.Name], m.ID)
		}
	}
	c.requireEqualDigests(root)
	require.Equal(t, files, root.at(follower).filesUsed(t, "BACK"))
}

// TestNewcomerNeedNotReplay wipes a follower of a cluster whose log goes back to its beginning: the leader cuts it, for to copy the
// state takes a small part of the time that replaying takes.
func TestNewcomerNeedNotReplay(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.start()
	root := login(t, c.nodes[0])
	root.prepare(t, "new", "NEW")
	const commands, files = 120, 1000
	for i := range commands {
		names := make([]string, files)
		for k := range names {
			names[k] = fmt.Sprintf("run%06d/%x.root", i, sha256.Sum256([]byte{byte(i), byte(k), byte(k >> 8)}))
		}
		root.must(t, http.MethodPost, "/replicas", registration("NEW", "new", names...), http.StatusCreated)
	}
	leader := c.leader(root, c.nodes...)
	require.LessOrEqual(t, leader.metric("dapple_raft_first_index"), 1.0, "the log was cut before")
	follower := c.nodes[0]
	if follower == leader {
		follower = c.nodes[1]
	}
	follower.terminate()
	follower.wipe()
	follower.start()
	c.waitReady(follower)
	c.waitVoters(root.at(leader), 3)
	require.NotZero(t, follower.metric("dapple_fsm_snapshots_installed_total"), "it replayed the log")
	c.requireEqualDigests(root)
	require.Equal(t, commands*files, root.at(follower).filesUsed(t, "NEW"))
}

// TestCatchUpAfterManyWrites kills a node, makes many writes and starts it again.
func TestCatchUpAfterManyWrites(t *testing.T) {
	t.Parallel()
	writes := 15_000
	if long() {
		writes = 100_000
	}
	c := newCluster(t, 3)
	c.start()
	root := login(t, c.nodes[0])
	root.prepare(t, "catch", "CATCH")
	c.nodes[2].kill()
	registerSingly(t, root, "catch", "CATCH", 0, writes, 64)
	c.nodes[2].start()
	c.waitReady(c.nodes[2])
	require.Equal(t, writes, root.at(c.nodes[2]).filesUsed(t, "CATCH"))
	c.requireEqualDigests(root)
}

// registerSingly registers so many files from a first number on, one a request, on so many connections.
func registerSingly(t *testing.T, root *client, scope, rse string, first, count, connections int) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	var next atomic.Int64
	for range connections {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= count {
					return nil
				}
				name := fmt.Sprintf("f%07d", first+i)
				code, answer, err := root.do(ctx, http.MethodPost, "/replicas", registration(rse, scope, name))
				if err != nil {
					return err
				}
				if code != http.StatusCreated {
					return fmt.Errorf("%s: %d %s", name, code, answer)
				}
			}
		})
	}
	require.NoError(t, group.Wait())
}
