package catalogue

import (
	"slices"

	"dapple/command"
)

// DeleteReplicas deletes replicas at an RSE. A file that has no replica left and is in no archive goes with its last one:
// its DID, its metadata and its place in datasets. Records of replicas that were declared bad become DELETED.
func DeleteReplicas(tx Tx, at Stamp, c *command.DeleteReplicas) ([]byte, error) {
	rse, err := sharedRSE(tx, c.Rse)
	if err != nil {
		return nil, err
	}
	if err = Authorize(tx, at.Issuer, ActionDeleteReplicas, rse.Name); err != nil {
		return nil, err
	}
	if !rse.AvailableDelete {
		if err = checkBlocked(tx, at, rse, c.IgnoreAvailability, "%s is temporary unavailable for deleting"); err != nil {
			return nil, err
		}
	}
	files, err := checkDeletion(tx, rse, c.Files)
	if err != nil {
		return nil, err
	}
	return nil, deleteReplicas(tx, at, rse, files)
}

// doomedFile is a file that loses a replica, with its record as it was.
type doomedFile struct {
	ref didRef
	d   *DID
}

// checkDeletion finds the files of replicas that are to be deleted, in the order of their keys.
func checkDeletion(v View, rse *RSE, names []*command.ReplicaName) ([]doomedFile, error) {
	var scopes scopeIDs
	files := make([]doomedFile, len(names))
	missing := func(n *command.ReplicaName) error {
		return Errorf(command.CodeReplicaNotFound, "One or several replicas don't exist: %s:%s at %s", n.Scope, n.Name, rse.Name)
	}
	for i, n := range names {
		id, found, err := scopes.find(v, n.Scope)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, missing(n)
		}
		files[i].ref = didRef{id, n.Name}
		d, found, err := loadDID(v, files[i].ref)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, missing(n)
		}
		if _, there := d.Replica(rse.ID); !there {
			return nil, missing(n)
		}
		files[i].d = d
	}
	slices.SortFunc(files, func(a, b doomedFile) int { return compareRefs(a.ref, b.ref) })
	for i := 1; i < len(files); i++ {
		if files[i].ref == files[i-1].ref {
			return nil, Errorf(command.CodeInvalidValue, "Replica of %s at %s is named twice", files[i].ref.name, rse.Name)
		}
	}
	return files, nil
}

// removalWork is how many datasets and constituents of files without replicas one command takes care of, beyond two for
// each file that it names. The others are left to ExpireDIDs.
const removalWork = 1000

// deleteReplicas deletes checked replicas. An error is one of the store.
func deleteReplicas(tx Tx, at Stamp, rse *RSE, files []doomedFile) error {
	var (
		counters counterChanges
		bad      badEdits
	)
	indexed, err := indexesFilesByRSE(tx)
	if err != nil {
		return err
	}
	w, err := newDIDWork(tx, at, removalWork+2*len(files))
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.d.Constituent {
			// An archive that went before it in this command may have let it go.
			d, err := mustLoadDID(tx, f.ref)
			if err != nil {
				return err
			}
			f.d = d
		}
		i, _ := f.d.Replica(rse.ID)
		r := f.d.Replicas[i]
		f.d.Replicas = slices.Delete(f.d.Replicas, i, i+1)
		f.d.Revision = tx.Note(at, replicaChange(ChangeReplicaDeleted, f.ref, rse.Name, &r))
		if indexed {
			tx.Delete(rseFileKey(rse.ID, f.ref))
		}
		if r.Path != "" {
			tx.Delete(rsePathKey(rse.ID, r.Path))
		}
		counters.add(rse.ID, r.State, -1, -int64(f.d.Bytes))
		bad.move(rse, f.ref, BadStateBad, BadStateDeleted)
		if len(f.d.Replicas) > 0 || f.d.Constituent {
			putDID(tx, f.ref, f.d)
			continue
		}
		remove := w.removeFiles
		if !w.steps {
			remove = func(ref didRef, d *DID) error { return deleteFile(tx, at, ref, d) }
		}
		if err := remove(f.ref, f.d); err != nil {
			return err
		}
	}
	if err := bad.write(tx, at); err != nil {
		return err
	}
	return adjustCounters(tx, at, &counters)
}
