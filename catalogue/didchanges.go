package catalogue

import (
	"slices"

	"dapple/command"
)

// didChanges is what a command is going to do to DIDs. The check phase gathers it, reading through it what it has gathered
// before; write then carries it out and cannot be refused.
type didChanges struct {
	v      View
	at     Stamp
	issuer uint32 // the account's number
	schema *NameSchema

	dids    map[didRef]*changedDID
	order   []*changedDID // as they were first read
	edges   map[edge]bool // of collections: true is to be attached, false to be detached
	written []edge        // the keys of edges in the order of the request
	packed  map[edge]bool
	archive []edge // the keys of packed in the order of the request
	parents upward // of edges, nil until somebody asks
	holders upward // of packed, nil until somebody asks
	names   scopeNames
	scopes  map[string]uint32
	rses    map[string]bool // those that are known to exist
	work    workLimit
}

// changedDID is a DID that the command has read or is going to make.
type changedDID struct {
	ref     didRef
	did     *DID
	changed bool
	isNew   bool
	empty   bool            // what is stored of it holds nothing
	stored  []MetadataEntry // as of storedMetadata
	read    bool            // stored has been read
	meta    metadataEdits   // to be set
	planned []MetadataEntry // that the registration of a new file sets
	events  wideInt         // to be added to what a dataset's files have together
}

// edge leads from a collection to what is attached to it, or from an archive to a constituent.
type edge struct{ parent, child didRef }

// upward leads from what a command puts somewhere to where it puts it. It is made when it is first asked for, since most commands
// never ask, and kept from then on: making it for each of many attachments would cost the square of their number.
type upward map[didRef][]didRef

// upwardOf leads up the edges that are to be there.
func upwardOf(edges []edge, there map[edge]bool) upward {
	up := make(upward, len(edges))
	for _, e := range edges {
		if there[e] {
			up.add(e)
		}
	}
	return up
}

// add notes another edge, unless nobody has asked yet.
func (u upward) add(e edge) {
	if u != nil {
		u[e.child] = append(u[e.child], e.parent)
	}
}

func newDIDChanges(v View, at Stamp) (*didChanges, error) {
	issuer, err := requireActiveAccount(v, at.Issuer)
	if err != nil {
		return nil, err
	}
	schema, err := NameSchemaOf(v)
	if err != nil {
		return nil, err
	}
	work, err := newWorkLimit(v)
	if err != nil {
		return nil, err
	}
	return &didChanges{
		v: v, at: at, issuer: issuer.ID, schema: schema, work: work, rses: map[string]bool{},
		dids: map[didRef]*changedDID{}, edges: map[edge]bool{}, packed: map[edge]bool{},
		names: scopeNames{}, scopes: map[string]uint32{},
	}, nil
}

// scope returns the number of a scope, 0 where there is none.
func (c *didChanges) scope(name string) (uint32, error) {
	if id, known := c.scopes[name]; known {
		return id, nil
	}
	id, _, err := findScopeID(c.v, name)
	if err == nil {
		c.scopes[name] = id
	}
	return id, err
}

// find returns a DID, new ones of this command included, or nil where there is none.
func (c *didChanges) find(scope, name string) (*changedDID, error) {
	id, err := c.scope(scope)
	if err != nil || id == 0 {
		return nil, err
	}
	d, err := c.load(didRef{id, name})
	if err != nil || d == nil || d.did.hidden {
		return nil, err
	}
	return d, nil
}

// load is find by reference; it also returns one that is hidden.
func (c *didChanges) load(ref didRef) (*changedDID, error) {
	if d, known := c.dids[ref]; known {
		return d, nil
	}
	d, found, err := loadDID(c.v, ref)
	if err != nil || !found {
		return nil, err
	}
	return c.remember(&changedDID{ref: ref, did: d, empty: d.Length == 0}), nil
}

func (c *didChanges) remember(d *changedDID) *changedDID {
	c.dids[d.ref] = d
	c.order = append(c.order, d)
	return d
}

// must is find that refuses with CodeDIDNotFound.
func (c *didChanges) must(scope, name string) (*changedDID, error) {
	d, err := c.find(scope, name)
	if err == nil && d == nil {
		err = didMissing(c.v, scope, name)
	}
	return d, err
}

// add makes a new DID, which must not exist yet.
func (c *didChanges) add(ref didRef, d *DID) *changedDID {
	d.Created, d.Updated, d.Revision = c.at.Time, c.at.Time, c.at.Revision
	return c.remember(&changedDID{ref: ref, did: d, changed: true, isNew: true, empty: true})
}

// touch marks a DID as changed by this command.
func (c *didChanges) touch(d *changedDID) {
	d.changed = true
	d.did.Updated, d.did.Revision = c.at.Time, c.at.Revision
}

// attached reports whether a DID is in a collection as far as this command has got.
func (c *didChanges) attached(parent *changedDID, child didRef) (bool, error) {
	e := edge{parent.ref, child}
	if attached, known := c.edges[e]; known || parent.empty {
		return attached, nil
	}
	_, found, err := c.v.Get(attachmentKey(e.parent, e.child))
	return found, err
}

// attach puts a child into a collection.
func (c *didChanges) attach(parent, child *changedDID) error {
	events, err := c.eventsOf(child)
	if err != nil {
		return err
	}
	parent.events.add(events)
	e := edge{parent.ref, child.ref}
	if _, known := c.edges[e]; !known {
		c.written = append(c.written, e)
	}
	c.edges[e] = true
	c.parents.add(e)
	parent.did.countChild(child.did)
	parent.did.Archive = parent.did.Archive || child.did.Archive
	c.touch(parent)
	return nil
}

// detach takes a child out of a collection. What the collection had when it was closed shrinks with it, as in Rucio.
func (c *didChanges) detach(parent, child *changedDID) error {
	events, err := c.eventsOf(child)
	if err != nil {
		return err
	}
	parent.events.subtract(events)
	e := edge{parent.ref, child.ref}
	c.written = append(c.written, e)
	c.edges[e] = false
	c.parents = nil
	p := parent.did
	p.uncountChild(child.did)
	if p.ClosedLength != unknownTotal {
		p.ClosedLength -= min(1, p.ClosedLength)
		p.ClosedSize -= min(child.did.Bytes, p.ClosedSize)
	}
	c.touch(parent)
	return nil
}

// eventsOf returns how many events a file has as far as this command has got, 0 for a collection.
func (c *didChanges) eventsOf(d *changedDID) (int64, error) {
	if d.did.Type != TypeFile {
		return 0, nil
	}
	if text, set := d.meta.get(metaEvents); set {
		return eventsIn([]MetadataEntry{{metaEvents, text}})
	}
	if _, set := FindMetadata(d.planned, metaEvents); set {
		return eventsIn(d.planned)
	}
	stored, err := c.storedMetadata(d)
	if err != nil {
		return 0, err
	}
	return eventsIn(stored)
}

// parentsOf returns what a DID is attached to as it is stored.
func (c *didChanges) parentsOf(d *changedDID) (parents []didRef, err error) {
	err = scanParents(c.v, d.ref, d.did, func(parent didRef) (bool, error) {
		parents = append(parents, parent)
		return true, c.work.spendOn(1, "the datasets of '"+d.ref.name+"'")
	})
	return parents, err
}

// inArchive reports whether a file is in an archive as far as this command has got.
func (c *didChanges) inArchive(e edge) (bool, error) {
	if c.packed[e] {
		return true, nil
	}
	_, found, err := c.v.Get(constituentKey(e.parent, e.child))
	return found, err
}

// ancestors returns every collection above a DID, with those of this command.
func (c *didChanges) ancestors(ref didRef) (map[didRef]bool, error) {
	return above(ref, c.newParents(), c.storedParents)
}

// newParents returns, by child, what this command attaches it to.
func (c *didChanges) newParents() upward {
	if c.parents == nil {
		c.parents = upwardOf(c.written, c.edges)
	}
	return c.parents
}

// pack puts a file into an archive.
func (c *didChanges) pack(e edge) {
	c.packed[e] = true
	c.archive = append(c.archive, e)
	c.holders.add(e)
}

// archivesAbove returns every archive that a file is in, directly or in another, with those of this command.
func (c *didChanges) archivesAbove(ref didRef) (map[didRef]bool, error) {
	if c.holders == nil {
		c.holders = upwardOf(c.archive, c.packed)
	}
	return above(ref, c.holders, func(file didRef, visit func(didRef) (bool, error)) error {
		return scanArchives(c.v, file, visit)
	})
}

// above walks up from a DID by what is stored, which scan tells, and what this command adds to it.
func above(ref didRef, added upward, scan func(child didRef, visit func(parent didRef) (bool, error)) error) (map[didRef]bool, error) {
	all := map[didRef]bool{}
	for work := []didRef{ref}; len(work) > 0; {
		child := work[len(work)-1]
		work = work[:len(work)-1]
		direct := slices.Clone(added[child])
		err := scan(child, func(parent didRef) (bool, error) {
			direct = append(direct, parent)
			return true, nil
		})
		if err != nil {
			return nil, err
		}
		for _, parent := range direct {
			if !all[parent] {
				all[parent] = true
				work = append(work, parent)
			}
		}
	}
	return all, nil
}

// write carries everything out: what DIDs are, then what they hold, and last their records, which count and date that.
func (c *didChanges) write(tx Tx) error {
	for _, d := range c.order {
		if d.isNew {
			d.did.Revision = tx.Note(c.at, didAdded(d.ref, d.did))
		}
		if !d.events.isZero() {
			if err := addEvents(tx, c.at, d.ref, d.did, d.events.low()); err != nil {
				return err
			}
			d.changed = true
		}
		if err := c.writeMetadata(tx, d); err != nil {
			return err
		}
	}
	if err := c.writeEdges(tx); err != nil {
		return err
	}
	for _, d := range c.order {
		if d.changed {
			putDID(tx, d.ref, d.did)
		}
	}
	return nil
}

// writeMetadata carries out what is set on a DID, after its events.
func (c *didChanges) writeMetadata(tx Tx, d *changedDID) error {
	meta := d.meta.entries()
	if len(meta) == 0 {
		return nil
	}
	d.changed = true
	if d.read && d.events.isZero() {
		return putMetadataOver(tx, c.at, d.ref, d.did, d.stored, meta)
	}
	return putMetadata(tx, c.at, d.ref, d.did, meta)
}

// writeEdges carries out what is attached, detached and packed.
func (c *didChanges) writeEdges(tx Tx) error {
	homes, err := keepsHomes(tx)
	if err != nil {
		return err
	}
	for _, e := range c.written {
		child, put, changed := c.dids[e.child], deleteAttachment, false
		if c.edges[e] {
			put = putAttachment
			changed = putParent(tx, homes, e.child, child.did, e.parent)
		} else {
			changed = deleteParent(tx, e.child, child.did, e.parent)
		}
		child.changed = child.changed || changed
		c.dids[e.parent].did.Revision = put(tx, c.at, e.parent, e.child, child.did.Type)
	}
	for _, e := range c.archive {
		tx.Put(constituentKey(e.parent, e.child), appendConstituent(nil, constituent{created: c.at.Time}))
		tx.Put(archiveKey(e.child, e.parent), nil)
		revision := tx.Note(c.at, edgeChange(ChangeConstituentAdded, e.parent, e.child, TypeFile))
		c.dids[e.parent].did.Revision, c.dids[e.child].did.Revision = revision, revision
	}
	return nil
}

// mustScope returns the number of a scope, or CodeScopeNotFound.
func (c *didChanges) mustScope(name string) (uint32, error) {
	id, err := c.scope(name)
	if err == nil && id == 0 {
		err = Errorf(command.CodeScopeNotFound, "Scope '%s' not found!", name)
	}
	return id, err
}
