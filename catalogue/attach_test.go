package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dapple/command"
)

func TestAttachKinds(t *testing.T) {
	s := newDIDStore(t)
	s.files("f0", "f1", "f2", "f.zip")
	s.collections(TypeDataset, "d1", "d2", "closed")
	s.collections(TypeContainer, "c1", "c2", "c3")
	s.attach("d1", "f0")
	s.attach("c1", "d1")
	s.attach("c2", "c1")
	didDo(s, "root", SetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: "closed"})
	mismatch := attachTo("d1", "f0", "f1")
	mismatch.Attachments[0].Children[1].HasBytes = true
	mismatch.Attachments[0].Children[1].File.Bytes = 11
	badSum := attachTo("d1", "f1")
	badSum.Attachments[0].Children[0].File.Adler32 = "00000000"
	for name, c := range map[string]struct {
		code   command.Code
		attach *command.AttachDIDs
	}{
		"there already":         {command.CodeAlreadyAttached, attachTo("d1", "f1", "f0")},
		"missing before there":  {command.CodeDIDNotFound, attachTo("d1", "f0", "no")},
		"no parent":             {command.CodeDIDNotFound, attachTo("no", "f0")},
		"no such RSE":           {command.CodeRSENotFound, &command.AttachDIDs{Attachments: []*command.Attachment{{Scope: "s", Name: "d1", Rse: "NONE", Children: childrenOf("f1")}}}},
		"dataset in dataset":    {command.CodeUnsupportedOperation, attachTo("d1", "d2")},
		"container in dataset":  {command.CodeUnsupportedOperation, attachTo("d1", "f1", "c1")},
		"file in container":     {command.CodeUnsupportedOperation, attachTo("c1", "f1")},
		"mixed":                 {command.CodeUnsupportedOperation, attachTo("c1", "d2", "c3")},
		"itself":                {command.CodeUnsupportedOperation, attachTo("c1", "c1")},
		"parent":                {command.CodeUnsupportedOperation, attachTo("c1", "c2")},
		"dataset there already": {command.CodeDuplicateContent, attachTo("c1", "d2", "d1")},
		"closed":                {command.CodeUnsupportedOperation, attachTo("closed", "f1")},
		"to a file":             {command.CodeUnsupportedOperation, attachTo("f0", "f1")},
		"other size":            {command.CodeFileMismatch, mismatch},
		"other checksum":        {command.CodeFileMismatch, badSum},
		"archive of itself":     {command.CodeUnsupportedOperation, attachTo("f.zip", "f.zip")},
		"archive of a dataset":  {command.CodeUnsupportedOperation, attachTo("f.zip", "d1")},
		"unsized constituent":   {command.CodeInvalidObject, attachTo("f.zip", "new")},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			didRefused(s, c.code, "root", AttachDIDs, c.attach)
		})
	}
	s.t = t
	didRefused(s, command.CodeAccessDenied, "alice", AttachDIDs, attachTo("d1", "f1"))

	again := attachTo("d1", "f0", "f1")
	again.IgnoreDuplicate = true
	didDo(s, "root", AttachDIDs, again)
	require.Equal(t, []string{"d1/f0", "d1/f1"}, s.filesOf("d1"))
	s.attach("d2", "f1", "f1", "f2") // a name that is there twice counts once
	require.EqualValues(t, 2, s.did("d2").Length)
	s.attach("c1", "d2")
	require.EqualValues(t, 2, s.did("c1").Length)
	require.Zero(t, s.did("c1").Size)
	require.Equal(t, []string{"d1/f0", "d1/f1", "d2/f1", "d2/f2"}, s.filesOf("c2"))
}

func TestAttachFindsCyclesOfItsOwn(t *testing.T) {
	s := newDIDStore(t)
	s.collections(TypeContainer, "c1", "c2", "c3")
	chain := func(last string) *command.AttachDIDs {
		return &command.AttachDIDs{Bulk: true, Attachments: []*command.Attachment{
			{Scope: "s", Name: "c1", Children: childrenOf("c2")},
			{Scope: "s", Name: "c2", Children: childrenOf("c3")},
			{Scope: "s", Name: last, Children: childrenOf("c1")},
		}}
	}
	didRefused(s, command.CodeUnsupportedOperation, "root", AttachDIDs, chain("c3"))
	require.Zero(t, s.did("c1").Length)
	didRefused(s, command.CodeUnsupportedOperation, "root", AttachDIDs, chain("c2"))
}

func TestAttachRegistersFiles(t *testing.T) {
	s := newDIDStore(t)
	s.files("old")
	s.collections(TypeDataset, "d1", "d2")
	s.collections(TypeContainer, "cont")
	at := func(dataset, rse string, children ...*command.Child) *command.Attachment {
		return &command.Attachment{Scope: "s", Name: dataset, Rse: rse, Children: children}
	}
	many := func(a ...*command.Attachment) *command.AttachDIDs {
		return &command.AttachDIDs{Bulk: true, Attachments: a}
	}

	didRefused(s, command.CodeInvalidObject, "root", AttachDIDs, many(at("d1", "ONE", childrenOf("n1")...)))
	didRefused(s, command.CodeFileMismatch, "root", AttachDIDs, many(at("d1", "ONE", sized("n1", 5)), at("d2", "TWO", sized("n1", 6))))
	didRefused(s, command.CodeFileMismatch, "root", AttachDIDs, many(at("d1", "TWO", sized("old", 5))))
	didRefused(s, command.CodeScopeNotFound, "root", AttachDIDs, many(at("d1", "ONE",
		&command.Child{HasBytes: true, File: &command.NewFile{Scope: "x", Name: "n"}})))
	didRefused(s, command.CodeDIDNotFound, "root", AttachDIDs, many(at("no", "ONE", sized("n1", 5))))
	s.gone("n1")

	didDo(s, "root", AttachDIDs, many(at("d1", "ONE", sized("n1", 5), sized("n2", 6)), at("d2", "ONE", sized("n1", 5), sized("old", 10))))
	require.Equal(t, []string{"d1/n1", "d1/n2"}, s.filesOf("d1"))
	require.Equal(t, []string{"d2/n1", "d2/old"}, s.filesOf("d2"))
	require.EqualValues(t, 11, s.did("d1").Size)
	require.Len(t, s.did("n1").Replicas, 1)
	didDo(s, "root", AttachDIDs, &command.AttachDIDs{IgnoreDuplicate: true, Attachments: []*command.Attachment{at("d2", "TWO", sized("old", 10))}})
	require.Len(t, s.did("old").Replicas, 2)

	didDo(s, "root", AddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{
		{Scope: "s", Name: "d3", Type: uint32(TypeDataset), Rse: "TWO", Children: []*command.Child{sized("n3", 1)}},
	}})
	require.Equal(t, []string{"d3/n3"}, s.filesOf("d3"))

	// What a dataset registers needs what registering replicas needs.
	didDo(s, "alice", AddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{{Scope: "a", Name: "ds", Type: uint32(TypeDataset)}}})
	own := &command.Child{HasBytes: true, File: &command.NewFile{Scope: "a", Name: "n", Bytes: 1}}
	didRefused(s, command.CodeAccessDenied, "alice", AttachDIDs,
		&command.AttachDIDs{Attachments: []*command.Attachment{{Scope: "a", Name: "ds", Rse: "ONE", Children: []*command.Child{own}}}})
}

func TestDetach(t *testing.T) {
	s := newDIDStore(t)
	s.files("f0", "f1")
	s.collections(TypeDataset, "d1", "d2", "none")
	s.collections(TypeContainer, "cont")
	s.attach("d1", "f0", "f1")
	s.attach("cont", "d1", "d2")
	didDo(s, "root", AddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{
		{Scope: "s", Name: "mono", Type: uint32(TypeDataset), Monotonic: true, Children: childrenOf("f0")},
	}})
	for name, c := range map[string]struct {
		code   command.Code
		detach *command.DetachDIDs
	}{
		"not attached": {command.CodeDIDNotFound, detachFrom("cont", "d1", "none")},
		"unknown":      {command.CodeDIDNotFound, detachFrom("d1", "no")},
		"no parent":    {command.CodeDIDNotFound, detachFrom("no", "f0")},
		"from a file":  {command.CodeDIDNotFound, detachFrom("f0", "f1")},
		"nothing in":   {command.CodeDIDNotFound, detachFrom("none", "f0")},
		"itself":       {command.CodeUnsupportedOperation, detachFrom("d1", "d1")},
		"twice":        {command.CodeDIDNotFound, detachFrom("d1", "f0", "f0")},
		"monotonic":    {command.CodeUnsupportedOperation, detachFrom("mono", "f0")},
	} {
		t.Run(name, func(t *testing.T) {
			s.t = t
			didRefused(s, c.code, "root", DetachDIDs, c.detach)
		})
	}
	s.t = t
	didRefused(s, command.CodeAccessDenied, "bob", DetachDIDs, detachFrom("d1", "f0"))
	didDo(s, "root", DetachDIDs, detachFrom("d1", "f1"))
	didDo(s, "root", DetachDIDs, detachFrom("cont", "d2"))
	require.Equal(t, []string{"d1/f0"}, s.filesOf("cont"))
	require.EqualValues(t, 10, s.did("d1").Size)
	s.attach("d1", "f1")
	require.EqualValues(t, 2, s.did("d1").Length)
}

func TestParents(t *testing.T) {
	s := newDIDStore(t)
	s.files("f")
	s.collections(TypeDataset, "d1", "d2")
	s.collections(TypeContainer, "c1", "c2")
	s.attach("d1", "f")
	s.attach("d2", "f")
	s.attach("c1", "d1", "d2")
	s.attach("c2", "c1")
	all, err := AllParents(s.tx, "s", "f")
	require.NoError(t, err)
	require.Equal(t, []DIDName{{"s", "d1"}, {"s", "d2"}, {"s", "c1"}, {"s", "c2"}}, all)
	direct := map[string]DIDType{}
	require.NoError(t, ScanParents(s.tx, "s", "d1", func(_, name string, t DIDType) (bool, error) {
		direct[name] = t
		return true, nil
	}))
	require.Equal(t, map[string]DIDType{"c1": TypeContainer}, direct)
	all, err = AllParents(s.tx, "s", "no")
	require.NoError(t, err)
	require.Empty(t, all)
}

func TestDeletionOfTheLastReplica(t *testing.T) {
	s := newDIDStore(t)
	s.files("f0", "f1", "a.zip")
	s.collections(TypeDataset, "d1", "d2")
	s.attach("d1", "f0", "f1", "a.zip")
	s.attach("d2", "f0")
	didDo(s, "root", SetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{{Scope: "s", Name: "f0", Set: map[string]string{"k": "1"}}}})
	didDo(s, "root", AttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{
		{Scope: "s", Name: "a.zip", Children: append(childrenOf("f1"), sized("packed", 3))},
	}})
	remove := func(names ...string) *command.DeleteReplicas {
		c := &command.DeleteReplicas{Rse: "ONE"}
		for _, name := range names {
			c.Files = append(c.Files, &command.ReplicaName{Scope: "s", Name: name})
		}
		return c
	}
	require.True(t, s.did("d1").Archive)
	didDo(s, "root", DeleteReplicas, remove("f0"))
	s.gone("f0")
	require.EqualValues(t, 2, s.did("d1").Length)
	require.Zero(t, s.did("d2").Length)

	// A constituent stays as long as its archive, and goes with it where it has no replica of its own.
	didDo(s, "root", DeleteReplicas, remove("f1"))
	require.True(t, s.did("f1").Constituent)
	require.Equal(t, []string{"d1/a.zip", "d1/f1"}, s.filesOf("d1"))
	didDo(s, "root", DeleteReplicas, remove("a.zip"))
	for _, name := range []string{"a.zip", "f1", "packed"} {
		s.gone(name)
	}
	require.Zero(t, s.did("d1").Length)
}
