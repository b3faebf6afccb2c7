package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func change(name string, state ReplicaState) *command.ReplicaChange {
	return &command.ReplicaChange{Scope: "s", Name: name, State: uint32(state)}
}

func updateAt(rse string, files ...*command.ReplicaChange) *command.UpdateReplicaStates {
	return &command.UpdateReplicaStates{Rse: rse, Files: files}
}

func deleteAt(rse string, names ...string) *command.DeleteReplicas {
	c := &command.DeleteReplicas{Rse: rse}
	for _, name := range names {
		c.Files = append(c.Files, &command.ReplicaName{Scope: "s", Name: name})
	}
	return c
}

func TestUpdateStates(t *testing.T) {
	for _, from := range counterStates {
		for _, to := range counterStates {
			s := newReplicaStore(t)
			s.add("ONE", newFile("a", func(f *command.NewFile) { f.State = uint32(from) }))
			update := updateAt("ONE", change("a", ReplicaState(to)))
			if to == 'T' && from != 'A' && from != 'T' {
				didRefused(s, command.CodeStateForbidden, "root", UpdateReplicaStates, update)
				continue
			}
			didDo(s, "root", UpdateReplicaStates, update)
			r := s.replica("ONE", "a")
			require.Equal(t, ReplicaState(to), r.State)
			require.Greater(t, r.Updated, r.Created)
			require.Equal(t, Tally{1, 10}, s.tally("ONE", ReplicaState(to)))
			require.Equal(t, to == 'B', r.Tombstone == obsoleteTombstone)
		}
	}
}

func TestUpdateStatesRefused(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("a"), newFile("b"))
	s.add("TWO", newFile("t"))
	s.collections(TypeDataset, "ds")
	for name, c := range map[string]struct {
		code   command.Code
		issuer string
		update *command.UpdateReplicaStates
	}{
		"no such RSE":       {command.CodeRSENotFound, "root", updateAt("NONE", change("a", 'U'))},
		"no permission":     {command.CodeAccessDenied, "bob", updateAt("ONE", change("a", 'U'))},
		"no such file":      {command.CodeReplicaNotFound, "root", updateAt("ONE", change("a", 'U'), change("no", 'U'))},
		"no replica there":  {command.CodeReplicaNotFound, "root", updateAt("ONE", change("a", 'U'), change("t", 'U'))},
		"a dataset":         {command.CodeReplicaNotFound, "root", updateAt("ONE", change("ds", 'U'))},
		"no such scope":     {command.CodeReplicaNotFound, "root", updateAt("ONE", &command.ReplicaChange{Scope: "no", Name: "a", State: 'U'})},
		"no such state":     {command.CodeInvalidValue, "root", updateAt("ONE", change("a", 'X'))},
		"forbidden in turn": {command.CodeStateForbidden, "root", updateAt("ONE", change("a", 'U'), change("a", 'T'))},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			didRefused(s, c.code, c.issuer, UpdateReplicaStates, c.update)
		})
	}
	require.Equal(t, StateAvailable, s.replica("ONE", "a").State)
}

func TestLockedReplicaIsNotDeleted(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("a"))
	ref, d, err := findDID(s.tx, "s", "a")
	require.NoError(t, err)
	d.Replicas[0].Locks = 1
	putDID(s.tx, ref, d)
	didRefused(s, command.CodeStateForbidden, "root", UpdateReplicaStates, updateAt("ONE", change("a", 'B')))
	didRefused(s, command.CodeReplicaLocked, "root", SetTombstones,
		&command.SetTombstones{Replicas: []*command.ReplicaAt{{Scope: "s", Name: "a", Rse: "ONE"}}})
}

func TestUpdatePath(t *testing.T) {
	s := newReplicaStore(t)
	pfn := "davs://nd.example:443/dav/"
	s.add("ND", newFile("a", withPFN(pfn+"x/a")), newFile("b", withPFN(pfn+"x/b")))
	move := change("a", 'A')
	move.Path = "y/a"
	didDo(s, "root", UpdateReplicaStates, updateAt("ND", move))
	require.Equal(t, "/y/a", s.replica("ND", "a").Path)
	taken := change("a", 'A')
	taken.Path = "/x/b"
	didRefused(s, command.CodeReplicaExists, "root", UpdateReplicaStates, updateAt("ND", taken))
	// The old path is free again.
	s.add("ND", newFile("c", withPFN(pfn+"x/a")))
	// A deterministic RSE makes its own paths.
	s.add("ONE", newFile("a"))
	didDo(s, "root", UpdateReplicaStates, updateAt("ONE", move))
	require.Empty(t, s.replica("ONE", "a").Path)
}

func TestDeleteReplicas(t *testing.T) {
	s := newReplicaStore(t)
	s.add("ONE", newFile("a"), newFile("b", func(f *command.NewFile) { f.Meta = map[string]string{"events": "3"} }), newFile("c"))
	s.add("TWO", newFile("a"))
	s.collections(TypeDataset, "ds")
	s.attach("ds", "a", "b", "c")

	didDo(s, "root", DeleteReplicas, deleteAt("ONE", "b", "a"))
	require.Nil(t, s.replica("ONE", "a"))
	require.NotNil(t, s.replica("TWO", "a"))
	s.gone("b")
	require.Equal(t, []string{"ds/a", "ds/c"}, s.filesOf("ds"))
	require.Equal(t, Tally{1, 10}, s.tally("ONE", StateAvailable))

	for name, c := range map[string]struct {
		code   command.Code
		issuer string
		c      *command.DeleteReplicas
	}{
		"gone already":  {command.CodeReplicaNotFound, "root", deleteAt("ONE", "c", "a")},
		"unknown":       {command.CodeReplicaNotFound, "root", deleteAt("ONE", "c", "no")},
		"a dataset":     {command.CodeReplicaNotFound, "root", deleteAt("ONE", "ds")},
		"twice":         {command.CodeInvalidValue, "root", deleteAt("ONE", "c", "c")},
		"no such RSE":   {command.CodeRSENotFound, "root", deleteAt("NONE", "c")},
		"no permission": {command.CodeAccessDenied, "alice", deleteAt("ONE", "c")},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			didRefused(s, c.code, c.issuer, DeleteReplicas, c.c)
		})
	}
	s.t = t

	didDo(s, "root", UpdateRSE, &command.UpdateRSE{Name: "ONE", Settings: &command.RSESettings{AvailabilityDelete: ptr(false)}})
	didRefused(s, command.CodeRSEBlocked, "root", DeleteReplicas, deleteAt("ONE", "c"))
	ignore := deleteAt("ONE", "c")
	ignore.IgnoreAvailability = true
	didDo(s, "root", DeleteReplicas, ignore)
	s.gone("c")
}

func TestDeleteFreesPath(t *testing.T) {
	s := newReplicaStore(t)
	pfn := withPFN("davs://nd.example:443/dav/x")
	s.add("ND", newFile("a", pfn))
	didDo(s, "root", DeleteReplicas, deleteAt("ND", "a"))
	s.add("ND", newFile("b", pfn))
}

// An archive and its constituents may lose their replicas in one command, in any order of their names.
func TestDeleteArchiveWithConstituents(t *testing.T) {
	for _, archive := range []string{"0.zip", "z.zip"} {
		s := newReplicaStore(t)
		s.add("ONE", newFile(archive), newFile("a"), newFile("b"))
		s.add("TWO", newFile("b"))
		didDo(s, "root", AttachDIDs, pack(archive, sized("a", 10), sized("b", 10), sized("c", 10)))
		didDo(s, "root", DeleteReplicas, deleteAt("ONE", "a"))
		require.Empty(t, s.did("a").Replicas) // it can be read out of the archive
		didDo(s, "root", DeleteReplicas, deleteAt("ONE", "b", archive))
		for _, name := range []string{"a", "c", archive} {
			s.gone(name)
		}
		require.False(t, s.did("b").Constituent)
	}
}
