package node_test

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/stretchr/testify/require"

	"dapple/cluster"
	"dapple/command"
	"dapple/internal/testcluster"
	"dapple/node"
)

// TestSkipEntry puts an entry into the log that no node can apply, as a fault of an earlier version could: nodes stop at it, again
// after a restart. Skipped on those that have it, it is passed over; the third node, which has not seen it, goes along.
func TestSkipEntry(t *testing.T) {
	t.Parallel()
	c3 := testcluster.Start(t, 3)
	c := &client{t: t, base: c3.URLs()[0]}
	c.login()
	c.must(http.MethodPost, "/accounts/root/scopes/before", nil)
	requireSameDigest(t, c, c3.URLs())
	dirs := make([]string, 3)
	for i := range dirs {
		c3.Configure(i, func(cfg *node.Config) { dirs[i] = cfg.DataDir })
	}
	require.ErrorContains(t, node.SkipEntry(dirs[0], 1, ""), "in use by another process", "it runs")
	for i := range dirs {
		c3.StopNode(i)
	}

	index := appendBadEntry(t, dirs[2]) // the last to stop: its log is the longest
	for range 2 {
		for _, i := range []int{1, 2} {
			c3.StartNode(i)
		}
		for _, i := range []int{1, 2} {
			select {
			case <-c3.Node(i).Done():
			case <-time.After(2 * time.Minute):
				t.Fatal("a node goes on")
			}
			require.ErrorIs(t, c3.Node(i).Err(), node.ErrMachineFailed)
			require.ErrorContains(t, c3.Node(i).Err(), "command(999)")
			c3.StopNode(i)
		}
	}

	first, err := node.ReadEntry(dirs[1], index)
	require.NoError(t, err)
	second, err := node.ReadEntry(dirs[2], index)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Equal(t, command.Type(999), first.Commands[0].Type)
	require.ErrorIs(t, node.SkipEntry(dirs[1], index, "00"+first.Digest[2:]), cluster.ErrOtherEntry)
	require.ErrorIs(t, node.SkipEntry(dirs[1], 1, first.Digest), node.ErrApplied)
	require.ErrorIs(t, node.SkipEntry(dirs[0], index+100, first.Digest), cluster.ErrNoEntry)
	for range 2 { // twice does no harm
		require.NoError(t, node.SkipEntry(dirs[1], index, first.Digest))
		require.NoError(t, node.SkipEntry(dirs[2], index, first.Digest))
	}
	skipped, err := node.ReadEntry(dirs[1], index)
	require.NoError(t, err)
	require.True(t, skipped.Skipped)

	for i := range dirs {
		c3.StartNode(i)
	}
	c3.WaitReady()
	c.login()
	c.must(http.MethodPost, "/accounts/root/scopes/after", nil)
	requireSameDigest(t, c, c3.URLs())
}

// appendBadEntry appends an entry with a command that nobody knows to the log of a stopped node and returns its index.
func appendBadEntry(t *testing.T, dir string) uint64 {
	t.Helper()
	store, err := raftboltdb.NewBoltStore(filepath.Join(dir, "raft.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	last, err := store.LastIndex()
	require.NoError(t, err)
	var l raft.Log
	require.NoError(t, store.GetLog(last, &l))
	data, err := command.EncodeEntry(command.Entry{Time: time.Now().UnixMicro(), Commands: []command.Command{{Type: 999}}})
	require.NoError(t, err)
	require.NoError(t, store.StoreLog(&raft.Log{Index: last + 1, Term: l.Term, Data: data}))
	return last + 1
}
