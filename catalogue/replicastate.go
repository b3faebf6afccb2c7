package catalogue

import (
	"strings"

	"dapple/command"
)

// UpdateReplicaStates changes the states of replicas at an RSE, and the paths of those that name one where the RSE is not
// deterministic. A replica that is named twice takes both changes in turn.
func UpdateReplicaStates(tx Tx, at Stamp, c *command.UpdateReplicaStates) ([]byte, error) {
	rse, err := sharedRSE(tx, c.Rse)
	if err != nil {
		return nil, err
	}
	if err = Authorize(tx, at.Issuer, ActionUpdateReplicas, rse.Name); err != nil {
		return nil, err
	}
	schema, err := NameSchemaOf(tx)
	if err != nil {
		return nil, err
	}
	edits, paths := newReplicaEdits(tx, at), pathCheck{rse: rse, schema: schema}
	for _, f := range c.Files {
		if err = changeState(edits, &paths, rse, f); err != nil {
			return nil, err
		}
	}
	return nil, edits.write(tx)
}

func changeState(edits *replicaEdits, paths *pathCheck, rse *RSE, f *command.ReplicaChange) error {
	if !command.IsReplicaState(f.State) {
		return Errorf(command.CodeInvalidValue, "Replica %s:%s: no such state of replicas: %d", f.Scope, f.Name, f.State)
	}
	r, found, err := edits.find(rse, f.Scope, f.Name)
	if err != nil {
		return err
	}
	if !found {
		if err := paths.schema.checkMissing(edits.v, TypeFile, f.Scope, f.Name); err != nil {
			return err
		}
		return Errorf(command.CodeReplicaNotFound, "No row found for scope: %s name: %s rse: %s", f.Scope, f.Name, rse.Name)
	}
	state := ReplicaState(f.State)
	if !r.mayBecome(state) {
		return Errorf(command.CodeStateForbidden, "State %s for replica %s:%s on %s cannot be updated", state, f.Scope, f.Name, rse.Name)
	}
	path := "/" + strings.TrimLeft(f.Path, "/")
	if f.Path != "" {
		if err := paths.schema.checkPath(path); err != nil {
			return err
		}
	}
	if f.Path != "" && !rse.Deterministic {
		if err := paths.claim(edits.v, r.ref, path); err != nil {
			return err
		}
		edits.setPath(r, path)
	}
	edits.setState(r, state)
	return nil
}
