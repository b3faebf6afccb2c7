package catalogue

import (
	"bytes"
	"cmp"

	"dapple/command"
)

func (c *invariants) did(key, value []byte) error {
	ref, err := parseRef(key)
	if err != nil {
		return err
	}
	d, err := ParseDID(value)
	if err != nil {
		return err
	}
	if err := same(value, AppendDID(nil, d)); err != nil {
		return err
	}
	if err := checkName("name", ref.name); err != nil {
		return err
	}
	if _, err := scopeName(c.v, ref.scope); err != nil {
		return err
	}
	if _, err := accountName(c.v, d.Account); err != nil {
		return err
	}
	if _, found, err := c.v.Get(metadataKey(ref)); err != nil || found != d.HasMetadata {
		return violated("has metadata: %t, marked: %t (%v)", found, d.HasMetadata, err)
	}
	if err := c.home(ref, d); err != nil {
		return err
	}
	if err := c.hidden(ref, d); err != nil {
		return err
	}
	if d.Type == TypeFile {
		return c.file(ref, d)
	}
	return c.collection(ref, d)
}

func (c *invariants) home(ref didRef, d *DID) error {
	if len(d.home) == 0 {
		return nil
	}
	if !c.homes {
		return violated("this schema version has no homes in records")
	}
	home, err := parseRef(d.home)
	if err != nil {
		return err
	}
	if _, found, err := c.v.Get(attachmentKey(home, ref)); err != nil || !found {
		return violated("it is not attached to its home (%v)", err)
	}
	return nil
}

func (c *invariants) collection(ref didRef, d *DID) error {
	var length, size uint64
	var events int64
	err := scanChildren(c.v, ref, func(child didRef, t DIDType) (bool, error) {
		length++
		if t != TypeFile {
			return true, nil
		}
		file, err := mustLoadDID(c.v, child)
		if err != nil {
			return false, err
		}
		size += file.Bytes
		n, err := c.events(child, file)
		events += n
		return true, err
	})
	if err != nil {
		return err
	}
	if d.Length != length || d.Size != size {
		return violated("length %d and size %d, recounted %d and %d", d.Length, d.Size, length, size)
	}
	if !d.Open && d.ClosedAt == 0 {
		return violated("closed at no time")
	}
	if n, err := c.events(ref, d); err != nil || d.Type == TypeDataset && n != events {
		return violated("%d events, recounted %d (%v)", n, events, err)
	}
	return nil
}

func (c *invariants) events(ref didRef, d *DID) (int64, error) {
	meta, err := loadMetadata(c.v, ref, d)
	if err != nil {
		return 0, err
	}
	return eventsIn(meta)
}

func (c *invariants) file(ref didRef, d *DID) error {
	constituents, archives := 0, 0
	err := scanConstituents(c.v, ref, func(didRef) (bool, error) { constituents++; return true, nil })
	if err != nil {
		return err
	}
	err = scanArchives(c.v, ref, func(didRef) (bool, error) { archives++; return true, nil })
	if err != nil {
		return err
	}
	switch {
	case d.Archive != (constituents > 0):
		return violated("archive: %t, with %d constituents", d.Archive, constituents)
	case d.Constituent != (archives > 0):
		return violated("constituent: %t, in %d archives", d.Constituent, archives)
	case len(d.Replicas) == 0 && !d.Constituent:
		if step, found, err := loadFileStep(c.v, ref); err != nil || !found || !step.gone {
			return cmp.Or(err, violated("neither a replica nor in an archive"))
		}
	}
	for i := range d.Replicas {
		if err := c.replica(ref, d, &d.Replicas[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *invariants) replica(ref didRef, d *DID, r *Replica) error {
	rse, err := RSEByID(c.v, r.RSE)
	if err != nil {
		return err
	}
	if !command.IsReplicaState(uint32(r.State)) {
		return violated("state %q at %s", r.State, rse.Name)
	}
	if rse.Deleted != 0 {
		return violated("a replica at %s, which is deleted", rse.Name)
	}
	if c.indexed {
		if err := c.holds(rseFileKey(r.RSE, ref), nil, "the index of files by RSE"); err != nil {
			return err
		}
	}
	if rse.Deterministic != (r.Path == "") {
		return violated("path %q at %s, deterministic: %t", r.Path, rse.Name, rse.Deterministic)
	}
	if r.Path != "" {
		if err := c.holds(rsePathKey(r.RSE, r.Path), appendRef(nil, ref), "the index of paths"); err != nil {
			return err
		}
	}
	t := &c.tally(r.RSE).states[counterIndex(r.State)]
	t.Files++
	t.Bytes += d.Bytes
	return nil
}

func (c *invariants) metadata(key, value []byte) error {
	ref, err := parseRef(key)
	if err != nil {
		return err
	}
	entries, err := parseMetadata(value)
	if err != nil {
		return err
	}
	if err := same(value, appendMetadata(nil, entries)); err != nil {
		return err
	}
	for _, e := range entries {
		if err := checkText("metadata key", e.Key, MaxMetadataKey); err != nil {
			return err
		}
	}
	d, err := mustLoadDID(c.v, ref)
	if err != nil {
		return err
	}
	if !d.HasMetadata || len(entries) == 0 {
		return violated("%d entries, marked: %t", len(entries), d.HasMetadata)
	}
	return c.lifetime(key, ref, d, entries)
}

func (c *invariants) attachment(key, value []byte) error {
	parent, child, err := parseEdge(key)
	if err != nil {
		return err
	}
	a, err := parseAttachment(value)
	if err != nil {
		return err
	}
	if err := same(value, appendAttachment(nil, a)); err != nil {
		return err
	}
	p, err := mustLoadDID(c.v, parent)
	if err != nil {
		return err
	}
	d, err := mustLoadDID(c.v, child)
	if err != nil {
		return err
	}
	if a.child != d.Type || p.Type != parentType(d.Type) {
		return violated("a %s in a %s, noted as %s", d.Type, p.Type, a.child)
	}
	_, tabled, err := c.v.Get(parentKey(child, parent))
	if err != nil {
		return err
	}
	if tabled == d.livesIn(parent) {
		return violated("the reverse is in the table: %t, in the record: %t", tabled, d.livesIn(parent))
	}
	return nil
}

func (c *invariants) parent(key, _ []byte) error {
	child, parent, err := parseEdge(key)
	if err != nil {
		return err
	}
	if _, found, err := c.v.Get(attachmentKey(parent, child)); err != nil || !found {
		return violated("there is no such attachment (%v)", err)
	}
	return nil
}

func (c *invariants) constituent(key, value []byte) error {
	archive, file, err := parseEdge(key)
	if err != nil {
		return err
	}
	p, err := parseConstituent(value)
	if err != nil {
		return err
	}
	if err := same(value, appendConstituent(nil, p)); err != nil {
		return err
	}
	for _, ref := range [...]didRef{archive, file} {
		if d, err := mustLoadDID(c.v, ref); err != nil || d.Type != TypeFile {
			return violated("%d:%s is no file (%v)", ref.scope, ref.name, err)
		}
	}
	return c.holds(archiveKey(file, archive), nil, "the reverse")
}

func (c *invariants) archive(key, _ []byte) error {
	file, archive, err := parseEdge(key)
	if err != nil {
		return err
	}
	if _, found, err := c.v.Get(constituentKey(archive, file)); err != nil || !found {
		return violated("there is no such constituent (%v)", err)
	}
	return nil
}

// parseEdge reads two references of which the first is closed by a zero byte.
func parseEdge(key []byte) (first, second didRef, err error) {
	first, rest, err := parseRef0(bytes.Clone(key))
	if err != nil {
		return didRef{}, didRef{}, err
	}
	second, err = parseRef(rest)
	return first, second, err
}
