package fsm

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"dapple/internal/halt"
)

// TestLostStoreIsNotReplaced points to the first store, as in a new folder, where the live one is another.
func TestLostStoreIsNotReplaced(t *testing.T) {
	fs := vfs.NewMem()
	m := mustOpen(t, testConfig(fs))
	apply(t, m, configuration(1, "a"), entry(t, 2, script(t, "put x 1")))
	require.NoError(t, m.Close())
	require.NoError(t, fs.Rename("/state/"+firstStore, "/state/store-7"))
	_, err := Open(testConfig(fs))
	require.ErrorIs(t, err, halt.ErrStoreDamaged)
	require.Equal(t, []string{"store-7"}, names(t, fs), "the data are still there")
}

// TestTablesAreNotDropped removes the marker that names the manifest: Pebble would begin an empty database.
func TestTablesAreNotDropped(t *testing.T) {
	fs := vfs.NewMem()
	cfg := testConfig(fs)
	m := mustOpen(t, cfg)
	apply(t, m, configuration(1, "a"), entry(t, 2, script(t, "put x 1")))
	require.NoError(t, m.Close())
	before := storeFiles(t, fs, ".sst")
	require.NotEmpty(t, before)
	for _, file := range storeFiles(t, fs, "") {
		if strings.HasPrefix(file, "marker.manifest") {
			require.NoError(t, fs.Remove("/state/"+firstStore+"/"+file))
		}
	}
	_, err := Open(cfg)
	require.ErrorIs(t, err, halt.ErrStoreDamaged)
	require.Equal(t, before, storeFiles(t, fs, ".sst"))
}

func storeFiles(t *testing.T, fs vfs.FS, suffix string) (found []string) {
	t.Helper()
	all, err := fs.List("/state/" + firstStore)
	require.NoError(t, err)
	for _, file := range all {
		if strings.HasSuffix(file, suffix) {
			found = append(found, file)
		}
	}
	return found
}

// TestEveryChangedByteOfTheStore changes one byte in many places of the manifest and of the tables. The store is refused as damaged,
// when it is opened or read, or nothing in it differs. A manifest that ends early, as after a crash, may show an earlier state: Raft's
// log brings what came after.
func TestEveryChangedByteOfTheStore(t *testing.T) {
	fs := vfs.NewMem()
	cfg := testConfig(fs)
	for i, line := range []string{"put x 1", "put y 2"} {
		m := mustOpen(t, cfg)
		apply(t, m, configuration(uint64(2*i+1), "a"), entry(t, uint64(2*i+2), script(t, line)))
		require.NoError(t, m.Close())
	}
	for _, file := range storeFiles(t, fs, "") {
		if !strings.HasPrefix(file, "MANIFEST-") && !strings.HasSuffix(file, ".sst") {
			continue
		}
		path := "/state/" + firstStore + "/" + file
		whole := readAll(t, fs, path)
		for at := 0; at < len(whole); at += 1 + len(whole)/100 {
			changed := bytes.Clone(whole)
			changed[at] ^= 0x5a
			copied := vfs.NewMem()
			ok, err := vfs.Clone(fs, copied, "/state", "/state")
			require.NoError(t, err)
			require.True(t, ok)
			rewrite(t, copied, path, changed)
			requireSameOrDamaged(t, copied, file, at)
		}
	}
}

func requireSameOrDamaged(t *testing.T, fs vfs.FS, file string, at int) {
	t.Helper()
	m, err := Open(testConfig(fs))
	if err != nil {
		require.ErrorIs(t, err, halt.ErrStoreDamaged, "%s, byte %d", file, at)
		return
	}
	defer m.Close() //nolint:errcheck // it may have failed
	applied := m.AppliedIndex()
	require.Contains(t, []uint64{0, 2, 4}, applied)
	got, err := readKeys(m, "x", "y")
	if err != nil || m.Err() != nil {
		require.ErrorIs(t, m.Err(), halt.ErrStoreDamaged, "%s, byte %d: %v", file, at, err)
		return
	}
	require.Equal(t, map[uint64]string{0: "", 2: "1", 4: "12"}[applied], got, "%s, byte %d", file, at)
}

// readKeys returns the values of test keys, one after the other.
func readKeys(m *Machine, keys ...string) (all string, err error) {
	v, err := m.View()
	if err != nil {
		return "", err
	}
	defer v.Close()
	for _, key := range keys {
		value, _, err := v.Get(scriptKey(key))
		if err != nil {
			return "", err
		}
		all += string(value)
	}
	return all, nil
}

func readAll(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	require.NoError(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	return b
}

// TestLockErrors tells a folder that is in use from one whose lock cannot be taken for another reason.
func TestLockErrors(t *testing.T) {
	require.ErrorIs(t, lockError(syscall.EAGAIN), halt.ErrInUse)
	require.ErrorIs(t, lockError(syscall.EACCES), halt.ErrInUse)
	require.ErrorIs(t, lockError(errors.New("lock held by current process")), halt.ErrInUse)
	require.ErrorIs(t, lockError(&os.PathError{Op: "open", Path: "LOCK", Err: syscall.EACCES}), halt.ErrPermission)
	require.ErrorIs(t, lockError(&os.PathError{Op: "open", Path: "LOCK", Err: syscall.ENOSPC}), halt.ErrDiskFull)
	require.NotErrorIs(t, lockError(syscall.ENOLCK), halt.ErrInUse)
}
