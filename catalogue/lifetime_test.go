package catalogue

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/command"
)

// endNow gives a DID of scope s a lifetime that is over.
func (s *didStore) endNow(names ...string) {
	s.t.Helper()
	for _, name := range names {
		didDo(s, "root", SetMetadata, lifetimeOf(name, "-1"))
	}
}

func lifetimeOf(name, seconds string) *command.SetMetadata {
	return &command.SetMetadata{Dids: []*command.DIDMetadata{{Scope: "s", Name: name, Set: map[string]string{"lifetime": seconds}}}}
}

func namesOf(names ...string) (all []*command.DIDName) {
	for _, name := range names {
		all = append(all, &command.DIDName{Scope: "s", Name: name})
	}
	return all
}

// expire runs one ExpireDIDs and returns its answer.
func (s *didStore) expire(limit uint32, named ...string) *command.ExpiredDIDs {
	s.t.Helper()
	return s.progress("", func(tx Tx, at Stamp) ([]byte, error) {
		return ExpireDIDs(tx, at, &command.ExpireDIDs{Limit: limit, Dids: namesOf(named...)})
	})
}

func (s *didStore) resurrect(limit uint32, names ...string) *command.ExpiredDIDs {
	s.t.Helper()
	return s.progress("root", func(tx Tx, at Stamp) ([]byte, error) {
		return ResurrectDIDs(tx, at, &command.ResurrectDIDs{Limit: limit, Dids: namesOf(names...)})
	})
}

func (s *didStore) progress(issuer string, run func(Tx, Stamp) ([]byte, error)) *command.ExpiredDIDs {
	s.t.Helper()
	var answer command.ExpiredDIDs
	didDo(s, issuer, func(tx Tx, at Stamp, _ *struct{}) ([]byte, error) {
		payload, err := run(tx, at)
		require.NoError(s.t, proto.Unmarshal(payload, &answer))
		return payload, err
	}, nil)
	return &answer
}

func (s *didStore) work() LifetimeWork {
	s.t.Helper()
	work, err := LifetimesDue(s.tx, s.at("").Time)
	require.NoError(s.t, err)
	return work
}

// index has the cluster look for lifetimes of before there was an index, as it does once.
func (s *didStore) index(limit uint32) {
	s.t.Helper()
	didDo(s, "", IndexLifetimes, &command.IndexLifetimes{Limit: limit})
}

func metadataOfDID(t *testing.T, v View, name string) map[string]string {
	t.Helper()
	meta, err := GetMetadata(v, "s", name)
	require.NoError(t, err)
	all := map[string]string{}
	for _, e := range meta {
		all[e.Key] = e.Value
	}
	return all
}

func TestDIDsEnd(t *testing.T) {
	s := newDIDStore(t)
	s.index(10)
	s.files("f", "g")
	s.collections(TypeDataset, "ds", "kept")
	s.collections(TypeContainer, "cont", "out")
	s.attach("ds", "f", "g")
	s.attach("kept", "f")
	s.attach("cont", "ds", "kept")
	s.attach("out", "cont")
	require.Equal(t, LifetimeWork{}, s.work())
	didDo(s, "root", SetMetadata, lifetimeOf("ds", "3600"))
	require.Equal(t, LifetimeWork{}, s.work(), "not due")
	require.Zero(t, s.expire(100, "ds").Ended)
	require.EqualValues(t, 2, s.did("ds").Length)

	s.endNow("ds")
	require.Equal(t, LifetimeWork{Expire: true}, s.work())
	s.did("ds") // seen until the command
	require.EqualValues(t, 1, s.expire(100).Ended)
	s.gone("ds")
	require.Equal(t, LifetimeWork{}, s.work())
	require.Equal(t, []string{"kept/f"}, s.filesOf("out"))
	require.EqualValues(t, 1, s.did("cont").Length)
	require.Equal(t, []string{"kept"}, parentNames(t, s.tx, "f"))
	require.Empty(t, parentNames(t, s.tx, "g"))
	s.did("g")

	s.endNow("out", "cont")
	require.EqualValues(t, 2, s.expire(100).Ended)
	s.gone("out")
	s.gone("cont")
	require.EqualValues(t, 1, s.did("kept").Length)
}

func TestLifetimesCanBeTakenAway(t *testing.T) {
	s := newDIDStore(t)
	s.collections(TypeDataset, "ds")
	s.endNow("ds")
	didDo(s, "root", SetMetadata, lifetimeOf("ds", "null"))
	require.Zero(t, s.expire(100, "ds").Ended)
	s.did("ds")
	require.NotContains(t, metadataOfDID(t, s.tx, "ds"), MetaExpiredAt)
}

func TestOnlyTheClusterEndsDIDs(t *testing.T) {
	s := newDIDStore(t)
	didRefused(s, command.CodeAccessDenied, "root", ExpireDIDs, &command.ExpireDIDs{Limit: 1})
	didRefused(s, command.CodeAccessDenied, "root", ForgetExpired, &command.ForgetExpired{Limit: 1})
	didRefused(s, command.CodeAccessDenied, "root", IndexLifetimes, &command.IndexLifetimes{Limit: 1})
	didRefused(s, command.CodeAccessDenied, "alice", ResurrectDIDs, &command.ResurrectDIDs{Limit: 1})
}

func TestFilesOutliveTheirLifetimes(t *testing.T) {
	s := newDIDStore(t)
	s.files("f")
	s.collections(TypeDataset, "ds", "other")
	didDo(s, "root", AddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{{Scope: "s", Name: "mono", Type: uint32(TypeDataset), Monotonic: true}}})
	s.attach("ds", "f")
	s.attach("other", "f")
	s.attach("mono", "f")
	didDo(s, "root", SetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{{
		Scope: "s", Name: "f", Set: map[string]string{"own": "1", "campaign": `"x"`, "events": "7", "lifetime": "-1"},
	}}})
	require.Zero(t, s.expire(1, "f").Ended, "one attachment is all that this command may change")
	require.EqualValues(t, 1, s.expire(1, "f").Ended)
	require.Len(t, s.did("f").Replicas, 1)
	require.Equal(t, []string{"mono"}, parentNames(t, s.tx, "f"), "what is monotonic keeps what stays")
	require.Equal(t, map[string]string{"campaign": `"x"`, "events": "7"}, metadataOfDID(t, s.tx, "f"))
	require.Equal(t, LifetimeWork{Index: true}, s.work())
	didRefused(s, command.CodeDIDNotFound, "root", ResurrectDIDs, &command.ResurrectDIDs{Dids: namesOf("f")})
}

// A file that goes with its last replica leaves no end behind.
func TestDeletedFilesHaveNoEnd(t *testing.T) {
	s := newDIDStore(t)
	s.files("f")
	didDo(s, "root", SetMetadata, lifetimeOf("f", "60"))
	didDo(s, "root", DeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: "f"}}})
	s.gone("f")
}

// large makes a dataset of so many files in a container.
func (s *didStore) large(files int) (names []string) {
	s.t.Helper()
	for i := range files {
		names = append(names, fmt.Sprintf("f%02d", i))
	}
	s.files(names...)
	s.collections(TypeDataset, "ds")
	s.collections(TypeContainer, "cont")
	s.attach("ds", names...)
	s.attach("cont", "ds")
	return names
}

// A large dataset goes by several commands, and nobody sees it from the first on.
func TestLargeCollectionsEndStepByStep(t *testing.T) {
	s := newDIDStore(t)
	files := s.large(10)
	didDo(s, "root", SetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{{Scope: "s", Name: "f00", Set: map[string]string{"events": "7"}}}})
	didDo(s, "root", SetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: "ds"})
	s.endNow("ds")
	step := s.expire(4, "ds")
	require.Zero(t, step.Ended)
	require.Zero(t, step.Left, "gone for everybody")
	s.hiddenFrom("ds", "f09", "cont")
	require.True(t, s.work().Expire)
	commands := 1
	for s.work().Expire {
		s.expire(4)
		commands++
		s.hiddenFrom("ds", "f09", "cont")
	}
	require.Equal(t, 3, commands)
	didDo(s, "root", AddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{{Scope: "s", Name: "ds", Type: uint32(TypeContainer)}}})
	require.Equal(t, TypeContainer, s.did("ds").Type)
	for _, name := range files {
		s.did(name)
	}
}

// hiddenFrom sees to it that no reader is told of a collection, neither by name nor by what was in it or held it.
func (s *didStore) hiddenFrom(name, child, parent string) {
	s.t.Helper()
	s.gone(name)
	require.Empty(s.t, parentNames(s.t, s.tx, child))
	above, err := AllParents(s.tx, "s", child)
	require.NoError(s.t, err)
	require.Empty(s.t, above)
	require.Empty(s.t, s.filesOf(parent))
	didDo(s, "root", SetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{
		{Scope: "s", Name: child, Set: map[string]string{"guid": `"0123456789abcdef0123456789abcdef"`}},
	}})
	found, err := ScanGUID(s.tx, "0123456789abcdef0123456789abcdef", func() error { return nil }, func(_, parent string) (bool, error) {
		return false, fmt.Errorf("%s holds a file with that GUID", parent)
	})
	require.NoError(s.t, err)
	require.True(s.t, found)
	_, found, err = NewDIDReader(s.tx).Load("s", name)
	require.NoError(s.t, err)
	require.False(s.t, found)
	var listed []string
	require.NoError(s.t, ScanScope(s.tx, "s", false, func(row ListedDID) (bool, error) {
		listed = append(listed, row.Name)
		return true, nil
	}))
	require.NotContains(s.t, listed, name)
	require.Contains(s.t, listed, child, "it is in nothing that can be seen")
	search, err := NewSearch("s", [][]Condition{{{"name", "*"}}}, SearchOptions{Type: "all"})
	require.NoError(s.t, err)
	require.NoError(s.t, search.Scan(s.tx, func(_, found string, _ *DID) (bool, error) {
		require.NotEqual(s.t, name, found)
		return true, nil
	}))
	require.NoError(s.t, ListDatasetReplicas(s.tx, "s", name, true, func(*DatasetReplica) error { return fmt.Errorf("%s is told of", name) }))
	require.NoError(s.t, ListDatasetsAtRSE(s.tx, "ONE", func(r *DatasetReplica) error {
		require.NotEqual(s.t, name, r.Name)
		return nil
	}))
}

// A collection that is on its way takes no writes, and its name is taken.
func TestWhatIsOnItsWayTakesNoWrites(t *testing.T) {
	s := newDIDStore(t)
	s.large(5)
	s.files("new", "z.zip")
	s.endNow("ds")
	s.expire(2)
	didRefused(s, command.CodeDIDNotFound, "root", AttachDIDs, attachTo("ds", "new"))
	didRefused(s, command.CodeDIDNotFound, "root", AttachDIDs, attachTo("cont", "ds"))
	didRefused(s, command.CodeDIDNotFound, "root", DetachDIDs, detachFrom("ds", "f04"))
	didRefused(s, command.CodeDIDNotFound, "root", SetMetadata, lifetimeOf("ds", "null"))
	didRefused(s, command.CodeDIDNotFound, "root", SetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: "ds"})
	didRefused(s, command.CodeDIDExists, "root", AddDIDs, &command.AddDIDs{Dids: []*command.NewCollection{{Scope: "s", Name: "ds", Type: uint32(TypeDataset)}}})
	didRefused(s, command.CodeDIDExists, "root", AddReplicas, &command.AddReplicas{Rse: "ONE", Files: []*command.NewFile{{Scope: "s", Name: "ds", Bytes: 1}}})
	didRefused(s, command.CodeDIDExists, "root", AttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{
		{Scope: "s", Name: "z.zip", Children: []*command.Child{sized("ds", 1)}},
	}})
	// Its files can change all the same.
	didDo(s, "root", SetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{{Scope: "s", Name: "f04", Set: map[string]string{"events": "7"}}}})
	didDo(s, "root", DeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: "f03"}}})
	for s.work().Expire {
		s.expire(2)
	}
	require.Zero(t, s.resurrect(100, "ds").Left)
	require.Equal(t, []string{"ds/f00", "ds/f01", "ds/f02", "ds/f04"}, s.filesOf("cont"))
	require.Equal(t, "7", metadataOfDID(t, s.tx, "ds")[metaEvents])
}

func TestResurrect(t *testing.T) {
	for _, limit := range []uint32{1, 3, 1000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			s := newDIDStore(t)
			s.large(5)
			didDo(s, "root", SetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{
				{Scope: "s", Name: "ds", Set: map[string]string{"own": "1", "campaign": `"x"`}},
				{Scope: "s", Name: "f00", Set: map[string]string{"events": "7"}},
			}})
			didDo(s, "root", SetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: "ds"})
			before, meta := *s.did("ds"), metadataOfDID(t, s.tx, "ds")
			s.endNow("ds")
			for s.work().Expire {
				s.expire(limit)
			}
			step := s.resurrect(limit, "ds", "ds")
			for step.Left > 0 {
				step = s.expire(limit, "ds")
			}
			require.False(t, s.work().Expire)
			after := *s.did("ds")
			require.Equal(t, meta, metadataOfDID(t, s.tx, "ds"))
			require.Equal(t, []string{"ds/f00", "ds/f01", "ds/f02", "ds/f03", "ds/f04"}, s.filesOf("cont"))
			require.NotEqual(t, before.Revision, after.Revision)
			before.Revision, before.Updated, after.Revision, after.Updated = 0, 0, 0, 0
			require.Equal(t, before, after)
			didRefused(s, command.CodeDIDNotFound, "root", ResurrectDIDs, &command.ResurrectDIDs{Dids: namesOf("ds")})
			s.endNow("ds")
			for s.work().Expire {
				s.expire(limit)
			}
			s.gone("ds")
		})
	}
}

// What has just begun to go comes back before it is gone.
func TestResurrectWhatIsStillGoing(t *testing.T) {
	s := newDIDStore(t)
	s.large(5)
	s.endNow("ds")
	s.expire(3)
	s.gone("ds")
	for step := s.resurrect(1, "ds"); step.Left > 0; {
		step = s.expire(1, "ds")
	}
	require.Len(t, s.filesOf("cont"), 5)
	require.NotContains(t, metadataOfDID(t, s.tx, "ds"), MetaExpiredAt)

	s.endNow("ds") // over, and nothing has been done yet
	require.Zero(t, s.resurrect(1, "ds").Left)
	require.NotContains(t, metadataOfDID(t, s.tx, "ds"), MetaExpiredAt)
}

func TestResurrectRefusals(t *testing.T) {
	s := newDIDStore(t)
	s.collections(TypeDataset, "ds", "stays")
	for _, name := range []string{"never", "stays"} {
		err := didTry(s, "root", ResurrectDIDs, &command.ResurrectDIDs{Dids: namesOf(name)})
		require.Equal(t, command.CodeDIDNotFound, CodeOf(err))
		require.EqualError(t, err, "Deleted Data identifier 's:"+name+"' not found")
	}
	didRefused(s, command.CodeDIDNotFound, "root", ResurrectDIDs, &command.ResurrectDIDs{Dids: []*command.DIDName{{Scope: "none", Name: "x"}}})
	s.endNow("ds")
	s.expire(100)
	didRefused(s, command.CodeDIDNotFound, "root", ResurrectDIDs, &command.ResurrectDIDs{Dids: namesOf("ds", "never")})
	s.gone("ds")
	s.collections(TypeContainer, "ds") // the name is free again
	didRefused(s, command.CodeDIDExists, "root", ResurrectDIDs, &command.ResurrectDIDs{Dids: namesOf("ds")})
	s.endNow("ds")
	s.expire(100)
	s.resurrect(100, "ds")
	require.Equal(t, TypeContainer, s.did("ds").Type, "the last one of that name comes back")
}

// Both ends of an attachment end: whichever comes back first, they find each other again.
func TestResurrectBothEnds(t *testing.T) {
	for _, order := range [][]string{{"ds", "cont"}, {"cont", "ds"}} {
		for _, back := range [][][]string{{{"ds", "cont"}}, {{"cont", "ds"}}, {{"ds"}, {"cont"}}, {{"cont"}, {"ds"}}} {
			for _, limit := range []uint32{1, 100} {
				s := newDIDStore(t)
				s.large(3)
				for _, name := range order {
					s.endNow(name)
					for s.work().Expire {
						s.expire(limit)
					}
				}
				for _, names := range back {
					for step := s.resurrect(limit, names...); step.Left > 0; {
						step = s.expire(limit, names...)
					}
				}
				require.Equal(t, []string{"ds/f00", "ds/f01", "ds/f02"}, s.filesOf("cont"), "%v %v", order, back)
			}
		}
	}
}

// Containers that would come to hold each other come back without that attachment.
func TestResurrectMakesNoCircle(t *testing.T) {
	s := newDIDStore(t)
	s.collections(TypeContainer, "a", "b", "c")
	s.attach("a", "b")
	s.attach("b", "c")
	s.endNow("b")
	s.expire(100)
	s.attach("c", "a")
	s.resurrect(100, "b")
	require.Equal(t, []string{"b"}, parentNames(t, s.tx, "c"))
	require.Empty(t, parentNames(t, s.tx, "b"))
}

func TestWindowOfResurrection(t *testing.T) {
	s := newDIDStore(t)
	s.revision += 1_000_000 // longer after 1970 than the default window
	s.index(10)
	s.large(5)
	require.NoError(t, ValidateSetting(SettingResurrectWindow, "90m"))
	for _, bad := range []string{"7", "-1s", "7 days", "9999999h"} {
		require.Equal(t, command.CodeInvalidValue, CodeOf(ValidateSetting(SettingResurrectWindow, bad)), bad)
	}
	set := func(window string) {
		didDo(s, "root", SetSetting, &command.SetSetting{Setting: &command.Setting{Name: SettingResurrectWindow, Value: window}})
	}
	s.endNow("ds")
	s.expire(100)
	set("10s") // every command is a second later
	require.False(t, s.work().Forget)
	s.revision += 20
	require.True(t, s.work().Forget)
	didRefused(s, command.CodeDIDNotFound, "root", ResurrectDIDs, &command.ResurrectDIDs{Dids: namesOf("ds")})
	require.NoError(t, didTry(s, "", ForgetExpired, &command.ForgetExpired{Limit: 2}))
	set("") // half of it must not come back
	require.True(t, s.work().Forget)
	didRefused(s, command.CodeDIDNotFound, "root", ResurrectDIDs, &command.ResurrectDIDs{Dids: namesOf("ds")})
	for s.work().Forget {
		require.NoError(t, didTry(s, "", ForgetExpired, &command.ForgetExpired{Limit: 2}))
	}
	for _, table := range []byte{tableEnded, tableEndedAt, tableEndedChild, tableEndedParent, tableEnding, tableEnd} {
		require.NoError(t, s.tx.Scan([]byte{table}, []byte{table + 1}, func(key, _ []byte) (bool, error) {
			return false, fmt.Errorf("%x is left", key)
		}))
	}
	require.Equal(t, 168*time.Hour, DefaultResurrectWindow)
}

// Lifetimes that were set below the feature level are found step by step, and those set meanwhile are not lost.
func TestLifetimesOfBefore(t *testing.T) {
	s := newDIDStore(t)
	putVersions(s.tx, SchemaVersion, 0)
	names := []string{"d1", "d2", "d3", "d4", "d5"}
	s.collections(TypeDataset, names...)
	s.endNow("d1", "d2", "d3", "d4")
	require.Equal(t, LifetimeWork{}, s.work())
	didDo(s, "", RaiseFeatures, &command.RaiseFeatures{Level: 1})
	require.Equal(t, LifetimeWork{Index: true}, s.work())
	s.index(2)
	didDo(s, "root", SetMetadata, lifetimeOf("d1", "null"))
	didDo(s, "root", SetMetadata, lifetimeOf("d5", "-1"))
	didDo(s, "root", SetMetadata, lifetimeOf("d4", "null"))
	for s.work().Index {
		s.index(2)
	}
	s.expire(100)
	for _, name := range []string{"d2", "d3", "d5"} {
		s.gone(name)
	}
	s.did("d1")
	s.did("d4")
	s.index(2)
}
