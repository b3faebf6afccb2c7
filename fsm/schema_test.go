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

// newerVersions are what only a newer program writes: a schema version, and a feature level above it in the same number.
var newerVersions = map[string]uint64{
	"schema version": catalogue.SchemaVersion + 1, "feature level": catalogue.SchemaVersion | (catalogue.NewestFeatureLevel+1)<<8,
}

// newer returns a machine whose store a newer program has written, on disk.
func newer(t *testing.T, fs vfs.FS, versions uint64) *Machine {
	t.Helper()
	m := mustOpen(t, testConfig(fs))
	apply(t, m, configuration(1, "a"), entry(t, 2, genesis(t, 1)))
	key := catalogue.SystemKey("schema")
	value, found, err := m.reader.Get(key)
	require.NoError(t, err)
	require.True(t, found)
	value = binary.AppendUvarint(slices.Clone(value[:1]), versions)
	require.NoError(t, m.stores.live.db.Set(key, value, pebble.NoSync))
	takeSnapshot(t, m)
	return m
}

func TestStoreOfANewerSchemaIsNotOpened(t *testing.T) {
	for name, versions := range newerVersions {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			require.NoError(t, newer(t, fs, versions).Close())
			_, err := Open(testConfig(fs))
			require.ErrorIs(t, err, errNewerSchema)
			require.Len(t, names(t, fs), 1, "the store is left to a newer program")
		})
	}
}

// A leader sends what was not installed again: a state that this program will never know must stop the node.
func TestSnapshotOfANewerSchemaLatches(t *testing.T) {
	for name, versions := range newerVersions {
		t.Run(name, func(t *testing.T) {
			meta, b := stream(t, newer(t, vfs.NewMem(), versions))
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
		})
	}
}
