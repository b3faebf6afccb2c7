package system

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDataFoldersArePrivate walks the folders of a cluster that has taken writes, cut its log, sent and installed a snapshot
// and been restarted, under a umask that hides nothing and the usual one, in folders that were made for all.
func TestDataFoldersArePrivate(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3, "--log-bytes", "1", "--snapshot-interval", "500ms")
	for i, p := range c.nodes {
		p.umask = []string{"000", "022", "000"}[i]
		require.NoError(t, os.MkdirAll(p.dir, 0o755))
		require.NoError(t, os.Chmod(p.dir, 0o755))
	}
	c.start()
	root := login(t, c.nodes[0])
	root.prepare(t, "private", "PRIVATE")
	leader := c.leader(root, c.nodes...)
	for files := 0; leader.metric("dapple_raft_first_index") <= 1; files += 1000 {
		registerSingly(t, root.at(leader), "private", "PRIVATE", files, 1000, 4)
		require.LessOrEqual(t, files, 100_000, "the log is never cut")
	}
	follower := c.nodes[0]
	if follower == leader {
		follower = c.nodes[2]
	}
	follower.terminate()
	follower.wipe()
	follower.start()
	c.waitReady(follower)
	require.NotZero(t, follower.metric("dapple_fsm_snapshots_installed_total"), "it came back without a snapshot")
	c.requirePrivate(t)
	for _, p := range c.nodes {
		p.terminate()
	}
	c.requirePrivate(t)
	c.start()
	c.requirePrivate(t)
}

// requirePrivate requires that nobody but the owner has a permission on any part of the folders.
func (c *cluster) requirePrivate(t *testing.T) {
	t.Helper()
	for _, p := range c.nodes {
		// A file has its mode an instant after it was made.
		require.Eventually(t, func() bool { return len(p.open()) == 0 }, patience, 100*time.Millisecond, "others may read %s", p.dir)
	}
}

// open returns the files and folders of a node that others than their owner have a permission on.
func (p *process) open() (names []string) {
	_ = filepath.WalkDir(p.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // removed meanwhile
		}
		if info, err := entry.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			names = append(names, path)
		}
		return nil
	})
	return names
}
