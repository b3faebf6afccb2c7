package catalogue

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"dapple/command"
)

// replicaPlan is what registering files at one RSE comes to. checkNewReplicas makes it without writing anything; nothing
// but the same command's own writes may lie between it and write.
type replicaPlan struct {
	rse     *RSE
	account uint32
	// files are in the order of their keys.
	files []plannedFile
}

// plannedFile is one file of a plan with its record as it will be.
type plannedFile struct {
	ref   didRef
	scope string
	d     *DID
	meta  []MetadataEntry
	// isNew is set on a file that becomes a DID, isKept on one whose replica is there already.
	isNew, isKept bool
	// pathKept is set on a kept replica that was named with another path than the one it has.
	pathKept bool
	// item is the file's place in the command.
	item int
}

// checkNewReplicas checks files that are to be registered at an RSE. It does not ask whether the issuer may, nor whether the
// RSE takes writes. The refusals: CodeUnsupportedOperation at a volatile RSE and for a missing PFN, CodeInvalidPath,
// CodeScopeNotFound, CodeInvalidValue for a file that comes twice, CodeDIDExists for a dataset or container of that
// name, CodeFileMismatch, CodeReplicaExists, and those of metadata. Those about a single file go to the report where there is
// one, and the file is left out. attached is nil unless the files are attached to something in the same command.
func checkNewReplicas(v View, at Stamp, rse *RSE, files []*command.NewFile, attached *attachedFiles, report *refusals) (*replicaPlan, error) {
	if rse.Volatile {
		return nil, Errorf(command.CodeUnsupportedOperation, "Cannot add replicas on volatile RSE %s ", rse.Name)
	}
	issuer, err := requireActiveAccount(v, at.Issuer)
	if err != nil {
		return nil, err
	}
	schema, err := NameSchemaOf(v)
	if err != nil {
		return nil, err
	}
	c := planCheck{
		v: v, at: at, schema: schema, paths: pathCheck{rse: rse, schema: schema}, attached: attached,
		plan:      &replicaPlan{rse: rse, account: issuer.ID, files: make([]plannedFile, 0, len(files))},
		tombstone: defaultTombstone(at, rse),
		records:   make([]DID, len(files)),
		replicas:  make([]Replica, len(files)),
	}
	named, err := c.sortFiles(files, report)
	if err != nil {
		return nil, err
	}
	for i := range named {
		if err := report.take(named[i].item, c.next(i, named)); err != nil {
			return nil, err
		}
	}
	return c.plan, c.checkSum()
}

// next checks a file after those before it.
func (c *planCheck) next(i int, named []namedFile) error {
	if i > 0 && named[i].ref == named[i-1].ref {
		return Errorf(command.CodeInvalidValue, "File %s:%s is named twice", named[i].file.Scope, named[i].file.Name)
	}
	return c.add(i, named[i])
}

// namedFile is a file of a command with its reference and its place in the command.
type namedFile struct {
	ref  didRef
	file *command.NewFile
	item int
}

// sortFiles finds the scopes of files and brings the files into the order of their keys.
func (c *planCheck) sortFiles(files []*command.NewFile, report *refusals) ([]namedFile, error) {
	named := make([]namedFile, 0, len(files))
	var scopes scopeIDs
	for i, f := range files {
		ref, err := c.find(f, &scopes)
		if err == nil {
			named = append(named, namedFile{ref, f, i})
		} else if err := report.take(i, err); err != nil {
			return nil, err
		}
	}
	byRef := func(a, b namedFile) int { return cmp.Or(compareRefs(a.ref, b.ref), cmp.Compare(a.item, b.item)) }
	if !slices.IsSortedFunc(named, byRef) {
		slices.SortFunc(named, byRef)
	}
	return named, nil
}

// find returns the reference of a file that is to be registered.
func (c *planCheck) find(f *command.NewFile, scopes *scopeIDs) (didRef, error) {
	if c.attached == nil {
		if err := c.needPFN(f); err != nil {
			return didRef{}, err
		}
	}
	id, found, err := scopes.find(c.v, f.Scope)
	if err == nil && !found {
		if err = c.schema.checkMissing(c.v, TypeFile, f.Scope, f.Name); err == nil {
			err = Errorf(command.CodeScopeNotFound, "Scope '%s' of %s not found!", f.Scope, f.Name)
		}
	}
	return didRef{id, f.Name}, err
}

// compareRefs orders references as their keys.
func compareRefs(a, b didRef) int {
	if c := cmp.Compare(a.scope, b.scope); c != 0 {
		return c
	}
	return strings.Compare(a.name, b.name)
}

// planCheck is the state of checkNewReplicas.
type planCheck struct {
	v         View
	at        Stamp
	schema    *NameSchema
	plan      *replicaPlan
	paths     pathCheck
	attached  *attachedFiles
	tombstone int64
	// records and replicas are the memory of the plan's records: one allocation for all.
	records  []DID
	replicas []Replica
	key      []byte
	bytes    uint64
}

// add checks one file and appends it to the plan.
func (c *planCheck) add(i int, n namedFile) error {
	f := n.file
	if f.Bytes > MaxFileBytes {
		return Errorf(command.CodeInvalidValue, "File %s:%s: %d bytes are too many", f.Scope, f.Name, f.Bytes)
	}
	if f.State != 0 && !command.IsReplicaState(f.State) {
		return Errorf(command.CodeInvalidValue, "File %s:%s: no such state of replicas: %d", f.Scope, f.Name, f.State)
	}
	path, conflict, err := c.path(n)
	if err != nil {
		return err
	}
	planned := plannedFile{ref: n.ref, scope: f.Scope, d: &c.records[i], item: n.item}
	found, err := c.load(&planned)
	if err != nil {
		return err
	}
	if found {
		err = c.known(&planned, f, path)
	} else {
		err = c.unknown(&planned, f, i)
	}
	if err == nil && !planned.isKept {
		err = cmp.Or(conflict, c.needPFN(f))
	}
	if err != nil {
		return err
	}
	if !planned.isKept {
		c.insert(&planned, f, path)
	}
	c.plan.files = append(c.plan.files, planned)
	return nil
}

// load finds the record of a file, and returns false where there is none.
func (c *planCheck) load(p *plannedFile) (bool, error) {
	if d := c.attached.registered(p.ref); d != nil {
		p.d = d
		return true, nil
	}
	c.key = appendRef(append(c.key[:0], tableDID), p.ref)
	record, found, err := c.v.Get(c.key)
	if err != nil || !found {
		return false, err
	}
	if err := ParseDIDInto(p.d, record); err != nil {
		return false, fmt.Errorf("DID %s:%s: %w", p.scope, p.ref.name, err)
	}
	return true, nil
}

// known checks a file that is in the catalogue already.
func (c *planCheck) known(p *plannedFile, f *command.NewFile, path string) error {
	if p.d.Type != TypeFile {
		return Errorf(command.CodeDIDExists, "Data identifier '%s:%s' already exists as a %s", f.Scope, f.Name, p.d.Type)
	}
	differs := func(known, given string) bool { return known != "" && given != "" && !strings.EqualFold(known, given) }
	switch {
	case p.d.Bytes != f.Bytes && !c.attached.unsized(p.item):
		return Errorf(command.CodeFileMismatch, "File %s:%s is known with %d bytes, not %d", f.Scope, f.Name, p.d.Bytes, f.Bytes)
	case differs(p.d.Adler32, f.Adler32):
		return Errorf(command.CodeFileMismatch, "File %s:%s is known with adler32 %s, not %s", f.Scope, f.Name, p.d.Adler32, f.Adler32)
	case differs(p.d.MD5, f.Md5):
		return Errorf(command.CodeFileMismatch, "File %s:%s is known with md5 %s, not %s", f.Scope, f.Name, p.d.MD5, f.Md5)
	}
	at, there := p.d.Replica(c.plan.rse.ID)
	p.isKept = there
	if there && p.d.Replicas[at].Path != path {
		return c.keepPath(p, f, p.d.Replicas[at].Path, path)
	}
	return nil
}

// unknown makes the record of a file that becomes a DID.
func (c *planCheck) unknown(p *plannedFile, f *command.NewFile, i int) (err error) {
	if err := c.schema.checkNewFile(f); err != nil {
		return err
	}
	if c.attached.unsized(p.item) {
		return Errorf(command.CodeInvalidObject, "file %s:%s is not registered: to be registered at %s it needs its size in bytes",
			f.Scope, f.Name, c.plan.rse.Name)
	}
	if len(f.Meta) > 0 {
		if p.meta, err = validateMetadata(c.v, c.at, TypeFile, f.Meta); err != nil {
			return err
		}
		if size := metadataBytes(p.meta); size > maxMetadataBytes {
			if level, err := FeatureLevel(c.v); err != nil || level >= workFeatures {
				return cmp.Or(err, checkMetadataBytes(f.Name, size))
			}
		}
	}
	p.isNew = true
	*p.d = DID{
		Type: TypeFile, Account: c.plan.account, Created: c.at.Time, Updated: c.at.Time,
		Bytes: f.Bytes, Adler32: f.Adler32, MD5: f.Md5, Replicas: c.replicas[i : i : i+1],
	}
	return nil
}

// insert puts the new replica into the file's record.
func (c *planCheck) insert(p *plannedFile, f *command.NewFile, path string) {
	r := Replica{
		RSE: c.plan.rse.ID, State: StateAvailable, Revision: c.at.Revision, Created: c.at.Time, Updated: c.at.Time,
		Tombstone: f.Tombstone, Path: path,
	}
	if f.State != 0 {
		r.State = ReplicaState(f.State)
	}
	if r.Tombstone == 0 {
		r.Tombstone = c.tombstone
	}
	at, _ := p.d.Replica(r.RSE)
	p.d.Replicas = slices.Insert(p.d.Replicas, at, r)
	p.d.Revision = c.at.Revision
	c.bytes += min(p.d.Bytes, math.MaxUint64-c.bytes)
}

// checkSum refuses more bytes than an RSE's counters can hold.
func (c *planCheck) checkSum() error {
	counters, err := GetCounters(c.v, c.plan.rse.ID)
	if err != nil {
		return err
	}
	if held := counters.Total().Bytes; held > maxRSEBytes || c.bytes > maxRSEBytes-held {
		return Errorf(command.CodeInvalidValue, "%s cannot hold %d more bytes", c.plan.rse.Name, c.bytes)
	}
	return nil
}

// authorizeNewFiles asks whether the issuer may make DIDs in the scopes of the files that are new.
func (p *replicaPlan) authorizeNewFiles(v View, at Stamp) error {
	var last string
	for i := range p.files {
		f := &p.files[i]
		if !f.isNew || f.scope == last {
			continue
		}
		if err := Authorize(v, at.Issuer, ActionAddDIDs, f.scope); err != nil {
			return err
		}
		last = f.scope
	}
	return nil
}

// write stores the plan. An error is one of the store.
func (p *replicaPlan) write(tx Tx, at Stamp) error {
	var key, value []byte
	var changes counterChanges
	indexed, err := indexesFilesByRSE(tx)
	if err != nil {
		return err
	}
	for i := range p.files {
		f := &p.files[i]
		if f.isKept {
			continue
		}
		if f.isNew {
			tx.Note(at, didAdded(f.ref, f.d))
		}
		if err := putMetadata(tx, at, f.ref, f.d, f.meta); err != nil {
			return err
		}
		j, _ := f.d.Replica(p.rse.ID)
		r := &f.d.Replicas[j]
		r.Revision = tx.Note(at, replicaChange(ChangeReplicaAdded, f.ref, p.rse.Name, r))
		f.d.Revision = r.Revision
		key, value = appendRef(append(key[:0], tableDID), f.ref), AppendDID(value[:0], f.d)
		tx.Put(key, value)
		if indexed {
			tx.Put(rseFileKey(p.rse.ID, f.ref), nil)
		}
		if r.Path != "" {
			tx.Put(rsePathKey(p.rse.ID, r.Path), appendRef(nil, f.ref))
		}
		changes.add(p.rse.ID, r.State, 1, int64(f.d.Bytes))
	}
	return adjustCounters(tx, at, &changes)
}
