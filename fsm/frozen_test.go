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

// frozenLog is a log that grows by one command an entry.
type frozenLog struct {
	t       *testing.T
	entries []*raft.Log
}

// newFrozenLog begins the log of a cluster that is formed under a schema version, at feature level 0.
func newFrozenLog(t *testing.T, schema uint32) *frozenLog {
	t.Helper()
	l := &frozenLog{t: t}
	l.as("", command.TypeGenesis, &command.Genesis{
		ClusterId: bytes.Repeat([]byte{7}, 16), RootIdentity: "ddmlab", RootPassword: "$hash", KeyId: "k", KeySeed: make([]byte, 32), Schema: schema,
	})
	return l
}

func (l *frozenLog) as(issuer string, kind command.Type, c proto.Message) {
	l.t.Helper()
	l.entries = append(l.entries, entry(l.t, uint64(len(l.entries)+1), command.Command{Type: kind, Issuer: issuer, Payload: payload(l.t, c)}))
}

func (l *frozenLog) do(kind command.Type, c proto.Message) { l.as("root", kind, c) }

// frozenHistory is a log of a cluster that was formed under a schema version, with what is done to DIDs, their
// attachments and replicas, step by step.
func frozenHistory(t *testing.T, schema uint32) *frozenLog {
	t.Helper()
	const scope = "s"
	history := newFrozenLog(t, schema)
	do := history.do
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
		require.Equal(t, want[schema], replay(t, frozenHistory(t, schema)), "schema %d", schema)
	}
}

// replay applies a log of commands that all take effect, and returns the digest of what it comes to.
func replay(t *testing.T, l *frozenLog) string {
	t.Helper()
	m := newMachine(t)
	for _, e := range l.entries {
		r := apply(t, m, e)[0]
		require.Equal(t, command.CodeOK, r.Code, "entry %d: %s", e.Index, r.Message)
	}
	v, err := m.View()
	require.NoError(t, err)
	require.NoError(t, catalogue.CheckInvariants(v))
	v.Close()
	return stateDigest(t, m)
}

// levelOne goes on with a frozenHistory: the feature level is raised, and what it brought is done.
func levelOne(l *frozenLog) {
	const scope = "s"
	text := func(s string) *string { return &s }
	port, first := int32(443), int32(1)
	named := func(name string) *command.NewFile { return &command.NewFile{Scope: scope, Name: name} }
	ends := func(name, lifetime string) {
		l.do(command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{{Scope: scope, Name: name, Set: map[string]string{"lifetime": lifetime}}}})
	}
	ends("outer", "1000000") // before there is an index of lifetimes
	l.as("", command.TypeRaiseFeatures, &command.RaiseFeatures{Level: 1})
	l.as("", command.TypeIndexLifetimes, &command.IndexLifetimes{Limit: 1})
	l.as("", command.TypeIndexLifetimes, &command.IndexLifetimes{Limit: 1000})
	l.do(command.TypeSetSetting, &command.SetSetting{Setting: &command.Setting{Name: catalogue.SettingResurrectWindow, Value: "24h"}})
	l.do(command.TypeSetSetting, &command.SetSetting{Setting: &command.Setting{Name: "path-algorithm/flat", Value: "{scope}/{name}"}})
	l.do(command.TypeAddRSE, &command.AddRSE{Name: "FLAT", Uuid: append(make([]byte, 15), 7), Settings: &command.RSESettings{Lfn2PfnAlgorithm: text("flat")}})
	off := false
	l.do(command.TypeAddRSE, &command.AddRSE{Name: "TAPE", Uuid: append(make([]byte, 15), 8), Settings: &command.RSESettings{Deterministic: &off}})
	for _, rse := range []string{"FLAT", "TAPE"} {
		l.do(command.TypeAddProtocol, &command.AddProtocol{Rse: rse, Protocol: &command.ProtocolSettings{
			Scheme: text("davs"), Hostname: text("one.example"), Port: &port, Prefix: text("/x"), Impl: text("rucio.rse.protocols.gfal.Default"),
			Wan: &command.ProtocolPriorities{Read: &first, Write: &first, Delete: &first},
		}})
	}
	// Registered files attached with an RSE, without their sizes; a replica again with another path; numbers of 64 bits.
	l.do(command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{
		{Scope: scope, Name: "set1", Rse: "FLAT", Children: []*command.Child{{File: named("file09")}, {File: named("file11")}}},
	}})
	for _, path := range []string{"one", "two"} {
		l.do(command.TypeAddReplicas, &command.AddReplicas{Rse: "TAPE", Files: []*command.NewFile{
			{Scope: scope, Name: "file01", Bytes: 101, Adler32: "00000001", Pfn: "davs://one.example:443/x/" + path},
		}})
	}
	l.do(command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{{Scope: scope, Name: "file01", Set: map[string]string{"task_id": "6123456789"}}}})
	// A dataset and a container end, in pieces; one comes back; the other is forgotten.
	ends("set1", "-1")
	ends("box", "-1")
	for range 8 {
		l.as("", command.TypeExpireDIDs, &command.ExpireDIDs{Limit: 3})
	}
	l.do(command.TypeResurrectDIDs, &command.ResurrectDIDs{Dids: []*command.DIDName{{Scope: scope, Name: "set1"}}, Limit: 100})
	l.do(command.TypeSetSetting, &command.SetSetting{Setting: &command.Setting{Name: catalogue.SettingResurrectWindow, Value: "0s"}})
	l.as("", command.TypeForgetExpired, &command.ForgetExpired{Limit: 100})
}

// What feature level 1 does to a log is pinned by the program that brought it. A test that fails here wants a new feature level.
func TestLogsOfFeatureLevelsAreFrozen(t *testing.T) {
	want := map[uint32]string{
		3: "4eeb742acdee571f7554c13b2684e82383db51d7994babf76e8752e0e2cff017",
		4: "d9998017375b18f3f11bdc7ad3c6dd4fb469fbb7cc459519c48fa6262fcde139",
	}
	for schema, digest := range want {
		l := frozenHistory(t, schema)
		levelOne(l)
		require.Equal(t, digest, replay(t, l), "schema %d", schema)
	}
}
