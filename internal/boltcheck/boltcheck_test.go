package boltcheck

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// database makes a file as Raft's store does, with overflow pages, an inline bucket and freed pages, and returns its content.
func database(t *testing.T, noFreelist bool) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: noFreelist, NoSync: true, FreelistType: bbolt.FreelistMapType})
	require.NoError(t, err)
	require.NoError(t, Verify(path), "an empty one")
	key := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
	for round := range 20 {
		require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
			logs, err := tx.CreateBucketIfNotExists([]byte("logs"))
			require.NoError(t, err)
			conf, err := tx.CreateBucketIfNotExists([]byte("conf"))
			require.NoError(t, err)
			require.NoError(t, conf.Put([]byte("CurrentTerm"), key(round)))
			for i := range 100 {
				require.NoError(t, logs.Put(key(100*round+i), bytes.Repeat([]byte{byte(i)}, 50+200*(i%50)*(i%2))))
			}
			for i := range 50 {
				require.NoError(t, logs.Delete(key(50*round+i)))
			}
			return nil
		}))
	}
	require.NoError(t, db.Close())
	require.NoError(t, Verify(path))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	newest, err := readMeta(bytes.NewReader(b), 0, 0, int64(len(b)))
	require.NoError(t, err)
	second, err := readMeta(bytes.NewReader(b), 1, int64(newest.pageSize), int64(len(b)))
	require.NoError(t, err)
	// What lies beyond is not in use yet: the file grows by megabytes.
	return b[:max(newest.pages, second.pages)*uint64(newest.pageSize)]
}

func TestVerify(t *testing.T) {
	for _, noFreelist := range []bool{true, false} {
		t.Run(fmt.Sprint("no freelist: ", noFreelist), func(t *testing.T) {
			whole := database(t, noFreelist)
			requireDamaged := func(b []byte, what string, args ...any) {
				t.Helper()
				require.ErrorIs(t, verify(bytes.NewReader(b), int64(len(b))), ErrDamaged, what, args)
			}
			for _, size := range []int{0, 1, 79, 4096, 4097, 8192, len(whole) / 2, len(whole) - 4096} {
				requireDamaged(whole[:size], "cut off at %d", size)
			}
			for _, at := range []int{0, 8, 16, 20, 24, 32, 48, 64, 72, 4096, 4096 + 40} {
				b := bytes.Clone(whole)
				b[at] ^= 0x40
				requireDamaged(b, "a bit of a meta page at %d", at)
			}
			zeroed := bytes.Clone(whole)
			clear(zeroed[8192:])
			requireDamaged(zeroed, "pages of zeros")
		})
	}
}

// A changed byte anywhere is found or does not hurt: bbolt then reads the file without a panic.
func TestVerifySpareBbolt(t *testing.T) {
	whole := database(t, true)
	path := filepath.Join(t.TempDir(), "db")
	refused := 0
	const pageSize = 4096
	var places []int
	for page := 0; page < len(whole)/pageSize; page += len(whole)/pageSize/25 + 1 {
		for _, at := range []int{0, 8, 10, 12, 16, 20, 24, 28, 1000} { // header, the first element, and somewhere
			places = append(places, page*pageSize+at)
		}
	}
	for _, at := range places {
		b := bytes.Clone(whole)
		b[at] ^= 1 << (at % 8)
		if err := verify(bytes.NewReader(b), int64(len(b))); err != nil {
			require.ErrorIs(t, err, ErrDamaged)
			refused++
			continue
		}
		require.NoError(t, os.WriteFile(path, b, 0o600))
		require.NotPanics(t, func() { readAll(t, path) }, "a byte at %d", at)
	}
	require.Greater(t, refused, 10)
}

func readAll(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true, NoSync: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(_, _ []byte) error { return nil })
		})
	}))
}
