package catalogue

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"dapple/command"
)

// maxMismatches bounds the items of a VersionMismatch: results are kept with the session until the node has them. It is part of
// what the conditional commands answer.
const maxMismatches = 1000

// UpdateReplicaStatesIf is UpdateReplicaStates where every replica has, before the command, the version that is named for it.
// Otherwise it is CodeVersionMismatch, and the details are a command.VersionMismatch; so it is for a replica that does not exist.
func UpdateReplicaStatesIf(tx Tx, at Stamp, c *command.UpdateReplicaStatesIf) ([]byte, error) {
	update := c.Update
	if update == nil {
		update = &command.UpdateReplicaStates{}
	}
	names := make([]fileNamed, len(update.Files))
	for i, f := range update.Files {
		names[i] = f
	}
	if err := checkVersions(tx, at, ActionUpdateReplicas, update.Rse, names, c.Versions); err != nil {
		return nil, err
	}
	return UpdateReplicaStates(tx, at, update)
}

// DeleteReplicasIf is DeleteReplicas where every replica has the version that is named for it, see UpdateReplicaStatesIf.
func DeleteReplicasIf(tx Tx, at Stamp, c *command.DeleteReplicasIf) ([]byte, error) {
	deletion := c.Deletion
	if deletion == nil {
		deletion = &command.DeleteReplicas{}
	}
	names := make([]fileNamed, len(deletion.Files))
	for i, f := range deletion.Files {
		names[i] = f
	}
	if err := checkVersions(tx, at, ActionDeleteReplicas, deletion.Rse, names, c.Versions); err != nil {
		return nil, err
	}
	return DeleteReplicas(tx, at, deletion)
}

// fileNamed is an item of a command that names a file.
type fileNamed interface {
	GetScope() string
	GetName() string
}

// checkVersions compares the versions of replicas at an RSE with those named for them. Only who may do what the command does is
// told a version.
func checkVersions(v View, at Stamp, action Action, rseName string, names []fileNamed, versions []uint64) error {
	if len(versions) != len(names) {
		return Errorf(command.CodeInvalidValue, "%d versions are named for %d replicas", len(versions), len(names))
	}
	rse, err := sharedRSE(v, rseName)
	if err == nil {
		err = Authorize(v, at.Issuer, action, rse.Name)
	}
	if err != nil {
		return err
	}
	var (
		other  command.VersionMismatch
		scopes scopeIDs
		d      DID
	)
	for i, n := range names {
		if versions[i] == 0 {
			continue
		}
		found, err := replicaVersion(v, &scopes, &d, rse, n)
		if err != nil {
			return err
		}
		if found == versions[i] {
			continue
		}
		if other.Count++; other.Count <= maxMismatches {
			other.Items = append(other.Items, &command.VersionMismatch_Item{
				Scope: n.GetScope(), Name: n.GetName(), Wanted: versions[i], Found: found,
			})
		}
	}
	return mismatch(rse.Name, &other)
}

// replicaVersion returns the version of a replica, 0 where there is none. It uses d for the record.
func replicaVersion(v View, scopes *scopeIDs, d *DID, rse *RSE, n fileNamed) (uint64, error) {
	id, found, err := scopes.find(v, n.GetScope())
	if err != nil || !found {
		return 0, err
	}
	if found, err = loadDIDInto(v, didRef{id, n.GetName()}, d); err != nil || !found {
		return 0, err
	}
	if i, there := d.Replica(rse.ID); there {
		return d.Replicas[i].Revision, nil
	}
	return 0, nil
}

// mismatch makes the refusal, nil where every version is as it was named.
func mismatch(rse string, other *command.VersionMismatch) error {
	if other.Count == 0 {
		return nil
	}
	details, err := proto.MarshalOptions{Deterministic: true}.Marshal(other)
	if err != nil {
		return err
	}
	first := other.Items[0]
	text := fmt.Sprintf("%d replicas at %s have other versions than those named, the first of them %s:%s: %d, not %d",
		other.Count, rse, first.Scope, first.Name, first.Found, first.Wanted)
	return &Error{Code: command.CodeVersionMismatch, Message: text, Details: details}
}
