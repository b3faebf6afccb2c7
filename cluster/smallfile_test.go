package cluster

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/internal/halt"
)

// TestSmallFiles changes each byte of a file in turn: it is refused, or says the same.
func TestSmallFiles(t *testing.T) {
	dir := t.TempDir()
	whole := meta{Name: "n1", Incarnation: "0123456789abcdef", Cluster: "000102030405060708090a0b0c0d0e0f", Started: true}
	require.NoError(t, saveMeta(dir, whole))
	path := filepath.Join(dir, metaName)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	for at := range b {
		for _, change := range []byte{1, 0x5a, 0x80} {
			changed := append([]byte(nil), b...)
			changed[at] ^= change
			require.NoError(t, os.WriteFile(path, changed, 0o600))
			if got, err := loadMeta(dir); err != nil {
				require.ErrorIs(t, err, halt.ErrFolderIncomplete)
			} else {
				require.Equal(t, whole, got, "%s", changed)
			}
		}
	}
	for n := range len(b) - 1 { // without the line break it is whole
		require.NoError(t, os.WriteFile(path, b[:n], 0o600))
		_, err := loadMeta(dir)
		require.ErrorIs(t, err, halt.ErrFolderIncomplete)
	}

	earlier, err := json.Marshal(whole) // had no checksum
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(earlier, '\n'), 0o600))
	got, err := loadMeta(dir)
	require.NoError(t, err)
	require.Equal(t, whole, got)

	later := sealSmall([]byte(`{"name":"n1","incarnation":"0123","later":true}`)) // has a member that this version does not know
	require.NoError(t, os.WriteFile(path, later, 0o600))
	_, err = loadMeta(dir)
	require.NoError(t, err)
}

// TestLostMemoryIsRefused removes the file once the node has written it; a new node, or one of an earlier version, has none.
func TestLostMemoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	m, err := loadMemories(dir, false)
	require.NoError(t, err)
	require.False(t, m.exists())
	require.NoError(t, m.save())
	require.False(t, m.exists(), "there is no news")
	m.committed(mark{1, 2})
	require.NoError(t, m.save())
	require.True(t, m.exists())
	m, err = loadMemories(dir, true)
	require.NoError(t, err)
	require.Equal(t, mark{1, 2}, m.commit())
	require.NoError(t, os.Remove(m.path))
	_, err = loadMemories(dir, true)
	require.ErrorIs(t, err, halt.ErrFolderIncomplete)
}
