package catalogue

import "dapple/command"

// SetTombstones marks replicas as obsolete, so that they may be deleted at once. A replica that a rule holds is
// CodeReplicaLocked.
func SetTombstones(tx Tx, at Stamp, c *command.SetTombstones) ([]byte, error) {
	if err := Authorize(tx, at.Issuer, ActionSetTombstones); err != nil {
		return nil, err
	}
	edits, rses := newReplicaEdits(tx, at), rseCache{v: tx}
	for _, named := range c.Replicas {
		rse, err := rses.find(named.Rse, named.RseId)
		if err != nil {
			return nil, err
		}
		r, found, err := edits.find(rse, named.Scope, named.Name)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, Errorf(command.CodeReplicaNotFound, "Replica %s:%s on RSE %s could not be found.", named.Scope, named.Name, rse.Name)
		}
		if r.replica.Locks > 0 {
			return nil, Errorf(command.CodeReplicaLocked, "Replica %s:%s on RSE %s is locked.", named.Scope, named.Name, rse.Name)
		}
		r.replica.Tombstone = obsoleteTombstone
		edits.touch(r)
	}
	return nil, edits.write(tx)
}
