package fsm

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"
)

// crashes returns a file system over fs that keeps a copy of what a crash before each change would leave.
func crashes(fs *vfs.MemFS, on func() bool, percent int) (vfs.FS, func() []*vfs.MemFS) {
	var mu sync.Mutex
	var all []*vfs.MemFS
	r := rand.New(rand.NewPCG(4, 4))
	hooked := errorfs.Wrap(lockingFS{fs, &mu}, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if on() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			all = append(all, fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r}))
		}
		return nil
	}))
	return hooked, func() []*vfs.MemFS {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// lockingFS keeps Lock and the copying of a MemFS apart: Lock takes a read lock twice, and waits for ever where a copy wants
// the write lock in between.
type lockingFS struct {
	*vfs.MemFS
	mu *sync.Mutex
}

// Lock implements vfs.FS.
func (f lockingFS) Lock(name string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.MemFS.Lock(name)
}

// TestCrashDuringInstall stops the disk before every change that an install makes: what a start finds is the old or the
// new state, and nothing else is left in the folder. Of what was not synced, all is kept or nothing: Pebble relies on a synced
// file being found in its folder, as disks do it, which a random part would break.
func TestCrashDuringInstall(t *testing.T) {
	source, history := filled(t, vfs.NewMem(), 21, 50)
	meta, b := stream(t, source)
	newDigest := stateDigest(t, source)
	for _, percent := range []int{0, 100} {
		t.Run(fmt.Sprint(percent), func(t *testing.T) {
			var mu sync.Mutex
			recording := false
			record := func(v bool) {
				mu.Lock()
				defer mu.Unlock()
				recording = v
			}
			fs, taken := crashes(vfs.NewCrashableMem(), func() bool { mu.Lock(); defer mu.Unlock(); return recording }, percent)
			m := mustOpen(t, testConfig(fs))
			apply(t, m, history[:20]...)
			takeSnapshot(t, m)
			oldIndex, oldDigest := m.AppliedIndex(), stateDigest(t, m)
			record(true)
			require.NoError(t, install(m, meta, b))
			require.NoError(t, m.Close())
			record(false)

			found := map[string]int{}
			for i, crashed := range taken() {
				c, err := Open(testConfig(crashed))
				require.NoError(t, err, "crash %d", i)
				switch c.AppliedIndex() {
				case oldIndex:
					require.Equal(t, oldDigest, stateDigest(t, c), "crash %d", i)
					found["old"]++
				case meta.Index:
					require.Equal(t, newDigest, stateDigest(t, c), "crash %d", i)
					found["new"]++
				default:
					require.Failf(t, "neither state", "crash %d: index %d", i, c.AppliedIndex())
				}
				require.Len(t, names(t, crashed), 1, "crash %d", i)
				require.NoError(t, c.Close())
			}
			require.NotZero(t, found["old"])
			require.NotZero(t, found["new"])
		})
	}
}

// TestErrorsDuringInstall lets each change that an install makes fail once: the machine goes on with the old state or has
// failed, and a start finds the old or the new state.
func TestErrorsDuringInstall(t *testing.T) {
	source, history := filled(t, vfs.NewMem(), 21, 30)
	meta, b := stream(t, source)
	for fault := 0; ; fault++ {
		disk := vfs.NewMem()
		var mu sync.Mutex
		left := -1
		fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if left < 0 || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
				return nil
			}
			left--
			if left == -1 {
				return errDisk
			}
			return nil
		}))
		m, err := Open(testConfig(fs))
		require.NoError(t, err)
		apply(t, m, history[:10]...)
		takeSnapshot(t, m)
		old := m.AppliedIndex()
		mu.Lock()
		left = fault
		mu.Unlock()
		installed := install(m, meta, b)
		mu.Lock()
		reached := left == -1
		left = -1
		mu.Unlock()
		switch {
		case installed == nil:
			require.Equal(t, meta.Index, m.AppliedIndex(), "fault %d", fault)
		case m.Err() == nil:
			require.Equal(t, old, m.AppliedIndex(), "fault %d", fault)
			apply(t, m, entry(t, old+1, script(t, "put x 1")))
			require.NoError(t, install(m, meta, b), "fault %d: again", fault)
		}
		_ = m.Close() // the fault may have come while the old store was being removed
		m, err = Open(testConfig(disk))
		require.NoError(t, err, "fault %d", fault)
		require.Contains(t, []uint64{old, meta.Index}, m.AppliedIndex(), "fault %d", fault)
		require.NoError(t, m.Close())
		if !reached {
			require.Greater(t, fault, 20, "the faults were reached")
			return
		}
	}
}

func TestInstallWhileReadersHoldTheOldStore(t *testing.T) {
	source, history := filled(t, vfs.NewMem(), 21, 50)
	meta, b := stream(t, source)
	fs := vfs.NewMem()
	m := mustOpen(t, testConfig(fs))
	apply(t, m, history[:20]...)
	old := m.AppliedIndex()
	v, err := m.View()
	require.NoError(t, err)
	before := scanAll(t, v, scriptKey(""), nil)

	visits := 0
	require.NoError(t, v.Scan(scriptKey(""), nil, func(_, _ []byte) (bool, error) {
		if visits++; visits == 2 {
			require.NoError(t, install(m, meta, b))
		}
		return true, nil
	}))
	require.Len(t, before, visits)
	require.Equal(t, before, scanAll(t, v, scriptKey(""), nil), "the view stands")
	require.Equal(t, old, v.Index())
	require.Len(t, names(t, fs), 2, "the old store is still there")

	now, err := m.View()
	require.NoError(t, err)
	require.Equal(t, meta.Index, now.Index())
	require.NoError(t, now.Close())
	require.NoError(t, v.Close())
	require.Eventually(t, func() bool { return len(names(t, fs)) == 1 }, waitLong, waitStep)
}

func FuzzUnpacker(f *testing.F) {
	f.Add(appendStreamHead(nil, []streamFile{{"a", 3}}), 1)
	f.Add([]byte(streamMagic), 3)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		fs := vfs.NewMem()
		u, err := newUnpacker(fs, "in")
		require.NoError(t, err)
		if cut = cut % (len(b) + 1); cut < 0 {
			cut = 0
		}
		_, _ = u.Write(b[:cut])
		_, _ = u.Write(b[cut:])
		if err := u.finish(); err != nil {
			return
		}
		p, err := newPacker(fs, "in")
		require.NoError(t, err)
		again, err := io.ReadAll(p)
		require.NoError(t, err)
		require.Len(t, again, len(b), "what was taken as whole can be sent again")
	})
}
