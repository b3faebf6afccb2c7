package node_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/internal/testcluster"
	"dapple/node"
)

// open returns what is in a folder, itself included, that others than its owner have a permission on.
func open(t *testing.T, dir string) (names []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		if info.Mode().Type() != fs.ModeSymlink && info.Mode().Perm()&0o077 != 0 {
			names = append(names, info.Mode().String()+" "+path)
		}
		return nil
	}))
	return names
}

// A folder that was made for all, with files for all, is its owner's alone after the start, and so is what the node makes
// without the help of a umask. What a link leads to outside is none of its business. It says so once.
func TestDataFolderIsPrivate(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.WriteFile(outside, nil, 0o644))
	var logs bytes.Buffer
	var dir string
	cluster := testcluster.Start(t, 1, func(cfg *node.Config) {
		dir = cfg.DataDir
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "kept"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "kept", "note"), nil, 0o644))
		require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link")))
		cfg.Logger = slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	require.Empty(t, open(t, dir))
	info, err := os.Stat(outside)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o644), info.Mode().Perm())
	cluster.StopNode(0)
	require.Empty(t, open(t, dir))
	require.Equal(t, 1, bytes.Count(logs.Bytes(), []byte("had access to the data folder")), logs.String())

	cluster.StartNode(0)
	cluster.WaitReady()
	cluster.StopNode(0)
	require.Empty(t, open(t, dir))
	require.Equal(t, 1, bytes.Count(logs.Bytes(), []byte("had access to the data folder")), "a second start finds it private")
}
