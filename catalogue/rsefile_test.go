package catalogue

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

// namesIndexed returns the names of all files that the index of files by RSE has.
func namesIndexed(t *testing.T, v View) (names []string) {
	t.Helper()
	low := []byte{tableRSEFile}
	require.NoError(t, v.Scan(low, prefixEnd(low), func(key, _ []byte) (bool, error) {
		names = append(names, string(key[9:]))
		return true, nil
	}))
	return names
}

func TestNoIndexOfFilesByRSE(t *testing.T) {
	s := newDIDStore(t)
	s.files("f")
	require.Empty(t, namesIndexed(t, s.tx))
}

// Clusters that were formed while there was an index of files by RSE keep theirs, in full.
func TestOlderSchemaIndexesFilesByRSE(t *testing.T) {
	s := newDIDStore(t)
	putSystemNumber(s.tx, systemSchema, unindexedSchema-1)
	s.files("f", "g", "h")
	didDo(s, "root", DeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: "h"}}})
	require.Equal(t, []string{"f", "g"}, namesIndexed(t, s.tx))
	damages := map[string]func(){
		"index without replica": func() { s.tx.Put(rseFileKey(2, didRef{2, "g"}), nil) },
		"index of no file":      func() { s.tx.Put(rseFileKey(1, didRef{2, "no"}), nil) },
		"index missing":         func() { s.tx.Delete(rseFileKey(1, didRef{2, "g"})) },
	}
	for _, name := range slices.Sorted(maps.Keys(damages)) {
		damages[name]()
		require.Error(t, CheckInvariants(s.tx), name)
		s.tx.Put(rseFileKey(1, didRef{2, "g"}), nil)
		s.tx.Delete(rseFileKey(1, didRef{2, "no"}))
		s.tx.Delete(rseFileKey(2, didRef{2, "g"}))
		require.NoError(t, CheckInvariants(s.tx))
	}
}
