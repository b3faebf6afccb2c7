package fsm

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"dapple/catalogue"
)

// newer returns a machine whose store a newer program has written, on disk.
func newer(t *testing.T, fs vfs.FS) *Machine {
	t.Helper()
	m := mustOpen(t, testConfig(fs))
	apply(t, m, configuration(1, "a"), entry(t, 2, genesis(t, 1)))
	key := catalogue.SystemKey("schema")
	value, found, err := m.reader.Get(key)
	require.NoError(t, err)
	require.True(t, found)
	value = binary.AppendUvarint(slices.Clone(value[:1]), catalogue.SchemaVersion+1)
	require.NoError(t, m.stores.live.db.Set(key, value, pebble.NoSync))
	takeSnapshot(t, m)
	return m
}

func TestStoreOfANewerSchemaIsNotOpened(t *testing.T) {
	fs := vfs.NewMem()
	require.NoError(t, newer(t, fs).Close())
	_, err := Open(testConfig(fs))
	require.ErrorIs(t, err, errNewerSchema)
	require.Len(t, names(t, fs), 1, "the store is left to a newer program")
}

// A leader sends what was not installed again: a state that this program will never know must stop the node.
func TestSnapshotOfANewerSchemaLatches(t *testing.T) {
	meta, b := stream(t, newer(t, vfs.NewMem()))
	fs := vfs.NewMem()
	m, told := failing(t, testConfig(fs))
	apply(t, m, configuration(1, "a"))
	require.ErrorIs(t, install(m, meta, b), errNewerSchema)
	require.ErrorIs(t, m.Err(), errNewerSchema)
	requireLatched(t, m, told)
	require.EqualValues(t, 1, m.AppliedIndex())
	require.Len(t, names(t, fs), 1, "nothing is left of it")
	require.NoError(t, m.Close())
	mustOpen(t, testConfig(fs))
}
