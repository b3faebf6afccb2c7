package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// parentNames returns the names of what a DID of scope s is attached to, in the order of ScanParents.
func parentNames(t require.TestingT, v View, name string) (names []string) {
	require.NoError(t, ScanParents(v, "s", name, func(_, parent string, _ DIDType) (bool, error) {
		names = append(names, parent)
		return true, nil
	}))
	return names
}

// tabled returns the names of the parents that the table has of a DID of scope s.
func (s *didStore) tabled(name string) (names []string) {
	s.t.Helper()
	require.NoError(s.t, scanRefs(s.tx, parentsPrefix(didRef{2, name}), func(parent didRef) (bool, error) {
		names = append(names, parent.name)
		return true, nil
	}))
	return names
}

// The one dataset that most files are in costs no key of its own.
func TestFirstParentIsTheHome(t *testing.T) {
	s := newDIDStore(t)
	s.files("f")
	s.collections(TypeDataset, "a", "m", "z")
	s.collections(TypeContainer, "c")
	before, err := GetDID(s.tx, "s", "f")
	require.NoError(t, err)
	s.attach("m", "f")
	s.attach("c", "m")
	require.Empty(t, s.tabled("f"))
	require.Empty(t, s.tabled("m"))
	require.Equal(t, []string{"m"}, parentNames(t, s.tx, "f"))
	after, err := GetDID(s.tx, "s", "f")
	require.NoError(t, err)
	require.Equal(t, before.Revision, after.Revision, "an attachment does not change the file")
	require.Equal(t, before.Updated, after.Updated)

	s.attach("z", "f")
	s.attach("a", "f")
	require.Equal(t, []string{"a", "z"}, s.tabled("f"))
	require.Equal(t, []string{"a", "m", "z"}, parentNames(t, s.tx, "f"), "in order, wherever they are kept")
	above, err := AllParents(s.tx, "s", "f")
	require.NoError(t, err)
	require.Equal(t, []DIDName{{"s", "a"}, {"s", "m"}, {"s", "z"}, {"s", "c"}}, above)

	didDo(s, "root", DetachDIDs, detachFrom("m", "f"))
	require.Equal(t, []string{"a", "z"}, parentNames(t, s.tx, "f"))
	s.attach("m", "f")
	require.Equal(t, []string{"a", "z"}, s.tabled("f"), "who has lost its home takes the next one")
	didDo(s, "root", DetachDIDs, detachFrom("a", "f"))
	require.Equal(t, []string{"m", "z"}, parentNames(t, s.tx, "f"))
}

// A visitor that has seen enough is not called again, wherever the parents are kept.
func TestScanParentsEnds(t *testing.T) {
	s := newDIDStore(t)
	s.files("f")
	s.collections(TypeDataset, "a", "m", "z")
	for _, dataset := range []string{"m", "a", "z"} {
		s.attach(dataset, "f")
	}
	for enough := 1; enough <= 3; enough++ {
		seen := 0
		require.NoError(t, ScanParents(s.tx, "s", "f", func(string, string, DIDType) (bool, error) {
			seen++
			return seen < enough, nil
		}))
		require.Equal(t, enough, seen)
	}
}

// Clusters that were formed before there were homes keep all parents in the table.
func TestOlderSchemaHasNoHomes(t *testing.T) {
	s := newDIDStore(t)
	putSystemNumber(s.tx, systemSchema, homeSchema-1)
	s.files("f")
	s.collections(TypeDataset, "a", "b")
	s.attach("b", "f")
	s.attach("a", "f")
	require.Equal(t, []string{"a", "b"}, s.tabled("f"))
	require.Equal(t, []string{"a", "b"}, parentNames(t, s.tx, "f"))
	didDo(s, "root", DetachDIDs, detachFrom("b", "f"))
	require.Equal(t, []string{"a"}, parentNames(t, s.tx, "f"))

	// A schema version is raised by an entry of the log; what the table has stays there.
	putSystemNumber(s.tx, systemSchema, homeSchema)
	s.attach("b", "f")
	require.Equal(t, []string{"a"}, s.tabled("f"))
	require.Equal(t, []string{"a", "b"}, parentNames(t, s.tx, "f"))
}
