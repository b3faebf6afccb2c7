package fsm

import (
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// worked lets time pass and tells how much of it a write then adds to that.
func worked(t *testing.T, file vfs.File, work time.Duration) (rested time.Duration) {
	t.Helper()
	time.Sleep(work) // of the bubble
	begin := time.Now()
	_, err := file.Write([]byte("x"))
	require.NoError(t, err)
	return time.Since(begin)
}

func TestCompactionsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		fs := pacedFS{vfs.NewMem(), p}
		file, err := fs.Create("compacted", compactionWrites)
		require.NoError(t, err)
		require.Zero(t, worked(t, file, paceStep-1))
		require.Equal(t, paceRest*paceStep, worked(t, file, 1))
		require.Zero(t, worked(t, file, paceStep-1), "rests are no work")
		require.Equal(t, paceRest*2*paceStep, worked(t, file, paceStep+1))
		require.Equal(t, paceRest*paceMost, worked(t, file, time.Hour))

		other, err := fs.Create("flushed", vfs.DiskWriteCategory("pebble-memtable-flush"))
		require.NoError(t, err)
		require.Zero(t, worked(t, other, time.Hour), "nothing but compactions rests")
		require.NoError(t, other.Close())

		go func() {
			time.Sleep(time.Hour + paceStep)
			p.hurry()
		}()
		require.Equal(t, paceStep, worked(t, file, time.Hour), "closing ends a rest")
		require.Zero(t, worked(t, file, time.Hour))
		require.NoError(t, file.Close())
	})
}

func TestLateCompactionsDoNotRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs := paceRuns
		p := newPace()
		p.watch(func() int { return runs })
		file, err := pacedFS{vfs.NewMem(), p}.Create("compacted", compactionWrites)
		require.NoError(t, err)
		require.Zero(t, worked(t, file, paceLook/2), "late from the start")
		runs = paceRuns - 1
		require.Zero(t, worked(t, file, paceLook/4), "not looked up yet")
		require.NotZero(t, worked(t, file, paceLook))
		runs = paceRuns
		require.Zero(t, worked(t, file, paceLook))
		require.NoError(t, file.Close())
	})
}

// openBareStore opens a store without a machine; it is closed with the test.
func openBareStore(t testing.TB, memTable int64) *store {
	t.Helper()
	f, err := openFolder(vfs.Default, t.TempDir())
	require.NoError(t, err)
	cache := pebble.NewCache(384 << 20)
	t.Cleanup(cache.Unref)
	s, err := openStore(f, firstStore, storeOptions{fs: f.fs, cache: cache, memTable: memTable, logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.close()) })
	return s
}

// A store knows how many runs there are.
func TestStoreCountsRuns(t *testing.T) {
	s := openBareStore(t, minMemTable)
	for range 3 {
		require.NoError(t, s.db.Set([]byte("a"), nil, pebble.NoSync))
		require.NoError(t, s.db.Flush())
	}
	require.Equal(t, 3, s.runs())
}

// Pebble calls what compactions write by the name that pace knows.
func TestCompactionsArePaced(t *testing.T) {
	p := newPace()
	p.hurry()
	fs := &noting{FS: vfs.NewMem(), written: map[vfs.DiskWriteCategory]bool{}}
	db, err := pebble.Open("db", &pebble.Options{FS: pacedFS{fs, p}, DisableWAL: true})
	require.NoError(t, err)
	for _, key := range []string{"a", "b"} {
		require.NoError(t, db.Set([]byte(key), nil, pebble.NoSync))
		require.NoError(t, db.Set([]byte("c"), nil, pebble.NoSync))
		require.NoError(t, db.Flush())
	}
	require.NoError(t, db.Compact(t.Context(), []byte("a"), []byte("d"), false))
	require.NoError(t, db.Close())
	require.True(t, fs.written[compactionWrites], "%v", fs.written)
}

// noting keeps the categories of the files that were made.
type noting struct {
	vfs.FS
	mu      sync.Mutex
	written map[vfs.DiskWriteCategory]bool
}

// Create implements vfs.FS.
func (n *noting) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	n.mu.Lock()
	n.written[category] = true
	n.mu.Unlock()
	return n.FS.Create(name, category)
}
