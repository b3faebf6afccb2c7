package fsm

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// many is a number of attachments far above what a command may touch without naming it.
const many = 25_000

// worstCases are commands of a shape that costs as much as can be, each after what makes it so.
func worstCases() map[string]func(s *worstStore) (command.Type, proto.Message, int) {
	return map[string]func(s *worstStore) (command.Type, proto.Message, int){
		"a chain in one request": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("c", 0, 3000)
			s.collections(catalogue.TypeContainer, names...)
			return command.TypeAttachDIDs, chain(names...), len(names)
		},
		"the end of a long chain": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("c", 0, many)
			s.collections(catalogue.TypeContainer, append(names, "last", "below")...)
			s.fill("last", "below")
			for end := len(names); end > 1; end -= manyItems - 1 { // from below: nothing is above what is attached
				c := chain(names[max(0, end-manyItems):end]...)
				for i, j := 0, len(c.Attachments)-1; i < j; i, j = i+1, j-1 {
					c.Attachments[i], c.Attachments[j] = c.Attachments[j], c.Attachments[i]
				}
				s.do(command.TypeAttachDIDs, c)
			}
			return command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{attachment(names[many-1], "last")}}, 1
		},
		"below very many": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("c", 0, many)
			s.collections(catalogue.TypeContainer, append(names, "x", "y", "z")...)
			s.into("x", names...)
			s.fill("y", "z")
			return command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{attachment("x", "y")}}, 1
		},
		"an RSE for each child": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("d", 0, 2*manyItems)
			s.collections(catalogue.TypeDataset, names...)
			c := &command.AttachDIDs{Bulk: true}
			for i, name := range names {
				a := attachment(name, fmt.Sprint("f", i))
				a.Rse = fmt.Sprint("RSE", i)
				c.Attachments = append(c.Attachments, a)
			}
			return command.TypeAttachDIDs, c, len(names)
		},
		"metadata set and deleted": func(s *worstStore) (command.Type, proto.Message, int) {
			s.collections(catalogue.TypeDataset, "d")
			c := settingOf("d", map[string]string{})
			for _, key := range numbered("k", 0, 2*manyItems) {
				c.Set[key] = "1"
				c.Delete = append(c.Delete, key)
			}
			return command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{c}}, 1
		},
		"metadata of one DID": func(s *worstStore) (command.Type, proto.Message, int) {
			s.collections(catalogue.TypeDataset, "d")
			c := &command.SetMetadata{}
			for _, key := range numbered("k", 0, manyItems) {
				c.Dids = append(c.Dids, settingOf("d", map[string]string{key: "1"}))
			}
			return command.TypeSetMetadata, c, manyItems
		},
		"metadata that grows": func(s *worstStore) (command.Type, proto.Message, int) {
			s.collections(catalogue.TypeDataset, "d")
			for i := range 20 {
				set := map[string]string{}
				for _, key := range numbered("k", i*manyItems, (i+1)*manyItems) {
					set[key] = "1"
				}
				s.as("root", command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{settingOf("d", set)}})
			}
			return command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{settingOf("d", map[string]string{"x": "1"})}}, 1
		},
		"recursive metadata": func(s *worstStore) (command.Type, proto.Message, int) {
			c := &command.SetMetadata{Recursive: true}
			names := numbered("f", 0, manyItems)
			s.files("ONE", names...)
			for _, d := range numbered("d", 0, 8) {
				s.collections(catalogue.TypeDataset, d)
				s.fill(d, names...)
				c.Dids = append(c.Dids, settingOf(d, map[string]string{"project": `"x"`}))
			}
			return command.TypeSetMetadata, c, 8
		},
		"events of a file in very many": func(s *worstStore) (command.Type, proto.Message, int) {
			s.inVeryMany("f")
			return command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{settingOf("f", map[string]string{"events": "3"})}}, 1
		},
		"an archive in very many": func(s *worstStore) (command.Type, proto.Message, int) {
			s.inVeryMany("f.zip")
			s.files("ONE", "inside")
			return command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{attachment("f.zip", "inside")}}, 1
		},
		"the last replica of a file in very many": func(s *worstStore) (command.Type, proto.Message, int) {
			s.inVeryMany("f")
			return command.TypeDeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: "f"}}}, 1
		},
		"the last replica of an archive of very many": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("in", 0, many)
			s.files("ONE", "f.zip")
			s.fill("f.zip", names...)
			return command.TypeDeleteReplicas, &command.DeleteReplicas{Rse: "ONE", Files: []*command.ReplicaName{{Scope: "s", Name: "f.zip"}}}, 1
		},
		"the end of a file in very many": func(s *worstStore) (command.Type, proto.Message, int) {
			s.inVeryMany("f")
			s.do(command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{settingOf("f", map[string]string{"lifetime": "0"})}})
			return command.TypeExpireDIDs, &command.ExpireDIDs{Limit: 1000}, 1000
		},
		"the end of a file in very many monotonic": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("d", 0, many)
			s.files("ONE", "f")
			inParts(names, func(part []string) {
				add := &command.AddDIDs{Bulk: true}
				for _, name := range part {
					add.Dids = append(add.Dids, &command.NewCollection{Scope: "s", Name: name, Type: uint32(catalogue.TypeDataset), Monotonic: true})
				}
				s.do(command.TypeAddDIDs, add)
			})
			s.into("f", names...)
			s.do(command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{settingOf("f", map[string]string{"lifetime": "0"})}})
			return command.TypeExpireDIDs, &command.ExpireDIDs{Limit: 1000}, 1000
		},
		"the end of a container in very many": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("c", 0, many)
			s.collections(catalogue.TypeContainer, append(names, "x")...)
			s.into("x", names...)
			s.do(command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{settingOf("x", map[string]string{"lifetime": "0"})}})
			return command.TypeExpireDIDs, &command.ExpireDIDs{Limit: 1000}, 1000
		},
		"the end of a large dataset": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, many)
			s.collections(catalogue.TypeDataset, "d")
			s.files("ONE", names...)
			s.fill("d", names...)
			s.do(command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{settingOf("d", map[string]string{"lifetime": "0"})}})
			return command.TypeExpireDIDs, &command.ExpireDIDs{Limit: 1000}, 1000
		},
		"closing a large container": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("d", 0, many)
			s.collections(catalogue.TypeDataset, names...)
			s.collections(catalogue.TypeContainer, "c")
			s.fill("c", names...)
			return command.TypeSetDIDStatus, &command.SetDIDStatus{Scope: "s", Name: "c"}, 1
		},
		"one revoked token among many": func(s *worstStore) (command.Type, proto.Message, int) {
			s.inBatches(20_000, func(i int) command.Command {
				return as(s.t, command.TypeRevokeToken, &command.RevokeToken{TokenId: fmt.Sprint("t", i), Account: "root", Expires: 1 << 60})
			})
			return command.TypeRevokeToken, &command.RevokeToken{TokenId: "t", Account: "root", Expires: 1 << 60}, 1
		},
		"the return of many": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("d", 0, manyItems)
			s.collections(catalogue.TypeDataset, names...)
			c := &command.SetMetadata{}
			for _, name := range names {
				c.Dids = append(c.Dids, settingOf(name, map[string]string{"lifetime": "0"}))
			}
			s.do(command.TypeSetMetadata, c)
			s.as("", command.TypeExpireDIDs, &command.ExpireDIDs{Limit: manyItems, Dids: didNames(names...)})
			return command.TypeResurrectDIDs, &command.ResurrectDIDs{Limit: 1000, Dids: didNames(names...)}, manyItems
		},
		"PFNs that could be of many files": func(s *worstStore) (command.Type, proto.Message, int) {
			s.do(command.TypeSetRSEAttribute, &command.SetRSEAttribute{Rse: "ONE", Key: "lfn2pfn_algorithm", Value: "identity"})
			s.protocol("ONE")
			c := &command.DeclareSuspicious{}
			for i := range manyItems {
				pfn := "davs://one.example:443/x/user"
				for range 60 {
					pfn += "/d"
				}
				c.Pfns = append(c.Pfns, fmt.Sprint(pfn, "/", i))
			}
			return command.TypeDeclareSuspicious, c, manyItems
		},
		"PFNs of an ambiguous template": func(s *worstStore) (command.Type, proto.Message, int) {
			s.do(command.TypeSetSetting, &command.SetSetting{Setting: &command.Setting{Name: "path-algorithm/odd", Value: "{scope}{name}/{md5[0:2]}{sha1[0:2]}/{scope}/{name}"}})
			s.do(command.TypeSetRSEAttribute, &command.SetRSEAttribute{Rse: "ONE", Key: "lfn2pfn_algorithm", Value: "odd"})
			s.protocol("ONE")
			c := &command.DeclareSuspicious{}
			for i := range manyItems {
				pfn := "davs://one.example:443/x/"
				for range 100 {
					pfn += "aaaa"
				}
				c.Pfns = append(c.Pfns, fmt.Sprint(pfn, "/abcd/aaaa/aaaaa", i))
			}
			return command.TypeDeclareSuspicious, c, manyItems
		},
		"registration": func(s *worstStore) (command.Type, proto.Message, int) {
			return command.TypeAddReplicas, registration("ONE", numbered("data/run/some.project.stream.file.", 0, manyItems)...), manyItems
		},
		"registration with metadata": func(s *worstStore) (command.Type, proto.Message, int) {
			c := registration("ONE", numbered("data/run/some.project.stream.file.", 0, manyItems)...)
			for _, f := range c.Files {
				f.Meta = map[string]string{"events": "3", "project": `"p"`, "stream_name": `"s"`, "own": "1"}
			}
			return command.TypeAddReplicas, c, manyItems
		},
		"collections with metadata": func(s *worstStore) (command.Type, proto.Message, int) {
			add := &command.AddDIDs{Bulk: true}
			for _, name := range numbered("d", 0, manyItems) {
				add.Dids = append(add.Dids, &command.NewCollection{Scope: "s", Name: name, Type: 2, Meta: map[string]string{"project": `"p"`, "own": "1"}})
			}
			return command.TypeAddDIDs, add, manyItems
		},
		"files attached": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, manyItems)
			s.files("ONE", names...)
			s.collections(catalogue.TypeDataset, "d")
			return command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{attachment("d", names...)}}, manyItems
		},
		"files attached and registered": func(s *worstStore) (command.Type, proto.Message, int) {
			s.collections(catalogue.TypeDataset, "d")
			a := attachment("d", numbered("f", 0, manyItems)...)
			a.Rse = "ONE"
			return command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{a}}, manyItems
		},
		"files detached": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, manyItems)
			s.files("ONE", names...)
			s.collections(catalogue.TypeDataset, "d")
			s.fill("d", names...)
			return command.TypeDetachDIDs, &command.DetachDIDs{Scope: "s", Name: "d", Children: didNames(names...)}, manyItems
		},
		"replicas deleted": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, manyItems)
			s.files("ONE", names...)
			s.collections(catalogue.TypeDataset, "d")
			s.fill("d", names...)
			c := &command.DeleteReplicas{Rse: "ONE"}
			for _, name := range names {
				c.Files = append(c.Files, &command.ReplicaName{Scope: "s", Name: name})
			}
			return command.TypeDeleteReplicas, c, manyItems
		},
		"states": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, manyItems)
			s.files("ONE", names...)
			bad := &command.DeclareBad{Reason: "lost"}
			c := &command.UpdateReplicaStates{Rse: "ONE"}
			for _, name := range names {
				bad.Replicas = append(bad.Replicas, &command.ReplicaAt{Scope: "s", Name: name, Rse: "ONE"})
				c.Files = append(c.Files, &command.ReplicaChange{Scope: "s", Name: name, State: 'A'})
			}
			s.worst(command.TypeDeclareBad, "root", bad)
			return command.TypeUpdateReplicaStates, c, manyItems
		},
		"tombstones": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, manyItems)
			s.files("ONE", names...)
			c := &command.SetTombstones{}
			for _, name := range names {
				c.Replicas = append(c.Replicas, &command.ReplicaAt{Scope: "s", Name: name, Rse: "ONE"})
			}
			return command.TypeSetTombstones, c, manyItems
		},
		"quarantine": func(s *worstStore) (command.Type, proto.Message, int) {
			c := &command.Quarantine{Rse: "ONE"}
			for _, name := range numbered("/x/f", 0, manyItems) {
				c.Files = append(c.Files, &command.Quarantine_File{Path: name, Scope: "s", Name: name[3:]})
			}
			return command.TypeQuarantine, c, manyItems
		},
		"bad PFNs": func(s *worstStore) (command.Type, proto.Message, int) {
			s.protocol("ONE")
			c := &command.DeclareBadPFNs{State: 'B', Reason: "lost"}
			c.Pfns = numbered("davs://one.example:443/x/s/f", 0, manyItems)
			return command.TypeDeclareBadPFNs, c, manyItems
		},
		"files in many datasets": func(s *worstStore) (command.Type, proto.Message, int) {
			files, datasets := numbered("f", 0, 40), numbered("d", 0, 3000)
			s.files("ONE", files...)
			s.collections(catalogue.TypeDataset, datasets...)
			c := &command.DeleteReplicas{Rse: "ONE"}
			for _, file := range files {
				s.into(file, datasets...)
				c.Files = append(c.Files, &command.ReplicaName{Scope: "s", Name: file})
			}
			return command.TypeDeleteReplicas, c, len(files)
		},
		"an RSE with reports": func(s *worstStore) (command.Type, proto.Message, int) {
			s.inBatches(20_000, func(i int) command.Command {
				return as(s.t, command.TypeSetRSEUsage, &command.SetRSEUsage{Rse: "TWO", Source: fmt.Sprint("source", i/20)})
			})
			return command.TypeDeleteRSE, &command.DeleteRSE{Name: "TWO"}, 1
		},
	}
}

// TestWorstCases applies commands of the worst shapes. None may work longer than what it names and a constant allow. What
// is no work on keys has a limit of time with much air: it took longer where it grew with the square of what is named.
func TestWorstCases(t *testing.T) {
	for name, prepare := range worstCases() {
		t.Run(name, func(t *testing.T) {
			s := newWorstStore(t)
			number, c, named := prepare(s)
			issuer := "root"
			if number == command.TypeExpireDIDs {
				issuer = ""
			}
			started := time.Now()
			work, _ := s.worst(number, issuer, c)
			require.Less(t, work, 30*named+30_000)
			require.Less(t, time.Since(started), 10*time.Second)
		})
	}
}

// TestRemovalInSteps removes a file from very many datasets, and an archive of very many constituents, one of which has
// a replica: commands of the cluster go on with it until nothing is left.
func TestRemovalInSteps(t *testing.T) {
	s := newWorstStore(t)
	datasets, inside := numbered("d", 0, 3000), numbered("in", 0, 3000)
	s.collections(catalogue.TypeDataset, datasets...)
	s.files("ONE", "f", "a.zip", inside[7])
	s.into("f", datasets...)
	s.fill("a.zip", inside...)
	deletion := &command.DeleteReplicas{Rse: "ONE"}
	for _, name := range []string{"f", "a.zip"} {
		deletion.Files = append(deletion.Files, &command.ReplicaName{Scope: "s", Name: name})
	}
	s.do(command.TypeDeleteReplicas, deletion)
	require.NotEmpty(t, s.did("f"), "the rest is left to others")
	require.NotEmpty(t, s.did(inside[2999]))

	s.files("ONE", inside[2999]) // registered again: it stays
	steps := 0
	for s.due() {
		work, result := s.worst(command.TypeExpireDIDs, "", &command.ExpireDIDs{Limit: 1000})
		require.Equal(t, command.CodeOK, result.Code)
		require.Less(t, work, 30_000)
		steps++
		require.Less(t, steps, 50)
	}
	for _, name := range []string{"f", "a.zip", inside[0], inside[2998]} {
		require.Empty(t, s.did(name), name)
	}
	for _, name := range []string{inside[7], inside[2999], datasets[0]} {
		require.NotEmpty(t, s.did(name), name)
	}
	require.NoError(t, catalogue.CheckInvariants(s.m.overlay))
}

// did returns what is told of a DID, "" where there is none.
func (s *worstStore) did(name string) string {
	s.t.Helper()
	d, err := catalogue.GetDID(s.m.overlay, "s", name)
	if catalogue.CodeOf(err) == command.CodeDIDNotFound {
		return ""
	}
	require.NoError(s.t, err)
	return fmt.Sprintf("%+v", d)
}

// due reports whether the leader would propose ExpireDIDs.
func (s *worstStore) due() bool {
	s.t.Helper()
	work, err := catalogue.LifetimesDue(s.m.overlay, 1<<60)
	require.NoError(s.t, err)
	return work.Expire
}

// TestCirclesAreFound attaches containers in one command so that the last attachment closes a circle, or none does.
func TestCirclesAreFound(t *testing.T) {
	s := newWorstStore(t)
	names := numbered("c", 0, 300)
	s.collections(catalogue.TypeContainer, names...)
	s.do(command.TypeAttachDIDs, chain(names[:100]...))
	around := append(numbered("c", 99, 300), names[0])
	_, result := s.worst(command.TypeAttachDIDs, "root", chain(around...))
	require.Equal(t, command.CodeUnsupportedOperation, result.Code, result.Message)
	require.Contains(t, result.Message, "Circular attachment detected. ")
	s.do(command.TypeAttachDIDs, chain(names[99:]...))
	_, result = s.worst(command.TypeAttachDIDs, "root", chain(names[299], names[150]))
	require.Equal(t, command.CodeUnsupportedOperation, result.Code, result.Message)
	require.Equal(t, "Circular attachment detected. s:c000150 is already a parent of s:c000299", result.Message)
	both := &command.AddDIDs{Bulk: true}
	for _, d := range [][2]string{{"x", "y"}, {"y", "x"}} {
		n := &command.NewCollection{Scope: "s", Name: d[0], Type: uint32(catalogue.TypeContainer)}
		if d[0] == "y" {
			n.Children = attachment("y", "x").Children
		}
		both.Dids = append(both.Dids, n)
	}
	s.do(command.TypeAddDIDs, both)
	_, result = s.worst(command.TypeAttachDIDs, "root", chain("x", "y"))
	require.Equal(t, command.CodeUnsupportedOperation, result.Code, result.Message)
}
