package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dapple/catalogue"
)

type pair struct{ key, value string }

func scanAll(t require.TestingT, v catalogue.View, low, high []byte) []pair {
	var all []pair
	require.NoError(t, v.Scan(low, high, func(key, value []byte) (bool, error) {
		all = append(all, pair{string(key), string(value)})
		return true, nil
	}))
	return all
}

// TestOverlayAgainstModel runs random commands, some of them refused, over a store that has keys of its own, and compares
// every read with a map that is copied for each command.
func TestOverlayAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, model := catalogue.NewMemTx(), catalogue.NewMemTx()
		name := rapid.Custom(func(t *rapid.T) []byte { return fmt.Appendf(nil, "%03d", rapid.IntRange(0, 400).Draw(t, "key")) })
		for range rapid.IntRange(0, 60).Draw(t, "stored") {
			key := name.Draw(t, "key")
			base.Put(key, []byte("base"))
			model.Put(key, []byte("base"))
		}
		o := newOverlay(base)
		for c := range rapid.IntRange(1, 20).Draw(t, "commands") {
			o.begin()
			work := copyOf(t, model)
			for range rapid.IntRange(0, 60).Draw(t, "steps") {
				key := name.Draw(t, "key")
				switch rapid.IntRange(0, 4).Draw(t, "step") {
				case 0, 1:
					value := fmt.Appendf(nil, "%d", c)
					o.Put(key, value)
					work.Put(key, value)
				case 2:
					o.Delete(key)
					work.Delete(key)
				case 3:
					want, wantFound, _ := work.Get(key)
					got, found, err := o.Get(key)
					require.NoError(t, err)
					require.Equal(t, wantFound, found)
					require.True(t, bytes.Equal(want, got))
				default:
					high := name.Draw(t, "high")
					if rapid.Bool().Draw(t, "open") {
						high = nil
					}
					require.Equal(t, scanAll(t, work, key, high), scanAll(t, o, key, high))
				}
			}
			if rapid.Bool().Draw(t, "refused") {
				o.rollback()
			} else {
				model = work
			}
			require.Equal(t, scanAll(t, model, nil, nil), scanAll(t, o, nil, nil))
		}
	})
}

func copyOf(t require.TestingT, v catalogue.View) *catalogue.MemTx {
	c := catalogue.NewMemTx()
	for _, p := range scanAll(t, v, nil, nil) {
		c.Put([]byte(p.key), []byte(p.value))
	}
	return c
}

// TestWritingWhileScanning compares with MemTx what a scan sees of the writes of its own visits.
func TestWritingWhileScanning(t *testing.T) {
	run := func(tx catalogue.Tx) []string {
		var seen []string
		require.NoError(t, tx.Scan([]byte("a"), []byte("z"), func(key, value []byte) (bool, error) {
			seen = append(seen, string(key)+"="+string(value))
			if string(key) == "b" {
				tx.Put([]byte("c"), []byte("changed")) // of the base, ahead
				tx.Put([]byte("d"), []byte("changed")) // of the overlay, ahead
				tx.Put([]byte("bb"), []byte("new"))    // was not there
				tx.Delete([]byte("e"))
				tx.Delete([]byte("f"))
				tx.Put([]byte("g"), []byte("back")) // was deleted
			}
			return string(key) != "h", nil
		}))
		return append(seen, fmt.Sprint(scanAll(t, tx, nil, nil)))
	}
	model, base := catalogue.NewMemTx(), catalogue.NewMemTx()
	for _, key := range []string{"a", "b", "c", "e", "g", "h", "i"} {
		model.Put([]byte(key), []byte("base"))
		base.Put([]byte(key), []byte("base"))
	}
	o := newOverlay(base)
	for _, tx := range []catalogue.Tx{model, o} {
		tx.Put([]byte("d"), []byte("early"))
		tx.Put([]byte("f"), []byte("early"))
		tx.Delete([]byte("g"))
	}
	require.Equal(t, run(model), run(o))
}

func TestNestedScanAndStop(t *testing.T) {
	base := catalogue.NewMemTx()
	o := newOverlay(base)
	for i := range 5 {
		base.Put(fmt.Appendf(nil, "k%d", 2*i), []byte("v"))
		o.Put(fmt.Appendf(nil, "k%d", 2*i+1), []byte("w"))
	}
	visits := 0
	require.NoError(t, o.Scan([]byte("k"), nil, func(key, _ []byte) (bool, error) {
		outer := string(key)
		require.Equal(t, fmt.Sprintf("k%d", visits), outer)
		visits++
		inner := 0
		err := o.Scan(key, nil, func(k, _ []byte) (bool, error) { inner++; return inner < 2, nil })
		require.Equal(t, outer, string(key), "the outer key stays valid")
		return visits < 8, err
	}))
	require.Equal(t, 8, visits)

	boom := fmt.Errorf("boom")
	for stop := range 10 {
		n := 0
		err := o.Scan([]byte("k"), nil, func(_, _ []byte) (bool, error) {
			n++
			if n == stop+1 {
				return true, boom
			}
			return true, nil
		})
		require.Same(t, boom, err, "a visitor's error is passed on as it is")
		require.Equal(t, stop+1, n)
	}
}

func TestOverlayIsUsedAgain(t *testing.T) {
	base := catalogue.NewMemTx()
	o := newOverlay(base)
	for round := range 3 {
		o.begin()
		for i := range placesKept + 10 {
			o.Put(fmt.Appendf(nil, "%d-%d", round, i), []byte("x"))
		}
		require.Len(t, scanAll(t, o, nil, nil), placesKept+10)
		o.reset()
		require.Empty(t, scanAll(t, o, nil, nil))
		require.Zero(t, o.size())
		require.False(t, o.wrote())
	}
}
