package fsm

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// many is a number of attachments far above what a command may touch without naming it.
const many = 25_000

// worstCase prepares a store and returns a command for it, and how many items that names.
type worstCase func(s *worstStore) (number command.Type, c proto.Message, named int)

// worstCases are commands of a shape that costs as much as can be, each after what makes it so.
func worstCases() map[string]worstCase {
	all := worstOfMuch()
	maps.Copy(all, worstOfMany())
	return all
}

// worstOfMuch are the commands that lead to much more than they name.
func worstOfMuch() map[string]worstCase {
	return map[string]worstCase{
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
			names := numbered("d", 0, manyItems/2)
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
			for _, key := range numbered("k", 0, changedItems-200) {
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
			t.Parallel()
			s := newWorstStore(t)
			number, c, named := prepare(s)
			work, _ := s.worst(number, worstIssuer(number), c)
			require.LessOrEqual(t, command.Items(c), manyItems, "a node lets no more pass")
			require.Less(t, work, 30*named+30_000)
		})
	}
}

// worstIssuer is whose command it is: root's, or that of the cluster itself.
func worstIssuer(number command.Type) string {
	if number == command.TypeExpireDIDs {
		return ""
	}
	return "root"
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
