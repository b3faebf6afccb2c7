package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func constituentsOf(t *testing.T, s *didStore, name string) []string {
	t.Helper()
	var all []string
	require.NoError(t, ScanConstituents(s.tx, "s", name, func(_, name string, _ *DID) (bool, error) {
		all = append(all, name)
		return true, nil
	}))
	return all
}

func pack(archive string, children ...*command.Child) *command.AttachDIDs {
	return &command.AttachDIDs{Attachments: []*command.Attachment{{Scope: "s", Name: archive, Children: children}}}
}

func TestArchives(t *testing.T) {
	s := newDIDStore(t)
	s.files("f", "a.zip", "b.tar.gz.1")
	didDo(s, "root", AttachDIDs, pack("a.zip", sized("p1", 3), sized("f", 10), sized("p1", 3)))
	require.Equal(t, []string{"f", "p1"}, constituentsOf(t, s, "a.zip"))
	require.True(t, s.did("a.zip").Archive)
	require.Empty(t, s.did("p1").Replicas)
	require.EqualValues(t, 3, s.did("p1").Bytes)
	require.Len(t, s.did("f").Replicas, 1)

	didRefused(s, command.CodeAlreadyAttached, "root", AttachDIDs, pack("a.zip", sized("p2", 1), sized("p1", 3)))
	again := pack("a.zip", sized("p2", 1), sized("p1", 3))
	again.IgnoreDuplicate = true
	didDo(s, "root", AttachDIDs, again)
	didDo(s, "root", AttachDIDs, pack("b.tar.gz.1", childrenOf("p1")...))
	var archives []string
	require.NoError(t, ScanArchives(s.tx, "s", "p1", func(_, name string) (bool, error) {
		archives = append(archives, name)
		return true, nil
	}))
	require.Equal(t, []string{"a.zip", "b.tar.gz.1"}, archives)
	require.Empty(t, constituentsOf(t, s, "no"))

	// p1 survives the first of its archives, p2 does not, and f is a file like any other again.
	didDo(s, "root", DeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: "a.zip"}}})
	s.gone("p2")
	require.True(t, s.did("p1").Constituent)
	require.False(t, s.did("f").Constituent)
	didDo(s, "root", DeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: "b.tar.gz.1"}}})
	s.gone("p1")
}

func TestArchivesInArchives(t *testing.T) {
	s := newDIDStore(t)
	s.files("outer.zip")
	didDo(s, "root", AttachDIDs, pack("outer.zip", sized("inner.zip", 5)))
	// An archive in itself could never be deleted.
	didRefused(s, command.CodeUnsupportedOperation, "root", AttachDIDs, pack("inner.zip", sized("leaf", 1), sized("outer.zip", 10)))
	both := pack("inner.zip", sized("inmost.zip", 1))
	both.Attachments = append(both.Attachments, pack("inmost.zip", sized("outer.zip", 10)).Attachments...)
	didRefused(s, command.CodeUnsupportedOperation, "root", AttachDIDs, both)
	didDo(s, "root", AttachDIDs, pack("inner.zip", sized("leaf", 1)))
	didDo(s, "root", DeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: "outer.zip"}}})
	for _, name := range []string{"outer.zip", "inner.zip", "leaf"} {
		s.gone(name)
	}
}

func TestIsArchiveName(t *testing.T) {
	for name, want := range map[string]bool{
		"a.zip": true, "a.ZIP": true, "a.zip.12": true, "a.tar.gz": true, "dir/a.tgz": true, "a.tar.bz2.1.2": true, ".zip": true,
		"a.zip.x": false, "azip": false, "a.tar": false, "zip": false, "a.zip\n": false,
	} {
		require.Equal(t, want, IsArchiveName(name), name)
	}
}
