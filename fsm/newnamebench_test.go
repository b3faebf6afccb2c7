package fsm

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"
)

// BenchmarkNewName looks for names that do not exist while level 0 has 24 runs, 20 for each entry of the log, as single registrations do.
func BenchmarkNewName(b *testing.B) {
	const runs, keys, series, each = 24, 100_000, 2000, 20
	s := openBareStore(b, defaultMemTableBytes)
	var next [series]int
	random := rand.New(rand.NewPCG(1, 1))
	name := func() []byte {
		k := random.IntN(series)
		next[k]++
		return fmt.Appendf([]byte{0x30, 0, 0, 0, 1}, "mc26_14TeV.00badcaf.AOD.merge.%06d.%08d.pool.root.1", k, next[k])
	}
	value := make([]byte, 64)
	for range runs {
		batch := s.db.NewBatch()
		for range keys {
			for i := range value {
				value[i] = byte(random.Uint32())
			}
			require.NoError(b, batch.Set(name(), value, nil))
		}
		require.NoError(b, batch.Commit(pebble.NoSync))
		require.NoError(b, s.db.Flush())
	}
	require.Equal(b, runs, s.runs())
	u := newUnflushed(s.db, unflushedKeys)
	for n := 1; b.Loop(); n++ {
		_, found, err := u.get(name())
		if err != nil || found {
			b.Fatal(found, err)
		}
		if n%each == 0 {
			require.NoError(b, u.done())
		}
	}
	require.NoError(b, u.done())
}
