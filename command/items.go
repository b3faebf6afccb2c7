package command

import "google.golang.org/protobuf/proto"

// What the items of a command count for, in eighths of an item. They are about what an item costs at apply in the worst case,
// in units of 1.25 us on two processors (docs/performance.md), so that no command that counts for 10,000 items takes
// longer than 100 ms. They are only for those who make commands: apply takes what is in the log.
const (
	wholeItem      = 8
	registeredFile = 4
	newCollection  = 6
	attachedChild  = 7
	metadataKey    = 1
	detachedChild  = 10
	declaredBad    = 10
	changedReplica = 24 // its state, or that it is deleted
	changedDID     = 24 // its metadata, besides the keys
)

// Items returns how many items of a bulk request a command counts for; 0 where it has none.
func Items(c proto.Message) int {
	return (itemParts(c) + wholeItem - 1) / wholeItem
}

func itemParts(c proto.Message) (parts int) {
	switch c := c.(type) {
	case *AddReplicas:
		return fileParts(c.Files)
	case *AddReplicasReporting:
		return fileParts(c.Files)
	case *UpdateReplicaStates:
		return changedReplica * len(c.Files)
	case *UpdateReplicaStatesIf:
		return changedReplica * len(c.Update.GetFiles())
	case *DeleteReplicas:
		return changedReplica * len(c.Files)
	case *DeleteReplicasIf:
		return changedReplica * len(c.Deletion.GetFiles())
	case *DeclareBad:
		return declaredBad * (len(c.Pfns) + len(c.Replicas))
	case *DeclareBadPFNs:
		return declaredBad * len(c.Pfns)
	case *DeclareSuspicious:
		return wholeItem * (len(c.Pfns) + len(c.Replicas))
	case *SetTombstones:
		return wholeItem * len(c.Replicas)
	case *Quarantine:
		return wholeItem * len(c.Files)
	case *DetachDIDs:
		return detachedChild * len(c.Children)
	case *AttachDIDs:
		for _, a := range c.Attachments {
			parts += wholeItem + childParts(a.Children)
		}
	case *AddDIDs:
		for _, d := range c.Dids {
			parts += newCollection + metadataKey*len(d.Meta) + childParts(d.Children)
		}
	case *SetMetadata:
		for _, d := range c.Dids {
			parts += changedDID + metadataKey*(len(d.Set)+len(d.Delete))
		}
	}
	return parts
}

func fileParts(files []*NewFile) (parts int) {
	for _, f := range files {
		parts += registeredFile + metadataKey*len(f.GetMeta())
	}
	return parts
}

func childParts(children []*Child) (parts int) {
	for _, c := range children {
		parts += attachedChild + metadataKey*len(c.GetFile().GetMeta())
	}
	return parts
}
