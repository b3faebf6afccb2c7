package fsm

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// TestRunsReadWhatIsThere reads in the ways that begin, break and end runs, and compares with a map.
func TestRunsReadWhatIsThere(t *testing.T) {
	db, err := pebble.Open("", &pebble.Options{FS: vfs.NewMem()})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	random := rand.New(rand.NewPCG(7, 7))
	numbered := func(table byte, n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{table}, n) }
	held := map[string]string{}
	for range 5000 {
		key, value := numbered(byte(random.IntN(3)), random.Uint32N(20000)), binary.AppendUvarint(nil, random.Uint64())
		require.NoError(t, db.Set(key, value, pebble.NoSync))
		held[string(key)] = string(value)
	}
	r := &dbReader{db: db}
	check := func(table byte, n uint32) {
		key := numbered(table, n)
		value, found, err := r.Get(key)
		require.NoError(t, err)
		want, there := held[string(key)]
		require.Equal(t, there, found, "%x", key)
		require.Equal(t, want, string(value), "%x", key)
	}
	ran := 0 // keys after which an iterator was open
	for range 3000 {
		table, at := byte(random.IntN(3)), random.Uint32N(20000)
		stride := []uint32{0, 1, 3, 50, 2000}[random.IntN(5)]
		for range random.IntN(60) {
			check(table, at)
			at += random.Uint32N(stride + 1)
			if random.IntN(8) == 0 {
				check(byte(random.IntN(3)), random.Uint32N(20000))
			}
			if r.runs.iter != nil {
				ran++
			}
		}
		if random.IntN(10) == 0 { // what is written in between is seen after done
			require.NoError(t, r.done())
			key := numbered(table, at)
			if random.IntN(2) == 0 {
				require.NoError(t, db.Delete(key, pebble.NoSync))
				delete(held, string(key))
			} else {
				require.NoError(t, db.Set(key, []byte("new"), pebble.NoSync))
				held[string(key)] = "new"
			}
		}
	}
	require.NoError(t, r.done())
	require.Greater(t, ran, 10000)
}

// TestFarKeysEndARun: keys that are far apart are read by themselves, for the bloom filters.
func TestFarKeysEndARun(t *testing.T) {
	db, err := pebble.Open("", &pebble.Options{FS: vfs.NewMem()})
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for n := range uint32(10000) {
		require.NoError(t, db.Set(binary.BigEndian.AppendUint32([]byte{1}, n), []byte("x"), pebble.NoSync))
	}
	r := &dbReader{db: db}
	began, ended := false, false
	for n := uint32(0); n < 10000; n += 100 {
		_, found, err := r.Get(binary.BigEndian.AppendUint32([]byte{1}, n))
		require.NoError(t, err)
		require.True(t, found)
		began = began || r.runs.iter != nil
		ended = began && r.runs.iter == nil
	}
	require.True(t, began && ended)
	require.NoError(t, r.done())
}
