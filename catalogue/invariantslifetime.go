package catalogue

import (
	"bytes"
)

// hidden checks that what is hidden is a collection on its way that is in no other.
func (c *invariants) hidden(ref didRef, d *DID) error {
	if !d.hidden {
		return nil
	}
	if d.Type == TypeFile {
		return violated("a file is hidden")
	}
	parents, err := listParents(c.v, ref, d)
	if err != nil {
		return err
	}
	if len(parents) > 0 {
		return violated("it is hidden and in %d collections", len(parents))
	}
	return c.holds(endingKey(ref), nil, "the note that it is on its way")
}

// lifetime checks that a lifetime is in the index of ends, as far as that has been made.
func (c *invariants) lifetime(key []byte, ref didRef, d *DID, meta []MetadataEntry) error {
	at, found, err := endIn(meta)
	if err != nil || !found {
		return err
	}
	indexed, err := indexesEnds(c.v)
	if err != nil || !indexed {
		return err
	}
	last, done, err := lifetimesIndexed(c.v)
	if err != nil {
		return err
	}
	if d.hidden || !done && bytes.Compare(append([]byte{tableMetadata}, key...), last) > 0 {
		return nil
	}
	return c.holds(endKey(at, ref), nil, "the index of ends")
}

// end checks that the index of ends names a DID that ends then.
func (c *invariants) end(key, value []byte) error {
	at, rest, err := parseNumber(key)
	if err != nil {
		return err
	}
	ref, err := parseRef(rest)
	if err != nil {
		return err
	}
	d, err := mustLoadDID(c.v, ref)
	if err != nil {
		return err
	}
	meta, err := loadMetadata(c.v, ref, d)
	if err != nil {
		return err
	}
	ends, found, err := endIn(meta)
	if err != nil || !found || d.hidden || uint64(max(ends, 0)) != at {
		return violated("it ends at %d: %t, hidden: %t (%v)", ends, found, d.hidden, err)
	}
	return same(value, nil)
}

// ended checks the record of a collection that has ended.
func (c *invariants) ended(key, value []byte) error {
	ref, err := parseRef(key)
	if err != nil {
		return err
	}
	e, err := parseEnding(value)
	if err != nil {
		return err
	}
	if err := same(value, appendEnding(nil, e)); err != nil {
		return err
	}
	if e.phase != phaseEnded {
		if _, err := mustLoadDID(c.v, ref); err != nil {
			return err
		}
		return c.holds(endingKey(ref), nil, "the note that it is on its way")
	}
	d := e.did
	if d.Type == TypeFile || d.hidden || d.HasMetadata || d.Length > 0 || d.Size > 0 || len(d.home) > 0 {
		return violated("what is kept is no bare collection: %+v", d)
	}
	if _, found := FindMetadata(e.meta, MetaExpiredAt); found {
		return violated("the lifetime is kept")
	}
	return c.holds(endedAtKey(e.at, ref), nil, "the index of what has ended")
}

// endedAt checks that the index of what has ended names a collection that ended then.
func (c *invariants) endedAt(key, value []byte) error {
	at, rest, err := parseNumber(key)
	if err != nil {
		return err
	}
	ref, err := parseRef(rest)
	if err != nil {
		return err
	}
	e, found, err := loadEnding(c.v, ref)
	if err != nil || !found || e.phase != phaseEnded || uint64(max(e.at, 0)) != at {
		return violated("nothing ended then (%v)", err)
	}
	return same(value, nil)
}

// ending checks that what is on its way is kept and still has a record.
func (c *invariants) ending(key, value []byte) error {
	ref, err := parseRef(key)
	if err != nil {
		return err
	}
	e, found, err := loadEnding(c.v, ref)
	if err != nil || !found || e.phase == phaseEnded {
		return violated("it is not on its way (%v)", err)
	}
	return same(value, nil)
}

// fileStep checks that what is being removed in steps is a file.
func (c *invariants) fileStep(key, value []byte) error {
	ref, err := parseRef(key)
	if err != nil {
		return err
	}
	step, err := parseFileStep(value)
	if err != nil {
		return err
	}
	d, err := mustLoadDID(c.v, ref)
	if err != nil {
		return err
	}
	if d.Type != TypeFile {
		return violated("a %s is removed in steps of a file", d.Type)
	}
	return same(value, appendFileStep(nil, step))
}

// endedChild checks an attachment that is kept.
func (c *invariants) endedChild(key, value []byte) error {
	ended, a, err := c.kept(key, value)
	if err == nil && a.child == TypeFile && ended == TypeContainer {
		err = violated("a file in a container")
	}
	return err
}

// endedParent checks an attachment that is kept on the child's side.
func (c *invariants) endedParent(key, value []byte) error {
	_, a, err := c.kept(key, value)
	if err == nil && a.child == TypeFile {
		err = violated("of a file")
	}
	return err
}

// kept checks that an attachment is kept for a collection that has ended, and returns the collection's type and the attachment.
func (c *invariants) kept(key, value []byte) (DIDType, attachment, error) {
	ended, _, err := parseEdge(key)
	if err != nil {
		return 0, attachment{}, err
	}
	a, err := parseAttachment(value)
	if err == nil {
		err = same(value, appendAttachment(nil, a))
	}
	if err != nil {
		return 0, attachment{}, err
	}
	e, found, err := loadEnding(c.v, ended)
	if err != nil || !found {
		return 0, attachment{}, violated("nothing of %d:%s is kept (%v)", ended.scope, ended.name, err)
	}
	d := e.did
	if e.phase != phaseEnded {
		if d, err = mustLoadDID(c.v, ended); err != nil {
			return 0, attachment{}, err
		}
	}
	return d.Type, a, nil
}
