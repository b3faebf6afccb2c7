package fsm

import (
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"dapple/internal/halt"
)

// On a full disk Pebble tries its flush again for ever. A machine that is closed does not wait for that, and says that the disk
// is full.
func TestCloseOnAFullDisk(t *testing.T) {
	var full atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".sst") {
			return syscall.ENOSPC
		}
		return nil
	}))
	m := mustOpen(t, testConfig(fs))
	apply(t, m, configuration(1, "a"))
	apply(t, m, inTerm(t, 1, 2, 20, "put x 1")...)
	full.Store(true)
	require.ErrorIs(t, m.Close(), halt.ErrDiskFull)
}

// A store whose manifest is lost, empty or changed is refused as damaged, and nothing of it is removed.
func TestBrokenManifest(t *testing.T) {
	for name, damage := range map[string]func(fs vfs.FS, path string){
		"missing": func(fs vfs.FS, path string) { require.NoError(t, fs.Remove(path)) },
		"empty":   func(fs vfs.FS, path string) { rewrite(t, fs, path, nil) },
		"changed": func(fs vfs.FS, path string) { rewrite(t, fs, path, []byte(strings.Repeat("x", 200))) },
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			cfg := testConfig(fs)
			m := mustOpen(t, cfg)
			apply(t, m, configuration(1, "a"))
			apply(t, m, inTerm(t, 1, 2, 20, "put x 1")...)
			require.NoError(t, m.Close())
			store := fs.PathJoin(cfg.Dir, firstStore)
			names, err := fs.List(store)
			require.NoError(t, err)
			found := 0
			for _, file := range names {
				if strings.HasPrefix(file, "MANIFEST-") {
					damage(fs, fs.PathJoin(store, file))
					found++
				}
			}
			require.NotZero(t, found)
			_, err = Open(cfg)
			require.ErrorIs(t, err, halt.ErrStoreDamaged)
		})
	}
}

func rewrite(t *testing.T, fs vfs.FS, path string, content []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(content)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}
