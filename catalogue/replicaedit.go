package catalogue

import (
	"slices"

	"dapple/command"
)

// replicaEdits gathers what a command changes in replicas that exist. Until write nothing is written, and every file is
// read once, so that a later change of the command sees an earlier one.
type replicaEdits struct {
	v        View
	at       Stamp
	scopes   scopeIDs
	files    map[didRef]*editedFile
	rses     map[uint32]*RSE // of what has changed
	counters counterChanges
	paths    []movedPath
	bad      badEdits
}

// editedFile is the record of a file, nil where there is no such file.
type editedFile struct {
	d       *DID
	was     []Replica // before the command
	changed bool
}

type movedPath struct {
	rse      uint32
	ref      didRef
	from, to string
}

func newReplicaEdits(v View, at Stamp) *replicaEdits {
	return &replicaEdits{v: v, at: at, files: map[didRef]*editedFile{}, rses: map[uint32]*RSE{}}
}

// editedReplica is a replica as the command has left it so far. It is valid until the next edit.
type editedReplica struct {
	rse     *RSE
	ref     didRef
	file    *editedFile
	replica *Replica
}

// find returns a replica by the name of its file, and false where there is none.
func (e *replicaEdits) find(rse *RSE, scope, name string) (editedReplica, bool, error) {
	id, found, err := e.scopes.find(e.v, scope)
	if err != nil || !found {
		return editedReplica{}, false, err
	}
	return e.findRef(rse, didRef{id, name})
}

func (e *replicaEdits) findRef(rse *RSE, ref didRef) (editedReplica, bool, error) {
	f := e.files[ref]
	if f == nil {
		d, found, err := loadDID(e.v, ref)
		if err != nil {
			return editedReplica{}, false, err
		}
		f = &editedFile{}
		if found && d.Type == TypeFile {
			f.d, f.was = d, slices.Clone(d.Replicas)
		}
		e.files[ref] = f
	}
	if f.d == nil {
		return editedReplica{}, false, nil
	}
	i, found := f.d.Replica(rse.ID)
	if !found {
		return editedReplica{}, false, nil
	}
	return editedReplica{rse, ref, f, &f.d.Replicas[i]}, true, nil
}

// touch marks a replica as changed by the command.
func (e *replicaEdits) touch(r editedReplica) {
	r.replica.Revision, r.replica.Updated = e.at.Revision, e.at.Time
	r.file.d.Revision = e.at.Revision
	r.file.changed = true
	e.rses[r.rse.ID] = r.rse
}

// mayBecome reports whether the rules let a replica change to a state: BEING_DELETED only where no rule holds it,
// TEMPORARY_UNAVAILABLE only from AVAILABLE or itself.
func (r editedReplica) mayBecome(state ReplicaState) bool {
	switch state {
	case StateBeingDeleted:
		return r.replica.Locks == 0
	case StateTemporarilyUnavailable:
		return r.replica.State == StateAvailable || r.replica.State == StateTemporarilyUnavailable
	default:
		return true
	}
}

// setState changes the state of a replica with what goes along: one that is being deleted is obsolete, one that is available
// again has recovered from being bad.
func (e *replicaEdits) setState(r editedReplica, state ReplicaState) {
	e.counters.move(r.rse.ID, r.replica.State, state, r.file.d.Bytes)
	r.replica.State = state
	switch state {
	case StateBeingDeleted:
		r.replica.Tombstone = obsoleteTombstone
	case StateAvailable:
		e.bad.move(r.rse, r.ref, BadStateBad, BadStateRecovered)
	}
	e.touch(r)
}

// setPath gives a replica at a non-deterministic RSE another path.
func (e *replicaEdits) setPath(r editedReplica, path string) {
	if path == r.replica.Path {
		return
	}
	e.paths = append(e.paths, movedPath{r.rse.ID, r.ref, r.replica.Path, path})
	r.replica.Path = path
	e.touch(r)
}

// write stores the changes. An error is one of the store.
func (e *replicaEdits) write(tx Tx) error {
	refs := make([]didRef, 0, len(e.files))
	for ref, f := range e.files {
		if f.changed {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, compareRefs)
	var key, value []byte
	for _, ref := range refs {
		e.note(tx, ref, e.files[ref])
		key, value = appendRef(append(key[:0], tableDID), ref), AppendDID(value[:0], e.files[ref].d)
		tx.Put(key, value)
	}
	for _, p := range e.paths {
		if p.from != "" {
			tx.Delete(rsePathKey(p.rse, p.from))
		}
	}
	for _, p := range e.paths {
		tx.Put(rsePathKey(p.rse, p.to), appendRef(nil, p.ref))
	}
	if err := e.bad.write(tx, e.at); err != nil {
		return err
	}
	return adjustCounters(tx, e.at, &e.counters)
}

// note notes what has become of the replicas of a file, each once whatever the command has done to it, and gives them their
// versions.
func (e *replicaEdits) note(tx Tx, ref didRef, f *editedFile) {
	for i := range f.d.Replicas {
		r, was := &f.d.Replicas[i], &f.was[i]
		if r.Revision != e.at.Revision {
			continue // it was not touched: an older one cannot have the command's revision
		}
		c := Change{
			Kind: ChangeReplicaChanged, ref: ref, RSE: e.rses[r.RSE].Name, Old: stateText(byte(was.State)), New: stateText(byte(r.State)),
		}
		if r.Path != was.Path {
			c.Path = r.Path
		}
		if r.Tombstone != was.Tombstone {
			c.Tombstone = r.Tombstone
		}
		r.Revision = tx.Note(e.at, c)
		f.d.Revision = r.Revision
	}
}

// rseCache finds the RSEs that a command names, each once.
type rseCache struct {
	v     View
	known map[string]*RSE
}

// find returns the RSE of an id in hexadecimal digits where one is given, otherwise that of a name, or CodeRSENotFound.
func (c *rseCache) find(name, id string) (*RSE, error) {
	key := "n" + name
	if id != "" {
		key = "i" + id
	}
	if r := c.known[key]; r != nil {
		return r, nil
	}
	r, err := findRSEByNameOrID(c.v, name, id)
	if err != nil {
		return nil, err
	}
	if c.known == nil {
		c.known = map[string]*RSE{}
	}
	c.known[key] = r
	return r, nil
}

func findRSEByNameOrID(v View, name, id string) (*RSE, error) {
	if id == "" {
		return sharedRSE(v, name)
	}
	uuid, ok := ParseUUID(id)
	if !ok {
		return nil, Errorf(command.CodeRSENotFound, "RSE with id '%.64s' cannot be found", id)
	}
	return RSEByUUID(v, uuid)
}
