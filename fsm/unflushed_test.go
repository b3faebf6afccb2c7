package fsm

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dapple/catalogue"
)

// didKeys returns keys of records of DIDs.
func didKeys(t require.TestingT, n int) [][]byte {
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = fmt.Appendf([]byte{0x30, 0, 0, 0, 1}, "name%04d", i)
		require.True(t, catalogue.IsDID(keys[i]))
	}
	return keys
}

// TestUnflushedReads compares reads through the writer's reader with what was written, over commits, deletions, flushes and
// generations so small that they turn all the time.
func TestUnflushedReads(t *testing.T) {
	keys := didKeys(t, 64)
	rapid.Check(t, func(t *rapid.T) {
		db, err := pebble.Open("", &pebble.Options{FS: vfs.NewMem(), DisableWAL: true})
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		r := &dbReader{db: db, unflushed: newUnflushed(db, 8*keysPerWord)}
		o := newOverlay(r)
		want := map[string]string{}
		for n := range rapid.IntRange(1, 60).Draw(t, "commits") {
			for range rapid.IntRange(0, 6).Draw(t, "commands") {
				key := rapid.SampledFrom(keys).Draw(t, "key")
				value, found, err := o.Get(key)
				require.NoError(t, err)
				wanted, known := want[string(key)]
				require.Equal(t, known, found, "%s", key)
				require.Equal(t, wanted, string(value), "%s", key)
				if rapid.IntRange(0, 2).Draw(t, "deletes") == 0 {
					o.Delete(key)
					delete(want, string(key))
				} else {
					want[string(key)] = fmt.Sprint(n)
					o.Put(key, fmt.Append(nil, n))
				}
			}
			batch := db.NewBatch()
			_, err := o.writeTo(batch, func(c *change) { r.unflushed.add(c.key) })
			require.NoError(t, err)
			require.NoError(t, batch.Commit(pebble.NoSync))
			o.reset()
			require.NoError(t, r.done())
			require.NoError(t, r.unflushed.turn())
			if rapid.IntRange(0, 5).Draw(t, "flushes") == 0 {
				require.NoError(t, db.Flush())
			}
		}
		require.NoError(t, r.done())
	})
}

// TestUnflushedHolds: what has been written is held until its flush is over, and then forgotten; what was not is mostly known not
// to be there.
func TestUnflushedHolds(t *testing.T) {
	const generation = 1 << 10
	db, err := pebble.Open("", &pebble.Options{FS: vfs.NewMem(), DisableWAL: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	u := newUnflushed(db, generation)
	keys := didKeys(t, 4*generation)
	held := func(of [][]byte) (n int) {
		for _, key := range of {
			if u.holds(key) {
				n++
			}
		}
		return n
	}
	for i := 0; u.room > 0; i++ {
		require.NoError(t, db.Set(keys[i], nil, pebble.NoSync))
		u.add(keys[i])
	}
	require.Equal(t, generation, held(keys[:generation]))
	require.Less(t, held(keys[2*generation:]), generation/10, "found of what was not written")
	require.NoError(t, u.turn())
	require.Equal(t, generation, held(keys[:generation]), "while it is being flushed")
	<-u.flushed
	require.NoError(t, u.turn())
	require.Zero(t, held(keys))
	require.True(t, u.holds(catalogue.SessionKey("a")), "no table but that of DIDs is known")
}
