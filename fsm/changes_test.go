package fsm

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// as makes a command in the name of root.
func as(t testing.TB, number command.Type, c proto.Message) command.Command {
	t.Helper()
	return command.Command{Type: number, Issuer: catalogue.RootAccount, Payload: payload(t, c)}
}

// feedOf returns the events after a revision.
func feedOf(t testing.TB, m *Machine, since uint64) (events []catalogue.Event) {
	t.Helper()
	v, err := m.View()
	require.NoError(t, err)
	defer func() { require.NoError(t, v.Close()) }()
	require.NoError(t, catalogue.ScanChanges(v, since, func(e *catalogue.Event) (bool, error) {
		events = append(events, *e)
		return true, nil
	}))
	return events
}

func revisionsOf(events []catalogue.Event) (all []uint64) {
	for _, e := range events {
		all = append(all, e.Revision)
	}
	return all
}

func feedFile(name string) *command.NewFile {
	return &command.NewFile{Scope: "s", Name: name, Bytes: 5, Adler32: "0cc737eb"}
}

// changing is a machine with a scope and an RSE, after the entry at index 2.
func changing(t testing.TB, m *Machine) {
	t.Helper()
	uuid := [16]byte{1}
	apply(t, m, configuration(1, "a"), entry(t, 2, genesis(t, 1),
		as(t, command.TypeAddScope, &command.AddScope{Name: "s", Account: "root"}),
		as(t, command.TypeAddRSE, &command.AddRSE{Name: "ONE", Uuid: uuid[:]}),
	))
}

// silent are the commands that are no part of the feed, each with the reason.
var silent = map[command.Type]string{
	command.TypeTermStart:           "changes the log time alone",
	command.TypeRegisterSession:     "is the nodes' own",
	command.TypeDigest:              "changes nothing",
	command.TypeTrimChanges:         "changes the feed itself",
	command.TypeRaiseFeatures:       "changes no data",
	command.TypeIndexLifetimes:      "makes an index",
	command.TypeForgetExpired:       "is about what is gone already",
	command.TypeAddIdentity:         "is about how somebody logs in",
	command.TypeDeleteIdentity:      "is about how somebody logs in",
	command.TypeRevokeToken:         "is about how somebody logs in",
	command.TypeRevokeAccountTokens: "is about how somebody logs in",
	command.TypeAddSigningKey:       "is a secret",
	command.TypeAddJoinToken:        "is a secret",
	command.TypeUseJoinToken:        "is the nodes' own",
	command.TypeRotateSigningKey:    "is a secret",
	command.TypeDeleteSigningKey:    "is about a secret",
	command.TypeSetPassword:         "is about how somebody logs in",
}

// everyCommand is a log in which every command that is in the feed takes effect, in an order in which it can.
func everyCommand(t testing.TB) []command.Command {
	t.Helper()
	text := func(s string) *string { return &s }
	port, prio, used := int32(443), int32(1), uint64(7)
	protocol := func() *command.ProtocolSettings {
		return &command.ProtocolSettings{
			Scheme: text("davs"), Hostname: text("one.example"), Port: &port, Prefix: text("/x"), Impl: text("rucio.rse.protocols.gfal.Default"),
			Wan: &command.ProtocolPriorities{Read: &prio},
		}
	}
	uuid, other := [16]byte{1}, [16]byte{2}
	replica := func(name string) *command.ReplicaAt { return &command.ReplicaAt{Scope: "s", Name: name, Rse: "ONE"} }
	collection := func(name string, t catalogue.DIDType) *command.NewCollection {
		return &command.NewCollection{Scope: "s", Name: name, Type: uint32(t)}
	}
	child := func(name string) *command.Child { return &command.Child{File: feedFile(name), HasBytes: true} }
	update := &command.UpdateReplicaStates{Rse: "ONE", Files: []*command.ReplicaChange{{Scope: "s", Name: "a", State: 'U'}}}
	deletion := func(names ...string) *command.DeleteReplicas {
		c := &command.DeleteReplicas{Rse: "ONE"}
		for _, name := range names {
			c.Files = append(c.Files, &command.ReplicaName{Scope: "s", Name: name})
		}
		return c
	}
	return []command.Command{
		genesis(t, 1),
		as(t, command.TypeAddAccount, &command.AddAccount{Name: "al", Type: "USER"}),
		as(t, command.TypeUpdateAccount, &command.UpdateAccount{Name: "al", Email: text("a@b.example")}),
		as(t, command.TypeSetAccountAttribute, &command.SetAccountAttribute{Account: "al", Key: "k", Value: "v"}),
		as(t, command.TypeDeleteAccountAttribute, &command.DeleteAccountAttribute{Account: "al", Key: "k"}),
		as(t, command.TypeAddScope, &command.AddScope{Name: "s", Account: "root"}),
		as(t, command.TypeSetScopeOwner, &command.SetScopeOwner{Name: "s", Account: "al"}),
		as(t, command.TypeDeleteAccount, &command.DeleteAccount{Name: "al"}),
		as(t, command.TypeAddRSE, &command.AddRSE{Name: "ONE", Uuid: uuid[:]}),
		as(t, command.TypeAddRSE, &command.AddRSE{Name: "OLD", Uuid: other[:]}),
		as(t, command.TypeUpdateRSE, &command.UpdateRSE{Name: "OLD", NewName: "TWO"}),
		as(t, command.TypeSetRSEAttribute, &command.SetRSEAttribute{Rse: "ONE", Key: "k", Value: "v"}),
		as(t, command.TypeDeleteRSEAttribute, &command.DeleteRSEAttribute{Rse: "ONE", Key: "k"}),
		as(t, command.TypeAddProtocol, &command.AddProtocol{Rse: "ONE", Protocol: protocol()}),
		as(t, command.TypeUpdateProtocols, &command.UpdateProtocols{
			Rse: "ONE", Scheme: "davs", Hostname: text("one.example"), Port: &port, Changes: &command.ProtocolSettings{Prefix: text("/y")},
		}),
		as(t, command.TypeDeleteProtocols, &command.DeleteProtocols{Rse: "ONE", Scheme: "davs"}),
		as(t, command.TypeSetDistance, &command.SetDistance{Source: "ONE", Destination: "TWO", Distance: 3}),
		as(t, command.TypeDeleteDistance, &command.DeleteDistance{Source: "ONE", Destination: "TWO"}),
		as(t, command.TypeSetRSEUsage, &command.SetRSEUsage{Rse: "ONE", Source: "site", Used: &used}),
		as(t, command.TypeSetRSELimit, &command.SetRSELimit{Rse: "ONE", Name: "max", Value: 9}),
		as(t, command.TypeDeleteRSELimit, &command.DeleteRSELimit{Rse: "ONE", Name: "max"}),
		as(t, command.TypeDeleteRSE, &command.DeleteRSE{Name: "TWO"}),
		as(t, command.TypeAddReplicas, &command.AddReplicas{Rse: "ONE", Files: []*command.NewFile{feedFile("a"), feedFile("b"), feedFile("c"), feedFile("d")}}),
		as(t, command.TypeAddReplicasReporting, &command.AddReplicasReporting{Rse: "ONE", Files: []*command.NewFile{feedFile("e")}}),
		as(t, command.TypeAddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{collection("ds", catalogue.TypeDataset)}}),
		as(t, command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{
			{Scope: "s", Name: "ds", Children: []*command.Child{child("a"), child("b")}},
		}}),
		as(t, command.TypeDetachDIDs, &command.DetachDIDs{Scope: "s", Name: "ds", Children: []*command.DIDName{{Scope: "s", Name: "a"}}}),
		as(t, command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{
			{Scope: "s", Name: "ds", Set: map[string]string{"campaign": `"x"`, "k": "1"}},
		}}),
		as(t, command.TypeSetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: "ds"}),
		as(t, command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{
			{Scope: "s", Name: "ds", Set: map[string]string{"lifetime": "-1"}},
		}}),
		{Type: command.TypeExpireDIDs, Payload: payload(t, &command.ExpireDIDs{Limit: 10, Dids: []*command.DIDName{{Scope: "s", Name: "ds"}}})},
		as(t, command.TypeResurrectDIDs, &command.ResurrectDIDs{Limit: 10, Dids: []*command.DIDName{{Scope: "s", Name: "ds"}}}),
		as(t, command.TypeUpdateReplicaStates, update),
		as(t, command.TypeUpdateReplicaStatesIf, &command.UpdateReplicaStatesIf{Update: update, Versions: []uint64{0}}),
		as(t, command.TypeDeclareSuspicious, &command.DeclareSuspicious{Replicas: []*command.ReplicaAt{replica("c")}}),
		as(t, command.TypeDeclareBad, &command.DeclareBad{Replicas: []*command.ReplicaAt{replica("c")}, Reason: "broken"}),
		as(t, command.TypeSetTombstones, &command.SetTombstones{Replicas: []*command.ReplicaAt{replica("a")}}),
		as(t, command.TypeAddProtocol, &command.AddProtocol{Rse: "ONE", Protocol: protocol()}),
		as(t, command.TypeDeclareBadPFNs, &command.DeclareBadPFNs{
			Pfns: []string{"davs://one.example:443/x/s/e0/d0/e", "davs://other.example/y"}, State: 'T', Reason: "away", ExpiresAt: 1,
		}),
		as(t, command.TypeQuarantine, &command.Quarantine{Rse: "ONE", Files: []*command.Quarantine_File{{Path: "/dark"}}}),
		as(t, command.TypeDeleteReplicas, deletion("a", "b")),
		as(t, command.TypeDeleteReplicasIf, &command.DeleteReplicasIf{Deletion: deletion("c"), Versions: []uint64{0}}),
		as(t, command.TypeSetSetting, &command.SetSetting{Setting: &command.Setting{Name: catalogue.SettingNameSchema, Value: "generic"}}),
		once(t, "key", "print", onceWindow, addScope(t, "carried")),
	}
}

// TestEveryCommandIsInTheFeed runs every command that is not silent: each notes at least one event, in a record of its own.
func TestEveryCommandIsInTheFeed(t *testing.T) {
	m := newMachine(t)
	apply(t, m, configuration(1, "a"))
	seen := map[command.Type]bool{command.TypeExpireUnavailable: true} // below
	var last uint64
	for i, c := range everyCommand(t) {
		results := apply(t, m, entry(t, uint64(i)+2, c))
		require.Equal(t, command.CodeOK, results[0].Code, "%s: %s", c.Type, results[0].Message)
		events := feedOf(t, m, last)
		require.NotEmpty(t, events, c.Type.String())
		for j, e := range events {
			require.Equal(t, last+uint64(j)+1, e.Revision, "%s: no revision is left out", c.Type)
			require.EqualValues(t, i+2, e.Index)
			require.Equal(t, c.Issuer, e.Account)
		}
		last = results[0].Revision
		require.Equal(t, last, events[len(events)-1].Revision)
		seen[c.Type] = true
	}
	for _, number := range command.Types() {
		require.True(t, seen[number] != (silent[number] != ""), "%s is neither in the feed nor silent, or both", number)
	}
	v, err := m.View()
	require.NoError(t, err)
	require.NoError(t, catalogue.CheckInvariants(v))
	require.NoError(t, v.Close())
}

// TestExpiryIsInTheFeed declares a replica unavailable until a time that passes with the log.
func TestExpiryIsInTheFeed(t *testing.T) {
	m := newMachine(t)
	changing(t, m)
	port, read, text := int32(443), int32(1), func(s string) *string { return &s }
	apply(t, m, entry(t, 3,
		as(t, command.TypeAddProtocol, &command.AddProtocol{Rse: "ONE", Protocol: &command.ProtocolSettings{
			Scheme: text("davs"), Hostname: text("one.example"), Port: &port, Prefix: text("/x"), Impl: text("rucio.rse.protocols.gfal.Default"),
			Wan: &command.ProtocolPriorities{Read: &read},
		}}),
		as(t, command.TypeAddReplicas, &command.AddReplicas{Rse: "ONE", Files: []*command.NewFile{feedFile("a")}})))
	v, err := m.View()
	require.NoError(t, err)
	var pfn string
	list, err := catalogue.NewReplicaList(v, catalogue.ReplicaQuery{DIDs: []catalogue.DIDName{{Scope: "s", Name: "a"}}})
	require.NoError(t, err)
	require.NoError(t, list.Each(func(f *catalogue.ListedFile) (bool, error) { pfn = f.PFNs[0].PFN; return true, nil }))
	require.NoError(t, v.Close())
	before := m.state.revision
	results := apply(t, m, entry(t, 4, as(t, command.TypeDeclareBadPFNs, &command.DeclareBadPFNs{Pfns: []string{pfn}, State: 'T', ExpiresAt: 1})))
	require.Equal(t, command.CodeOK, results[0].Code, results[0].Message)
	apply(t, m, entry(t, 5, command.Command{Type: command.TypeExpireUnavailable, Payload: payload(t, &command.ExpireUnavailable{Limit: 10})}))
	var told []string
	for _, e := range feedOf(t, m, before) {
		told = append(told, e.Kind.String()+" "+e.Old+">"+e.New+" by "+e.Account)
	}
	require.Equal(t, []string{
		"replica.changed A>T by root", "bad.added >T by root", "replica.changed T>A by ", "bad.deleted T> by ",
	}, told)
}

// A refused command leaves no event and takes one revision, like one that has nothing to tell.
func TestRefusedCommandsNoteNothing(t *testing.T) {
	m := newMachine(t)
	changing(t, m)
	before := m.state.revision
	results := apply(t, m, entry(t, 3,
		as(t, command.TypeAddScope, &command.AddScope{Name: "s", Account: "root"}),
		script(t, "put x 1"),
		as(t, command.TypeAddReplicas, &command.AddReplicas{Rse: "ONE", Files: []*command.NewFile{feedFile("b"), feedFile("a")}}),
		as(t, command.TypeAddScope, &command.AddScope{Name: "t", Account: "root"}),
	))
	require.Equal(t, command.CodeScopeExists, results[0].Code)
	require.Equal(t, before+1, results[0].Revision)
	require.Equal(t, before+2, results[1].Revision)
	require.Equal(t, before+6, results[2].Revision)
	events := feedOf(t, m, before)
	require.Equal(t, []uint64{before + 3, before + 4, before + 5, before + 6, before + 7}, revisionsOf(events))
	require.Equal(t, []string{"a", "a", "b", "b"}, []string{events[0].Name, events[1].Name, events[2].Name, events[3].Name}, "in the order of the keys")
	// From the middle of a command on.
	require.Equal(t, events[2:], feedOf(t, m, before+4))
	// A restart goes on where it was.
	require.Equal(t, before+7, m.state.revision)
}

// A catalogue of schema version 1 keeps no feed, and each command has one revision.
func TestOldSchemaKeepsNoFeed(t *testing.T) {
	m := newMachine(t)
	uuid := [16]byte{1}
	results := apply(t, m, configuration(1, "a"), entry(t, 2,
		command.Command{Type: command.TypeGenesis, Payload: payload(t, &command.Genesis{
			ClusterId: slices.Repeat([]byte{1}, 16), RootIdentity: "ddmlab", RootPassword: "$hash", KeyId: "k", KeySeed: make([]byte, 32),
		})},
		as(t, command.TypeAddScope, &command.AddScope{Name: "s", Account: "root"}),
		as(t, command.TypeAddRSE, &command.AddRSE{Name: "ONE", Uuid: uuid[:]}),
		as(t, command.TypeAddReplicas, &command.AddReplicas{Rse: "ONE", Files: []*command.NewFile{feedFile("b"), feedFile("a")}}),
	))
	for i, r := range results {
		require.EqualValues(t, i+1, r.Revision)
	}
	require.Empty(t, feedOf(t, m, 0))
	v, err := m.View()
	require.NoError(t, err)
	defer func() { require.NoError(t, v.Close()) }()
	require.Equal(t, command.CodeChangesNotKept, catalogue.CodeOf(catalogue.KeepsChanges(v)))
	d, err := catalogue.GetDID(v, "s", "a")
	require.NoError(t, err)
	require.EqualValues(t, 4, d.Revision)
	require.EqualValues(t, 4, d.Replicas[0].Revision)
}

// Trimming takes away what the search finds, on every machine the same, and survives a restart.
func TestTrimChanges(t *testing.T) {
	fs := vfs.NewMem()
	m := mustOpen(t, testConfig(fs))
	changing(t, m)
	index := uint64(2)
	register := func(name string) command.Result {
		index++
		return apply(t, m, entry(t, index, as(t, command.TypeAddReplicas, &command.AddReplicas{Rse: "ONE", Files: []*command.NewFile{feedFile(name)}})))[0]
	}
	var last []uint64
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		last = append(last, register(name).Revision)
	}
	all := feedOf(t, m, 0)
	find := func(before int64, most uint64) uint64 {
		v, err := m.View()
		require.NoError(t, err)
		defer func() { require.NoError(t, v.Close()) }()
		through, err := catalogue.FindTrim(v, before, most)
		require.NoError(t, err)
		return through
	}
	const unlimited = 1 << 60
	require.Zero(t, find(0, unlimited))
	third := all[slices.IndexFunc(all, func(e catalogue.Event) bool { return e.Revision == last[2] })]
	require.Equal(t, last[1], find(third.Time, unlimited), "what is older than the third")
	require.Equal(t, last[2], find(third.Time+1, unlimited))
	require.Equal(t, last[5], find(1<<60, unlimited), "everything")
	require.Equal(t, last[5], find(0, 0))

	trim := func(through uint64, with ...command.Command) []command.Result {
		index++
		c := command.Command{Type: command.TypeTrimChanges, Payload: payload(t, &command.TrimChanges{Through: through})}
		return apply(t, m, entry(t, index, append(with, c)...))
	}
	require.Equal(t, command.CodeInvalidValue, trim(1 << 40)[0].Code)
	require.Equal(t, command.CodeOK, trim(last[2])[0].Code)
	require.Equal(t, []uint64{last[3] - 1, last[3], last[4] - 1, last[4], last[5] - 1, last[5]}, revisionsOf(feedOf(t, m, 0)))
	require.Equal(t, catalogue.Feed{Through: last[2], Total: m.state.feed.Total}, m.state.feed)
	require.Equal(t, command.CodeOK, trim(last[0])[0].Code, "what is gone is gone")
	require.Equal(t, last[2], m.state.feed.Through)
	require.Zero(t, find(third.Time+1, unlimited))

	// What the same entry has added before goes too, what comes after stays.
	added := as(t, command.TypeAddScope, &command.AddScope{Name: "t", Account: "root"})
	trim(m.state.revision+1, added)
	require.Empty(t, feedOf(t, m, 0))
	register("g")
	require.Len(t, feedOf(t, m, 0), 2)

	feed, digest := m.state.feed, stateDigest(t, m)
	require.NoError(t, m.Close())
	again := mustOpen(t, testConfig(fs))
	require.Equal(t, feed, again.state.feed)
	require.Equal(t, digest, stateDigest(t, again))
	v, err := again.View()
	require.NoError(t, err)
	require.NoError(t, catalogue.CheckInvariants(v))
	require.NoError(t, v.Close())
}
