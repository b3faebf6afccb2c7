package fsm

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"dapple/internal/halt"
)

func TestOpenRemovesWhatACrashLeft(t *testing.T) {
	fs := vfs.NewMem()
	m := mustOpen(t, testConfig(fs))
	apply(t, m, entry(t, 1, script(t, "put x 1")))
	require.NoError(t, m.Close())
	for _, name := range []string{"store-7", "checkpoint-8"} {
		require.NoError(t, fs.MkdirAll("/state/"+name, 0o755))
		require.NoError(t, writeFile(fs, "/state/"+name+"/000001.sst", []byte("half")))
	}
	require.NoError(t, writeFile(fs, "/state/"+currentTemporary, []byte("store-7\n")))
	require.NoError(t, writeFile(fs, "/state/notes.txt", []byte("an operator's")))
	m = mustOpen(t, testConfig(fs))
	require.Equal(t, "1", get(t, m, "x"))
	require.Equal(t, []string{"notes.txt", "store-1"}, names(t, fs))
}

func TestStateFolderIsUsedByOne(t *testing.T) {
	fs := vfs.NewMem()
	m := mustOpen(t, testConfig(fs))
	apply(t, m, entry(t, 1, script(t, "put x 1")))
	_, err := Open(testConfig(fs))
	require.ErrorIs(t, err, halt.ErrInUse)
	require.Equal(t, "1", get(t, m, "x"))
}

// TestDamagedFolders: nothing may be removed, and no empty state begun, where the pointer cannot be trusted.
func TestDamagedFolders(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, fs vfs.FS){
		"pointer lost":         func(t *testing.T, fs vfs.FS) { require.NoError(t, fs.Remove("/state/CURRENT")) },
		"pointer empty":        func(t *testing.T, fs vfs.FS) { require.NoError(t, writeFile(fs, "/state/CURRENT", nil)) },
		"pointer to elsewhere": func(t *testing.T, fs vfs.FS) { require.NoError(t, writeFile(fs, "/state/CURRENT", []byte("../x\n"))) },
		"pointer to a path": func(t *testing.T, fs vfs.FS) {
			require.NoError(t, writeFile(fs, "/state/CURRENT", []byte("store-1/../..\n")))
		},
		"pointer to a lost store": func(t *testing.T, fs vfs.FS) {
			require.NoError(t, writeFile(fs, "/state/CURRENT", []byte("store-9\n")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			m := mustOpen(t, testConfig(fs))
			apply(t, m, entry(t, 1, script(t, "put x 1")))
			require.NoError(t, m.Close())
			damage(t, fs)
			_, err := Open(testConfig(fs))
			require.ErrorIs(t, err, halt.ErrStoreDamaged)
			require.Equal(t, []string{"store-1"}, names(t, fs), "the data are still there")
		})
	}
}

func TestCrashBeforeTheFirstStore(t *testing.T) {
	fs := vfs.NewMem()
	require.NoError(t, fs.MkdirAll("/state", 0o755))
	require.NoError(t, writeFile(fs, "/state/CURRENT", []byte(firstStore+"\n")))
	m := mustOpen(t, testConfig(fs))
	require.Zero(t, m.AppliedIndex())
}

func TestOnDisk(t *testing.T) {
	cfg := testConfig(nil)
	cfg.Dir = t.TempDir() + "/a/state"
	m := mustOpen(t, cfg)
	apply(t, m, configuration(1, "a"), entry(t, 2, script(t, "put x 1")))
	takeSnapshot(t, m)
	meta, b := stream(t, m)
	other := newMachine(t)
	require.NoError(t, install(other, meta, b))
	require.Equal(t, stateDigest(t, m), stateDigest(t, other))
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	m = mustOpen(t, cfg)
	require.Equal(t, "1", get(t, m, "x"))
}
