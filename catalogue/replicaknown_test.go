package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/command"
)

// level sets the feature level of the store.
func (s *didStore) level(n uint64) { putVersions(s.tx, SchemaVersion, n) }

func attachAt(dataset, rse string, children ...*command.Child) *command.AttachDIDs {
	return &command.AttachDIDs{Attachments: []*command.Attachment{{Scope: "s", Name: dataset, Rse: rse, Children: children}}}
}

func childWithPFN(name, pfn string) *command.Child {
	return &command.Child{File: &command.NewFile{Scope: "s", Name: name, Pfn: pfn}}
}

func TestAttachRegisteredFilesAtRSE(t *testing.T) {
	s := newReplicaStore(t)
	s.files("a", "b")
	s.collections(TypeDataset, "d1", "d2", "d3")

	didDo(s, "root", AttachDIDs, attachAt("d1", "TWO", childrenOf("a")...))
	require.Equal(t, []string{"d1/a"}, s.filesOf("d1"))
	require.EqualValues(t, 10, s.did("a").Bytes)
	require.Equal(t, Tally{1, 10}, s.tally("TWO", StateAvailable))
	// A replica that is there stays as it is.
	before := *s.replica("TWO", "a")
	didDo(s, "root", AttachDIDs, attachAt("d2", "TWO", childrenOf("a")...))
	require.Equal(t, before, *s.replica("TWO", "a"))

	// What is said all the same must agree, and one file at fault fails all.
	wrongSum := childrenOf("b")
	wrongSum[0].File.Md5 = "d41d8cd98f00b204e9800998ecf8427e"
	for _, wrong := range [][]*command.Child{{sized("b", 11)}, wrongSum} {
		didRefused(s, command.CodeFileMismatch, "root", AttachDIDs, attachAt("d3", "TWO", append(wrong, childrenOf("a")...)...))
	}
	err := didTry(s, "root", AttachDIDs, attachAt("d3", "TWO", childrenOf("b", "new")...))
	require.Equal(t, command.CodeInvalidObject, CodeOf(err))
	require.ErrorContains(t, err, "s:new")
	require.Nil(t, s.replica("TWO", "b"))
	require.Zero(t, s.did("d3").Length)

	// In the creation of DIDs, and where a file is named twice, once with its size.
	didDo(s, "root", AddDIDs, &command.AddDIDs{Bulk: true, Dids: []*command.NewCollection{
		{Scope: "s", Name: "d4", Type: uint32(TypeDataset), Rse: "TWO", Children: append(childrenOf("b", "c"), sized("c", 7))},
	}})
	require.Equal(t, []string{"d4/b", "d4/c"}, s.filesOf("d4"))
	require.EqualValues(t, 7, s.did("c").Bytes)
	require.NotNil(t, s.replica("TWO", "b"))
}

func TestAttachAtTwoRSEs(t *testing.T) {
	s := newReplicaStore(t)
	s.add("A_SCRATCHDISK", newFile("a"))
	s.collections(TypeDataset, "d1", "d2")
	both := func(children ...*command.Child) *command.AttachDIDs {
		return &command.AttachDIDs{Bulk: true, Attachments: []*command.Attachment{
			{Scope: "s", Name: "d1", Rse: "ONE", Children: children}, {Scope: "s", Name: "d2", Rse: "TWO", Children: children},
		}}
	}
	didDo(s, "root", AttachDIDs, both(append(childrenOf("a"), sized("new", 5))...))
	require.Len(t, s.did("a").Replicas, 3)
	require.Len(t, s.did("new").Replicas, 2)
	require.Equal(t, Tally{2, 15}, s.tally("ONE", StateAvailable))
	require.Equal(t, Tally{2, 15}, s.tally("TWO", StateAvailable))
}

func TestAttachAtNonDeterministicRSE(t *testing.T) {
	s := newReplicaStore(t)
	s.files("a", "b")
	s.collections(TypeDataset, "d1", "d2", "d3")
	didRefused(s, command.CodeUnsupportedOperation, "root", AttachDIDs, attachAt("d1", "ND", childrenOf("a")...))
	didDo(s, "root", AttachDIDs, attachAt("d1", "ND", childWithPFN("a", "davs://nd.example:443/dav/x/a")))
	require.Equal(t, "/x/a", s.replica("ND", "a").Path)
	// The catalogue knows the path of a replica that is there; another one does not replace it.
	didDo(s, "root", AttachDIDs, attachAt("d2", "ND", childrenOf("a")...))
	didDo(s, "root", AttachDIDs, attachAt("d3", "ND", childWithPFN("a", "davs://nd.example:443/dav/y/a")))
	require.Equal(t, "/x/a", s.replica("ND", "a").Path)
	didRefused(s, command.CodeReplicaExists, "root", AttachDIDs, attachAt("d1", "ND", childWithPFN("b", "davs://nd.example:443/dav/x/a")))
}

func TestReplicaAgainWithOtherPath(t *testing.T) {
	s := newReplicaStore(t)
	nd := func(path string) func(*command.NewFile) { return withPFN("davs://nd.example:443/dav" + path) }
	s.add("ND", newFile("a", nd("/one/a")), newFile("b", nd("/one/b")))
	before := *s.replica("ND", "a")
	s.add("ND", newFile("a", nd("/two/a")))
	require.Equal(t, before, *s.replica("ND", "a"))
	// The path of another file is no conflict for what keeps its own, and a path that is not taken is free for a new file.
	s.add("ND", newFile("a", nd("/one/b")))
	s.add("ND", newFile("a", nd("/two/a")), newFile("c", nd("/two/a")))
	s.add("ND", newFile("d", nd("/three")), newFile("b", nd("/three")))
	require.Equal(t, "/two/a", s.replica("ND", "c").Path)
	require.Equal(t, "/three", s.replica("ND", "d").Path)
	didRefused(s, command.CodeReplicaExists, "root", AddReplicas, addTo("ND", newFile("new", nd("/one/a"))))
	didRefused(s, command.CodeInvalidPath, "root", AddReplicas, addTo("ND", newFile("a", withPFN("davs://one.example:443/dav/a"))))
	didRefused(s, command.CodeFileMismatch, "root", AddReplicas, addTo("ND", newFile("a", nd("/two/a"), func(f *command.NewFile) { f.Bytes = 1 })))
	didRefused(s, command.CodeInvalidValue, "root", AddReplicas, addTo("ND", newFile("a", nd("/one/a")), newFile("a", nd("/five/a"))))

	payload, err := AddReplicasReporting(s.tx, s.at("root"), &command.AddReplicasReporting{Rse: "ND", Files: []*command.NewFile{
		newFile("new", nd("/new")), newFile("b", nd("/five/b")), newFile("a", nd("/one/a")), newFile("x", nd("/one/a")), newFile("a2", nd("/a2")),
	}})
	require.NoError(t, err)
	var report command.AddReport
	require.NoError(t, proto.Unmarshal(payload, &report))
	require.Equal(t, []uint32{1}, report.PathKept)
	require.Len(t, report.Refused, 1)
	require.NoError(t, CheckInvariants(s.tx))

	// A change of states names a path in order to change it.
	didDo(s, "root", UpdateReplicaStates, &command.UpdateReplicaStates{Rse: "ND", Files: []*command.ReplicaChange{{Scope: "s", Name: "a", State: 'A', Path: "/six/a"}}})
	require.Equal(t, "/six/a", s.replica("ND", "a").Path)
}

// Before the feature level that brought them the rules above do not hold.
func TestReplicasOfFeatureLevel0(t *testing.T) {
	s := newReplicaStore(t)
	s.level(0)
	s.files("a")
	s.collections(TypeDataset, "d1", "d2")
	nd := func(path string) func(*command.NewFile) { return withPFN("davs://nd.example:443/dav" + path) }
	s.add("ND", newFile("n", nd("/one")), newFile("m", nd("/two")))
	didRefused(s, command.CodeReplicaExists, "root", AddReplicas, addTo("ND", newFile("n", nd("/three"))))
	err := didTry(s, "root", AddReplicas, addTo("ND", newFile("n", nd("/two"), func(f *command.NewFile) { f.Bytes = 1 })))
	require.EqualError(t, err, "Path /two at ND belongs to another file, m")
	err = didTry(s, "root", AttachDIDs, attachAt("d1", "TWO", childrenOf("a")...))
	require.EqualError(t, err, "files to be registered at TWO need their size in bytes")
	didRefused(s, command.CodeUnsupportedOperation, "root", AttachDIDs, attachAt("d1", "ND", sized("n", 10)))
	didRefused(s, command.CodeInvalidValue, "root", AttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{
		{Scope: "s", Name: "d1", Rse: "ONE", Children: []*command.Child{sized("x", 5)}},
		{Scope: "s", Name: "d2", Rse: "TWO", Children: []*command.Child{sized("x", 5)}},
	}})
}
