package fsm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestKeyOrderAgainstSort adds changes in orders of all kinds and compares ranges of them with a sorted list.
func TestKeyOrderAgainstSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			orders  keyOrders
			changes []change
			want    []string
		)
		for range rapid.IntRange(1, 2).Draw(t, "batches") { // the second uses memory of the first
			orders.reset()
			changes, want = nil, nil
			for n := range rapid.IntRange(1, 30).Draw(t, "spurts") {
				table, down := rapid.IntRange(1, 3).Draw(t, "table"), rapid.Bool().Draw(t, "down")
				for i := range rapid.IntRange(1, 100).Draw(t, "keys") {
					if down {
						i = 999 - i
					}
					key := fmt.Sprintf("%c%03d%02d", table, i, n)
					changes, want = append(changes, change{key: []byte(key)}), append(want, key)
					orders.add(changes, len(changes)-1)
				}
				slices.Sort(want)
				low := fmt.Sprintf("%c%03d", rapid.IntRange(0, 3).Draw(t, "from"), rapid.IntRange(0, 999).Draw(t, "low"))
				high := fmt.Sprintf("%c%03d", rapid.IntRange(0, 4).Draw(t, "to"), rapid.IntRange(0, 999).Draw(t, "high"))
				first, _ := slices.BinarySearch(want, low)
				last, _ := slices.BinarySearch(want, high)
				require.Equal(t, want[first:max(first, last)], keysAt(changes, orders.between(changes, []byte(low), []byte(high))))
				require.Equal(t, want[first:], keysAt(changes, orders.between(changes, []byte(low), nil)))
			}
			var all []int
			require.NoError(t, orders.each(changes, func(place int) error { all = append(all, place); return nil }))
			require.Equal(t, want, keysAt(changes, all))
		}
	})
}

func keysAt(changes []change, places []int) []string {
	keys := make([]string, len(places))
	for i, place := range places {
		keys[i] = string(changes[place].key)
	}
	return keys
}

// TestKeyOrderStaysShort scans after each of many writes: what a scan has to look through grows with their logarithm. What
// commands write in order, alternating between a few places, is never sorted.
func TestKeyOrderStaysShort(t *testing.T) {
	const n = 20_000
	random := rand.New(rand.NewPCG(1, 2))
	for name, key := range map[string]func(i int) string{
		"at random":   func(int) string { return fmt.Sprintf("t%09d", random.IntN(1e9)) },
		"descending":  func(i int) string { return fmt.Sprintf("t%09d", n-i) },
		"alternating": func(i int) string { return fmt.Sprintf("t%d%09d", i%3, i) },
	} {
		t.Run(name, func(t *testing.T) {
			var orders keyOrders
			var changes []change
			for i := range n {
				changes = append(changes, change{key: []byte(key(i))})
				orders.add(changes, i)
				orders.between(changes, []byte("t5"), []byte("t5"))
				k := orders.tables['t']
				require.LessOrEqual(t, len(k.recent), sortRecent+1)
				require.LessOrEqual(t, len(k.runs), openRuns+16)
				if name == "alternating" {
					require.Empty(t, k.recent)
				}
			}
		})
	}
}

// TestScansShareAnIterator compares the writer's scans, nested ones too, with those of a reader that makes an iterator for
// each, over commits in between.
func TestScansShareAnIterator(t *testing.T) {
	db, err := pebble.Open("", &pebble.Options{FS: vfs.NewMem(), DisableWAL: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	r, fresh := &dbReader{db: db, again: true}, &dbReader{db: db}
	random := rand.New(rand.NewPCG(1, 2))
	some := func() []byte { return fmt.Appendf(nil, "%03d", random.IntN(300)) }
	for range 30 {
		for range 20 {
			require.NoError(t, db.Set(some(), some(), pebble.NoSync))
			require.NoError(t, db.Delete(some(), pebble.NoSync))
		}
		require.NoError(t, r.done())
		var first *pebble.Iterator
		for range 20 {
			low, high := some(), some()
			if bytes.Compare(low, high) > 0 {
				low, high = high, low
			}
			require.Equal(t, scanAll(t, fresh, low, high), scanAll(t, r, low, high))
			if first == nil {
				first = r.idle
			}
			require.Same(t, first, r.idle)
			require.NoError(t, r.Scan(low, high, func(key, _ []byte) (bool, error) {
				outer := string(key)
				require.Equal(t, scanAll(t, fresh, key, nil), scanAll(t, r, key, nil))
				require.Equal(t, outer, string(key))
				return random.IntN(2) == 0, nil
			}))
			first = r.idle
		}
	}
	require.NoError(t, r.done())
	require.Nil(t, r.idle)
}
