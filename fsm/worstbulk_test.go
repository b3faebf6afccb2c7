package fsm

import (
	"fmt"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"dapple/catalogue"
	"dapple/command"
)

// worstOfMany are the commands of as many items as a node lets pass (command.Items).
func worstOfMany() map[string]worstCase {
	return map[string]worstCase{
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
			names := numbered("f", 0, detachedItems)
			s.files("ONE", names...)
			s.collections(catalogue.TypeDataset, "d")
			s.fill("d", names...)
			return command.TypeDetachDIDs, &command.DetachDIDs{Scope: "s", Name: "d", Children: didNames(names...)}, detachedItems
		},
		"replicas deleted": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, changedItems)
			s.files("ONE", names...)
			s.collections(catalogue.TypeDataset, "d")
			s.fill("d", names...)
			c := &command.DeleteReplicas{Rse: "ONE"}
			for _, name := range names {
				c.Files = append(c.Files, &command.ReplicaName{Scope: "s", Name: name})
			}
			return command.TypeDeleteReplicas, c, changedItems
		},
		"states": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, changedItems)
			s.files("ONE", names...)
			s.bad(names...)
			c := &command.UpdateReplicaStates{Rse: "ONE"}
			for _, name := range names {
				c.Files = append(c.Files, &command.ReplicaChange{Scope: "s", Name: name, State: 'A'})
			}
			return command.TypeUpdateReplicaStates, c, changedItems
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
			c.Pfns = numbered("davs://one.example:443/x/s/f", 0, detachedItems)
			return command.TypeDeclareBadPFNs, c, detachedItems
		},
		"files registered in no order": func(s *worstStore) (command.Type, proto.Message, int) {
			return command.TypeAddReplicas, registration("ONE", shuffled(numbered("f", 0, manyItems))...), manyItems
		},
		"files attached in no order": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, manyItems)
			s.files("ONE", names...)
			s.collections(catalogue.TypeDataset, "d")
			return command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{attachment("d", shuffled(names)...)}}, manyItems
		},
		"files detached in no order": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, detachedItems)
			s.files("ONE", names...)
			s.collections(catalogue.TypeDataset, "d")
			s.fill("d", names...)
			return command.TypeDetachDIDs, &command.DetachDIDs{Scope: "s", Name: "d", Children: didNames(shuffled(names)...)}, detachedItems
		},
		"replicas of two datasets deleted": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, changedItems)
			s.filesWith(map[string]string{"events": "3", "own": "1"}, names...)
			s.collections(catalogue.TypeDataset, "d", "e")
			s.fill("d", names...)
			s.fill("e", names...)
			s.bad(names...)
			c := &command.DeleteReplicas{Rse: "ONE"}
			for _, name := range shuffled(names) {
				c.Files = append(c.Files, &command.ReplicaName{Scope: "s", Name: name})
			}
			return command.TypeDeleteReplicas, c, changedItems
		},
		"replicas deleted by version": func(s *worstStore) (command.Type, proto.Message, int) {
			names := shuffled(numbered("f", 0, changedItems))
			s.files("ONE", names...)
			c := &command.DeleteReplicasIf{Deletion: &command.DeleteReplicas{Rse: "ONE"}}
			for _, name := range names {
				d, err := catalogue.GetDID(s.m.overlay, "s", name)
				require.NoError(s.t, err)
				c.Deletion.Files = append(c.Deletion.Files, &command.ReplicaName{Scope: "s", Name: name})
				c.Versions = append(c.Versions, d.Replicas[0].Revision)
			}
			return command.TypeDeleteReplicasIf, c, changedItems
		},
		"bad declared": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, detachedItems)
			s.files("ONE", names...)
			return command.TypeDeclareBad, badOf(shuffled(names)...), detachedItems
		},
		"bad declared by PFN": func(s *worstStore) (command.Type, proto.Message, int) {
			c := &command.DeclareBad{Reason: "lost"}
			for i, name := range numbered("f", 0, detachedItems) {
				c.Pfns = append(c.Pfns, fmt.Sprintf("davs://one.example:443/x/%d/%s", i, name))
			}
			s.do(command.TypeAddReplicas, s.atPaths("ODD", c.Pfns))
			return command.TypeDeclareBad, c, detachedItems
		},
		"bad at many RSEs": func(s *worstStore) (command.Type, proto.Message, int) {
			c := &command.DeclareBad{Reason: "lost"}
			for i, rse := range numbered("RSE", 0, detachedItems) {
				s.do(command.TypeAddRSE, &command.AddRSE{Name: rse, Uuid: fmt.Appendf(nil, "%016d", i), Settings: &command.RSESettings{}})
				c.Replicas = append(c.Replicas, &command.ReplicaAt{Scope: "s", Name: "f", Rse: rse})
			}
			return command.TypeDeclareBad, c, detachedItems
		},
		"bad deleted": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, changedItems)
			s.files("ONE", names...)
			s.bad(names...)
			c := &command.DeleteReplicas{Rse: "ONE"}
			for _, name := range names {
				c.Files = append(c.Files, &command.ReplicaName{Scope: "s", Name: name})
			}
			return command.TypeDeleteReplicas, c, changedItems
		},
		"registration with paths": func(s *worstStore) (command.Type, proto.Message, int) {
			var pfns []string
			for i, name := range shuffled(numbered("f", 0, manyItems)) {
				pfns = append(pfns, fmt.Sprintf("davs://one.example:443/x/%d/%s", i, name))
			}
			return command.TypeAddReplicas, s.atPaths("ODD", pfns), manyItems
		},
		"registration that is refused file by file": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, manyItems)
			s.files("ONE", names...)
			c := &command.AddReplicasReporting{Rse: "TWO"}
			for _, name := range names {
				c.Files = append(c.Files, &command.NewFile{Scope: "s", Name: name, Bytes: 6})
			}
			return command.TypeAddReplicasReporting, c, manyItems
		},
		"metadata of many": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, changedItems-300)
			s.filesWith(map[string]string{"own": "1"}, names...)
			s.collections(catalogue.TypeDataset, "d", "e")
			s.fill("d", names...)
			s.fill("e", names...)
			c := &command.SetMetadata{}
			for _, name := range shuffled(names) {
				c.Dids = append(c.Dids, settingOf(name, map[string]string{"events": "5", "lifetime": "1000"}))
			}
			return command.TypeSetMetadata, c, changedItems - 300
		},
		"files with metadata into as many datasets": func(s *worstStore) (command.Type, proto.Message, int) {
			names, datasets := numbered("f", 0, manyItems/2), numbered("d", 0, manyItems/2)
			s.filesWith(map[string]string{"events": "3"}, names...)
			s.collections(catalogue.TypeDataset, datasets...)
			c := &command.AttachDIDs{Bulk: true}
			for i, name := range shuffled(names) {
				c.Attachments = append(c.Attachments, attachment(datasets[i], name))
			}
			return command.TypeAttachDIDs, c, manyItems
		},
		"constituents": func(s *worstStore) (command.Type, proto.Message, int) {
			s.files("ONE", "f.zip")
			return command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{attachment("f.zip", shuffled(numbered("in", 0, manyItems))...)}}, manyItems
		},
		"collections with files that are registered": func(s *worstStore) (command.Type, proto.Message, int) {
			add := &command.AddDIDs{Bulk: true}
			files := numbered("f", 0, manyItems/2)
			for i, name := range shuffled(numbered("d", 0, manyItems/2)) {
				a := attachment(name, files[i])
				add.Dids = append(add.Dids, &command.NewCollection{Scope: "s", Name: name, Type: 2, Rse: "ONE", Children: a.Children})
			}
			return command.TypeAddDIDs, add, manyItems
		},
		"metadata of many keys": func(s *worstStore) (command.Type, proto.Message, int) {
			c := &command.AddReplicas{Rse: "ONE"}
			for i := range manyItems / 8 {
				f := &command.NewFile{Scope: "s", Name: fmt.Sprint("f", i), Bytes: 5, Meta: map[string]string{}}
				for k := range 60 {
					f.Meta[fmt.Sprint("k", k)] = "1"
				}
				c.Files = append(c.Files, f)
			}
			return command.TypeAddReplicas, c, manyItems
		},
		"files with metadata attached in no order": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, manyItems)
			s.filesWith(map[string]string{"events": "3", "own": "1"}, names...)
			s.collections(catalogue.TypeDataset, "d")
			return command.TypeAttachDIDs, &command.AttachDIDs{Attachments: []*command.Attachment{attachment("d", shuffled(names)...)}}, manyItems
		},
		"files with metadata detached in no order": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, detachedItems)
			s.filesWith(map[string]string{"events": "3", "own": "1"}, names...)
			s.collections(catalogue.TypeDataset, "d")
			s.fill("d", names...)
			return command.TypeDetachDIDs, &command.DetachDIDs{Scope: "s", Name: "d", Children: didNames(shuffled(names)...)}, detachedItems
		},
		"states in no order": func(s *worstStore) (command.Type, proto.Message, int) {
			var pfns []string
			for i := range changedItems {
				pfns = append(pfns, fmt.Sprintf("davs://one.example:443/x/%d/f", i))
			}
			s.do(command.TypeAddReplicas, s.atPaths("ODD", pfns))
			bad, c := &command.DeclareBad{Reason: "lost"}, &command.UpdateReplicaStates{Rse: "ODD"}
			for i, name := range shuffled(numbered("f", 0, changedItems)) {
				bad.Replicas = append(bad.Replicas, &command.ReplicaAt{Scope: "s", Name: name, Rse: "ODD"})
				c.Files = append(c.Files, &command.ReplicaChange{Scope: "s", Name: name, State: 'A', Path: fmt.Sprint("/x/y/", i)})
			}
			s.do(command.TypeDeclareBad, bad)
			return command.TypeUpdateReplicaStates, c, changedItems
		},
		"suspicious": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, manyItems)
			s.files("ONE", names...)
			return command.TypeDeclareSuspicious, &command.DeclareSuspicious{Reason: "odd", Replicas: badOf(shuffled(names)...).Replicas}, manyItems
		},
		"large metadata": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("d", 0, 150)
			s.collections(catalogue.TypeDataset, names...)
			large := map[string]string{}
			for _, key := range numbered("k", 0, 6000) {
				large[key] = "1"
			}
			c := &command.SetMetadata{}
			for _, name := range names {
				s.do(command.TypeSetMetadata, &command.SetMetadata{Dids: []*command.DIDMetadata{settingOf(name, large)}})
				c.Dids = append(c.Dids, settingOf(name, map[string]string{"x": "1"}))
			}
			return command.TypeSetMetadata, c, manyItems
		},
		"recursive metadata of all keys": func(s *worstStore) (command.Type, proto.Message, int) {
			names := numbered("f", 0, manyItems)
			s.filesWith(map[string]string{"own": "1"}, names...)
			s.collections(catalogue.TypeDataset, "d")
			s.fill("d", names...)
			set := map[string]string{}
			for _, key := range []string{"campaign", "datatype", "phys_group", "prod_step", "project", "stream_name", "version"} {
				set[key] = `"x"`
			}
			for _, key := range []string{"lumiblocknr", "panda_id", "run_number", "task_id"} {
				set[key] = "1"
			}
			return command.TypeSetMetadata, &command.SetMetadata{Recursive: true, Dids: []*command.DIDMetadata{settingOf("d", set)}}, manyItems
		},
	}
}
