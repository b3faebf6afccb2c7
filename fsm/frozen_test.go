package fsm

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// frozenHistory is a log of a cluster that was formed under a schema version, with a bit of everything that is done to DIDs and replicas.
func frozenHistory(t *testing.T, schema uint32) []*raft.Log {
	t.Helper()
	const scope = "s"
	history := []*raft.Log{entry(t, 1, command.Command{Type: command.TypeGenesis, Payload: payload(t, &command.Genesis{
		ClusterId: bytes.Repeat([]byte{7}, 16), RootIdentity: "ddmlab", RootPassword: "$hash", KeyId: "k", KeySeed: make([]byte, 32), Schema: schema,
	})})}
	do := func(kind command.Type, c proto.Message) {
		history = append(history, entry(t, uint64(len(history)+1), command.Command{Type: kind, Issuer: "root", Payload: payload(t, c)}))
	}
	files := func(first, count int) (all []*command.NewFile) {
		for i := first; i < first+count; i++ {
			all = append(all, &command.NewFile{Scope: scope, Name: fmt.Sprintf("file%02d", i), Bytes: uint64(100 + i), Adler32: fmt.Sprintf("%08x", i)})
		}
		return all
	}
	in := func(name, rse string, files ...*command.NewFile) *command.Attachment {
		a := &command.Attachment{Scope: scope, Name: name, Rse: rse}
		for _, f := range files {
			a.Children = append(a.Children, &command.Child{File: f, HasBytes: f.Bytes > 0})
		}
		return a
	}
	attach := func(attachments ...*command.Attachment) {
		do(command.TypeAttachDIDs, &command.AttachDIDs{Attachments: attachments, Bulk: len(attachments) > 1})
	}
	named := func(name string) *command.NewFile { return &command.NewFile{Scope: scope, Name: name} }

	do(command.TypeAddScope, &command.AddScope{Name: scope, Account: "root"})
	for i, rse := range []string{"ONE", "TWO"} {
		do(command.TypeAddRSE, &command.AddRSE{Name: rse, Uuid: append(make([]byte, 15), byte(i)), Settings: &command.RSESettings{}})
	}
	do(command.TypeAddReplicas, &command.AddReplicas{Rse: "ONE", Files: files(0, 12)})
	do(command.TypeAddReplicas, &command.AddReplicas{Rse: "TWO", Files: files(3, 6)})
	do(command.TypeAddReplicas, &command.AddReplicas{Rse: "ONE", Files: []*command.NewFile{{Scope: scope, Name: "a.zip", Bytes: 5}}})
	do(command.TypeAddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{
		{Scope: scope, Name: "set1", Type: 2}, {Scope: scope, Name: "set2", Type: 2}, {Scope: scope, Name: "box", Type: 3}, {Scope: scope, Name: "outer", Type: 3},
	}})
	attach(in("set1", "", files(0, 8)...), in("set2", "", files(4, 6)...))
	attach(in("set2", "TWO", files(20, 3)...))
	attach(in("box", "", named("set1"), named("set2")))
	attach(in("outer", "", named("box")))
	attach(in("a.zip", "", files(10, 1)[0], &command.NewFile{Scope: scope, Name: "packed", Bytes: 9}))
	do(command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{{Scope: scope, Name: "file01", Set: map[string]string{"events": "3"}}}})
	do(command.TypeDetachDIDs, &command.DetachDIDs{Scope: scope, Name: "set1", Children: []*command.DIDName{{Scope: scope, Name: "file05"}, {Scope: scope, Name: "file00"}}})
	attach(in("set1", "", files(0, 1)...))
	do(command.TypeSetDIDStatus, &command.SetDIDStatus{Scope: scope, Name: "set2"})
	do(command.TypeDeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{
		{Scope: scope, Name: "file02"}, {Scope: scope, Name: "file04"}, {Scope: scope, Name: "a.zip"},
	}})
	return history
}

// What a log comes to must never change: a node that replays it would drift apart from the others. The digests of each schema version are of the
// program that brought it, or of the last one before there was this test. A test that fails here wants a new schema version or command.
func TestLogsOfAllSchemasAreFrozen(t *testing.T) {
	want := map[uint32]string{
		1: "7d740c731793749216bdd8b838afed3f9ed08cd7b77973ca6aae5a91867e59eb",
		2: "5fe758ea79e314e13bee6cd04e854b87e5f03b2a0b7a4db86af7e9cde883e064",
		3: "b813e5ee407d2d67408165aa4d511ff1a16f49c2fc1239667397cad896c1943b",
		4: "c8539770f4b5d96fcfe5fdae9de2fb9726e1588f004e5e4cb9e2585680306788",
	}
	for schema := uint32(1); schema <= catalogue.SchemaVersion; schema++ {
		m := newMachine(t)
		for _, r := range apply(t, m, frozenHistory(t, schema)...) {
			require.Equal(t, command.CodeOK, r.Code, r.Message)
		}
		require.Equal(t, want[schema], stateDigest(t, m), "schema %d", schema)
		v, err := m.View()
		require.NoError(t, err)
		require.NoError(t, catalogue.CheckInvariants(v))
		v.Close()
	}
}
