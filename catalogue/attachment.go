package catalogue

import (
	"encoding/binary"
	"fmt"
)

// attachment is the record that a DID is in a collection; the two are its key.
type attachment struct {
	// child is the type of what is attached, kept here so that going down a tree reads no DID.
	child DIDType
	// created is the log time in microseconds.
	created int64
}

const attachmentFormat = 1

func appendAttachment(b []byte, a attachment) []byte {
	return binary.AppendVarint(append(b, attachmentFormat, byte(a.child)), a.created)
}

func parseAttachment(b []byte) (attachment, error) {
	r := newRecordReader(b, attachmentFormat)
	a := attachment{child: DIDType(r.byte()), created: r.varint()}
	if a.child < TypeFile || a.child > TypeContainer {
		r.fail()
	}
	return a, r.done()
}

// detachFile takes a file out of all its datasets and brings their length and size up to date; what they had when they were
// closed stays as it was then. It checks nothing.
func detachFile(tx Tx, at Stamp, ref didRef, d *DID) error {
	parents, err := listParents(tx, ref, d)
	if err != nil {
		return err
	}
	meta, err := loadMetadata(tx, ref, d)
	if err != nil {
		return err
	}
	events, err := eventsIn(meta)
	if err != nil {
		return err
	}
	for _, parent := range parents {
		p, err := mustLoadDID(tx, parent)
		if err != nil {
			return fmt.Errorf("parent of %d:%s: %w", ref.scope, ref.name, err)
		}
		deleteParent(tx, ref, d, parent)
		revision := deleteAttachment(tx, at, parent, ref, d.Type)
		p.uncountChild(d)
		if err := addEvents(tx, at, parent, p, -events); err != nil {
			return err
		}
		p.Revision, p.Updated = max(p.Revision, revision), at.Time
		putDID(tx, parent, p)
	}
	return nil
}

// putAttachment writes the parent's side of an attachment and returns the revision of its event.
func putAttachment(tx Tx, at Stamp, parent, child didRef, t DIDType) uint64 {
	tx.Put(attachmentKey(parent, child), appendAttachment(nil, attachment{child: t, created: at.Time}))
	return tx.Note(at, edgeChange(ChangeAttachmentAdded, parent, child, t))
}

// deleteAttachment undoes putAttachment and returns the revision of its event.
func deleteAttachment(tx Tx, at Stamp, parent, child didRef, t DIDType) uint64 {
	tx.Delete(attachmentKey(parent, child))
	return tx.Note(at, edgeChange(ChangeAttachmentRemoved, parent, child, t))
}

// countChild adds a child to what its parent holds.
func (d *DID) countChild(child *DID) {
	d.Length++
	if child.Type == TypeFile {
		d.Size += child.Bytes
	}
}

// uncountChild takes a child off what its parent holds.
func (d *DID) uncountChild(child *DID) {
	d.Length--
	if child.Type == TypeFile {
		d.Size -= child.Bytes
	}
}
