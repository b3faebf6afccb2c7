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

// frozenHistory is a log of a cluster that was formed under a schema version, with what is done to DIDs, their
// attachments and replicas, step by step.
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
	do(command.TypeDeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: scope, Name: "file06"}}})
	do(command.TypeDeleteReplicas, &command.DeleteReplicas{Rse: "TWO", Files: []*command.ReplicaName{{Scope: scope, Name: "file06"}}}) // the last one, of a file in two datasets
	return history
}

// What a log comes to must never change: a node that replays it would drift apart from the others. The digests of schema versions 1 to 3 were
// taken from the last program that knew no other, that of each later one from the program that brought it. A test that fails here wants a new schema version or command.
func TestLogsOfAllSchemasAreFrozen(t *testing.T) {
	want := map[uint32]string{
		1: "9d5bcd8211384f614030e95bb86861842d6680e845639102e83357a921990fd7",
		2: "b542c797ec9416376480d2b30d6b3142f3510ea91f426ceb5b979cb1516d28bf",
		3: "d8f56e7ba8c288b0cbfdd639a5152bba611cf1f680d7c9eadaf6096d656c8198",
		4: "3e5c3b230408cb9656ed43d59e1eea0efb83504ffae90754d47f68a7b753157f",
	}
	for schema := uint32(1); schema <= catalogue.SchemaVersion; schema++ {
		m := newMachine(t)
		for _, e := range frozenHistory(t, schema) {
			r := apply(t, m, e)[0]
			require.Equal(t, command.CodeOK, r.Code, r.Message)
		}
		require.Equal(t, want[schema], stateDigest(t, m), "schema %d", schema)
		v, err := m.View()
		require.NoError(t, err)
		require.NoError(t, catalogue.CheckInvariants(v))
		v.Close()
	}
}
